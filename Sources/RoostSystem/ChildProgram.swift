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

    /// The most bytes of a program's output that are taken: a version is a line.
    static let outputLimit = 64 << 10

    /// Starts a program and waits for its end, blocking.
    ///
    /// Its standard input is empty.
    ///
    /// - Parameters:
    ///   - program: Its name, found along PATH, or its path.
    ///   - arguments: Its arguments, without its name.
    ///   - listening: A socket that it gets as systemd's services do (sd_listen_fds(3)), or `nil`.
    ///   - output: Its standard output, or `nil` for this process's.
    ///   - errors: Its standard error, or `nil` for this process's.
    ///   - stop: Ends the program when raised: first it is asked, then killed.
    ///   - started: Is told its process number.
    /// - Returns: Its status, as a shell has it.
    /// - Throws: `SystemError` of kind `thread` when it cannot be started.
    package static func run(
        _ program: String, _ arguments: [String], listening: FileDescriptor? = nil,
        output: FileDescriptor? = nil, errors: FileDescriptor? = nil,
        until stop: StopSignal, started: (Int32) -> Void = { _ in }
    ) throws(SystemError) -> Int32 {
        let child = try start(program, arguments, listening, output, errors)
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

    /// Runs a program and takes what it writes, blocking the calling thread.
    ///
    /// - Parameters:
    ///   - program: Its name, found along PATH, or its path.
    ///   - arguments: Its arguments, without its name.
    ///   - limit: How long it may take before it is killed.
    /// - Returns: Its status, as a shell has it, and the first ``outputLimit`` bytes or a few more of
    ///   its output and errors; a program that writes more is killed.
    /// - Throws: `SystemError` of kind `thread` when it cannot be started.
    package static func output(
        of program: String, _ arguments: [String], within limit: Duration
    ) throws(SystemError) -> (status: Int32, text: String) {
        var readEnd: Int32 = -1
        var writeEnd: Int32 = -1
        // SAFETY: two local values, alive for the call.
        let piped = unsafe croost_pipe(&readEnd, &writeEnd)
        guard piped == 0 else { throw failure(program, Errno(rawValue: -piped)) }
        let reader = OwnedDescriptor(FileDescriptor(rawValue: readEnd))
        let child: Int32
        do {
            let writer = OwnedDescriptor(FileDescriptor(rawValue: writeEnd))
            child = try start(program, arguments, nil, writer.descriptor, writer.descriptor)
        }
        let deadline = ContinuousClock.now + limit
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        var isOver = false
        while bytes.count < outputLimit {
            var wait = pollfd(fd: reader.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            let left = ContinuousClock.now.duration(to: deadline).clampedMilliseconds
            // SAFETY: one entry, a local value alive for the call.
            guard unsafe poll(&wait, 1, left) > 0 else { break }
            // SAFETY: as many bytes as the array has, held exclusively for the call.
            let count = unsafe Glibc.read(reader.descriptor.rawValue, &chunk, chunk.count)
            isOver = count <= 0
            guard !isOver else { break }
            bytes += chunk[..<count]
        }
        // One that has closed its output ends by itself; whoever has not is late, or says too much.
        let left = ContinuousClock.now.duration(to: deadline)
        let handle = isOver ? try? ProcessHandle(child) : nil
        if handle?.waitForEnd(within: max(left, .zero)) != true { _ = kill(child, SIGKILL) }
        return (croost_child_status(child), String(decoding: bytes, as: UTF8.self))
    }

    private static func start(
        _ program: String, _ arguments: [String], _ listening: FileDescriptor?,
        _ output: FileDescriptor?, _ errors: FileDescriptor?
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
                program, words, listening?.rawValue ?? -1, output?.rawValue ?? -1,
                errors?.rawValue ?? -1, writer.descriptor.rawValue)
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
