internal import CRoost
internal import Glibc
package import SystemPackage

/// A program that runs for this one and ends with it.
///
/// It is a child that the kernel kills when the thread that started it ends, also when this process is
/// killed. So it is started, waited for and ended by one thread of its own:
/// ``run(_:_:listening:until:)``.
package enum ChildProgram {
    /// How long a program may take to end after it was asked to (SIGTERM) before it is killed.
    static let grace = Duration.milliseconds(400)

    /// Starts a program and waits for its end, blocking.
    ///
    /// Its standard input is empty; its output and errors are this process's.
    ///
    /// - Parameters:
    ///   - program: Its name, found along PATH, or its path.
    ///   - arguments: Its arguments, without its name.
    ///   - listening: A socket that it gets as systemd's services do (sd_listen_fds(3)), or `nil`.
    ///   - stop: Ends the program when raised: first it is asked, then killed.
    ///   - started: Is told its process number.
    /// - Returns: Its status, as a shell has it.
    /// - Throws: `SystemError` of kind `thread` when it cannot be started.
    package static func run(
        _ program: String, _ arguments: [String], listening: FileDescriptor? = nil,
        until stop: StopSignal, started: (Int32) -> Void = { _ in }
    ) throws(SystemError) -> Int32 {
        let child = try start(program, arguments, listening)
        started(child)
        let handle: ProcessHandle
        do throws(Errno) {
            handle = try ProcessHandle(child)
        } catch {
            // No descriptors: it cannot be waited for together with the signal.
            _ = kill(child, SIGKILL)
            _ = croost_child_status(child)
            throw failure(program, error)
        }
        if stop.wait(orReadable: handle.descriptor) {
            try? handle.signal(SIGTERM)
            if !handle.waitForEnd(within: grace) { try? handle.signal(SIGKILL) }
        }
        return croost_child_status(child)
    }

    private static func start(
        _ program: String, _ arguments: [String], _ listening: FileDescriptor?
    ) throws(SystemError) -> Int32 {
        var readEnd: Int32 = -1
        var writeEnd: Int32 = -1
        // SAFETY: two local values, alive for the call.
        let piped = unsafe croost_pipe(&readEnd, &writeEnd)
        guard piped == 0 else { throw failure(program, Errno(rawValue: -piped)) }
        let reader = OwnedDescriptor(FileDescriptor(rawValue: readEnd))
        let child: Int32
        do {
            let writer = OwnedDescriptor(FileDescriptor(rawValue: writeEnd))
            var words: [UnsafeMutablePointer<CChar>?] = unsafe ([program] + arguments).map {
                unsafe strdup($0)
            }
            unsafe words.append(nil)
            // SAFETY: copies of the texts, ended by NULL, freed after the call that reads them.
            child = unsafe croost_start_child(
                program, words, listening?.rawValue ?? -1, writer.descriptor.rawValue)
            unsafe words.forEach { unsafe free($0) }
        }
        guard child > 0 else { throw failure(program, Errno(rawValue: -child)) }
        if let reason = StartReport.failure(from: reader.descriptor) {
            _ = croost_child_status(child)
            throw failure(program, reason)
        }
        return child
    }

    private static func failure(_ program: String, _ reason: Errno) -> SystemError {
        let advice =
            switch reason {
            case .noSuchFileOrDirectory: "; install it, or put its folder into PATH"
            case .tooManyOpenFiles: "; raise ulimit -n"
            default: ""
            }
        return SystemError(
            .thread, errno: reason, "cannot start \(program): \(reason)\(advice)")
    }
}

/// What a process that could not execute its program reports: a letter `E` and the errno.
enum StartReport {
    /// Reads a report, waiting until there is one or the program runs.
    ///
    /// - Parameter reader: Ends when the program is executed.
    /// - Returns: Why it could not be, or `nil`.
    static func failure(from reader: FileDescriptor) -> Errno? {
        let (count, bytes) = read(from: reader)
        return count == 5 ? errno(in: bytes) : nil
    }

    /// Reads up to five bytes.
    static func read(from reader: FileDescriptor) -> (count: Int, bytes: [5 of UInt8]) {
        var answer: [5 of UInt8] = [0, 0, 0, 0, 0]
        var bytes = answer.mutableSpan
        // SAFETY: five bytes of a local value, held exclusively for the call.
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe Glibc.read(reader.rawValue, $0.baseAddress, 5)
        }
        return (count, answer)
    }

    /// The errno of a report; `nil` when it is none.
    static func errno(in bytes: [5 of UInt8]) -> Errno? {
        guard bytes[0] == UInt8(ascii: "E") else { return nil }
        let number = (1...4).reduce(UInt32(0)) { number, index in
            number | UInt32(bytes[index]) << UInt32(8 * (index - 1))
        }
        return Errno(rawValue: Int32(bitPattern: number))
    }
}
