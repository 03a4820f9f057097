internal import CRoost
internal import Glibc
internal import Synchronization
package import SystemPackage

/// A ``ChildProgram`` whose output this process reads while it runs.
///
/// The program ends with this process, also when that is killed, and when the value goes. Any thread may
/// call its methods; one reads lines at a time.
package final class RunningProgram: Sendable {
    /// The most bytes of a line: what a program of ours says is shorter.
    static let lineLimit = 1 << 20

    private let handle: ProcessHandle
    private let output: OwnedDescriptor
    private let rest = Mutex<[UInt8]>([])

    /// The program's process number.
    package var processID: Int32 { handle.processID }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: Its name, found along PATH, or its path.
    ///   - arguments: Its arguments, without its name.
    ///   - errors: Its standard error, or `nil` for this process's; need not stay open.
    /// - Throws: `SystemError` of kind `thread` when it cannot be started.
    package init(
        _ program: String, _ arguments: [String], errors: FileDescriptor? = nil
    ) throws(SystemError) {
        var readEnd: Int32 = -1
        var writeEnd: Int32 = -1
        // SAFETY: two local values, alive for the call.
        let piped = unsafe croost_pipe(&readEnd, &writeEnd)
        guard piped == 0 else {
            let reason = Errno(rawValue: -piped)
            throw SystemError(.thread, errno: reason, "cannot start \(program): \(reason)")
        }
        output = OwnedDescriptor(FileDescriptor(rawValue: readEnd))
        let writer = OwnedDescriptor(FileDescriptor(rawValue: writeEnd))
        handle = try Self.start(program, arguments, writer.descriptor, errors)
    }

    /// Starts the thread that the program lives with, and waits until the program runs.
    private static func start(
        _ program: String, _ arguments: [String], _ output: FileDescriptor,
        _ errors: FileDescriptor?
    ) throws(SystemError) -> ProcessHandle {
        let never: StopSignal
        do throws(Errno) {
            never = try StopSignal()
        } catch {
            throw SystemError(.thread, errno: error, "cannot start \(program): \(error)")
        }
        let outcome = Mutex<Result<ProcessHandle, SystemError>?>(nil)
        let isKnown = try Semaphore()
        let failure = DedicatedThread.start(name: "roost-child") {
            do throws(SystemError) {
                _ = try ChildProgram.run(
                    program, arguments, output: output, errors: errors, until: never
                ) { child in
                    outcome.withLock { $0 = hold(child, program) }
                    isKnown.signal()
                }
            } catch {
                outcome.withLock { $0 = .failure(error) }
                isKnown.signal()
            }
        }
        if let failure { throw failure }
        isKnown.wait()
        guard let result = outcome.withLock({ $0 }) else { preconditionFailure("not told") }
        return try result.get()
    }

    /// Takes hold of a child that was not waited for yet, so that its number is still its own.
    private static func hold(_ child: Int32, _ program: String) -> Result<
        ProcessHandle, SystemError
    > {
        do throws(Errno) {
            return .success(try ProcessHandle(child))
        } catch {
            _ = Glibc.kill(child, SIGKILL)
            return .failure(
                SystemError(.thread, errno: error, "cannot start \(program): \(error)"))
        }
    }

    /// The next line of its output, without its end; blocks until there is one.
    ///
    /// - Returns: The line; `nil` at the end of its output, or where a line is too long to be one.
    package func readLine() -> String? {
        rest.withLock { rest in
            while rest.count <= Self.lineLimit {
                if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    defer { rest.removeSubrange(...end) }
                    return String(decoding: rest[..<end], as: UTF8.self)
                }
                var chunk = [UInt8](repeating: 0, count: 4096)
                // SAFETY: as many bytes as the array has, held exclusively for the call.
                let count = unsafe read(output.descriptor.rawValue, &chunk, chunk.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return nil }
                rest += chunk[..<count]
            }
            return nil
        }
    }

    /// Asks the program to end (SIGTERM).
    package func terminate() { try? handle.signal(SIGTERM) }

    /// Ends the program at once (SIGKILL); whoever reads a line of it is given the rest, then `nil`.
    package func kill() { try? handle.signal(SIGKILL) }

    /// Waits until the program has ended, blocking.
    package func waitForEnd() {
        while !handle.waitForEnd(within: .seconds(3600)) {}
    }

    deinit {
        kill()
    }
}
