import Glibc
import RoostSystem
import Synchronization
import SystemPackage

/// A program that a laboratory runs: its output is kept by lines, and it is always reaped.
///
/// One thread starts the program, reads its output and reaps it. The program is killed when the
/// last reference goes, and by the kernel when the tests themselves die: setpriv(1) arranges a
/// signal for the end of the thread that started it, which lasts as long as the program.
package final class ChildProcess: Sendable {
    /// How long a laboratory waits for a line or an end unless told otherwise: generous, since the
    /// machine may be busy.
    package static let defaultLimit = Duration.seconds(60)

    /// A line that the program wrote, without its end.
    package struct Line: Sendable {
        package let text: String
        package let isError: Bool
    }

    private struct State {
        var pid: pid_t?
        var lines: [Line] = []
        /// The exit status, or minus the signal's number.
        var status: Int32?
        var failure: LabError?
        var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextWaiter = 0
    }

    /// What the thread and the laboratory share, so that the thread does not keep the owner alive.
    private final class Shared: Sendable {
        let state = Mutex(State())

        func change(_ body: (inout sending State) -> Void) {
            let waiters = state.withLock { state in
                body(&state)
                return Array(state.waiters.values)
            }
            for waiter in waiters { waiter.yield() }
        }

        /// Kills the program, unless it is reaped: its number may be another's by then.
        func kill(_ signal: Int32) {
            state.withLock { state in
                if let pid = state.pid, state.status == nil { _ = Glibc.kill(pid, signal) }
            }
        }
    }

    /// What messages call it.
    package let name: String
    private let shared = Shared()

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: Its path.
    ///   - arguments: Its arguments, without its name.
    ///   - name: What messages call it.
    /// - Throws: `SystemError` when no pipe can be made; that the program cannot be started shows
    ///   where its lines or its end are waited for.
    package init(_ program: String, _ arguments: [String], name: String? = nil) throws {
        self.name = name ?? program
        let (output, outputWriter) = try StreamSocket.pair()
        let (errors, errorsWriter) = try StreamSocket.pair()
        let words = ["/usr/bin/setpriv", "--pdeathsig", "KILL", program] + arguments
        let shared = shared
        Task.detached {
            do {
                try await DedicatedThread.run(name: "child") {
                    let pid = try spawn(
                        words, output: outputWriter.descriptor, errors: errorsWriter.descriptor)
                    shared.change { $0.pid = pid }
                    try outputWriter.relinquish()
                    try errorsWriter.relinquish()
                    readLines(from: [output, errors]) { line in
                        shared.change { $0.lines.append(line) }
                    }
                    waitForEnd(of: pid)
                    shared.change { $0.status = reap(pid) }
                }
            } catch {
                shared.kill(SIGKILL)
                shared.change {
                    $0.failure = LabError("cannot run \(program): \(error)")
                    $0.status = $0.status ?? -SIGKILL
                }
            }
        }
    }

    /// The lines so far, of standard output and standard error as they came.
    package var lines: [Line] { shared.state.withLock { $0.lines } }

    /// Its number, once it runs and as long as it is not reaped.
    package var processID: Int32? {
        shared.state.withLock { $0.status == nil ? $0.pid : nil }
    }

    /// Whether the program has ended.
    package var hasEnded: Bool { shared.state.withLock { $0.status != nil } }

    /// Sends a signal, unless the program has ended.
    package func signal(_ number: Int32) { shared.kill(number) }

    /// Waits until a line matches.
    ///
    /// - Parameters:
    ///   - start: The index of the first line to look at.
    ///   - limit: How long to wait.
    ///   - matches: Whether it is the line.
    /// - Returns: The line's index and text.
    /// - Throws: `LabError` when the program ends without it or the limit is over, with what the
    ///   program wrote last.
    @discardableResult
    package func line(
        from start: Int = 0, within limit: Duration = defaultLimit,
        where matches: (String) -> Bool
    ) async throws -> (index: Int, text: String) {
        var next = start
        return try await wait(limit, "a line") { lines, isOver in
            while next < lines.count {
                defer { next += 1 }
                if matches(lines[next].text) { return (next, lines[next].text) }
            }
            if isOver { throw LabError("it ended") }
            return nil
        }
    }

    /// Waits for the program's end.
    ///
    /// - Parameter limit: How long to wait.
    /// - Returns: The exit status, or minus the number of the signal that ended it.
    /// - Throws: `LabError` when the limit is over.
    @discardableResult
    package func exit(within limit: Duration = defaultLimit) async throws -> Int32 {
        try await wait(limit, "its end") { _, isOver in isOver ? true : nil }
        return shared.state.withLock { $0.status ?? 0 }
    }

    /// Kills the program and waits until it is reaped.
    package func stop() async throws {
        shared.kill(SIGKILL)
        try await exit()
    }

    /// Waits until something is so, looking again at each change.
    @discardableResult
    private func wait<Value>(
        _ limit: Duration, _ what: String, _ check: ([Line], Bool) throws -> Value?
    ) async throws -> Value {
        let (changes, waiter) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let key = shared.state.withLock { state in
            state.nextWaiter += 1
            state.waiters[state.nextWaiter] = waiter
            return state.nextWaiter
        }
        defer { shared.state.withLock { _ = $0.waiters.removeValue(forKey: key) } }
        let timer = Task {
            try await Task.sleep(for: limit)
            waiter.finish()
        }
        defer { timer.cancel() }
        waiter.yield()
        var reason = "not within \(limit)"
        for await _ in changes {
            let (lines, isOver, failure) = shared.state.withLock {
                ($0.lines, $0.status != nil, $0.failure)
            }
            do {
                if let value = try check(lines, isOver) { return value }
            } catch {
                reason = "\(failure ?? (error as? LabError) ?? LabError("\(error)"))"
                break
            }
        }
        let tail = lines.suffix(20).map { "  " + $0.text }.joined(separator: "\n")
        throw LabError("waited for \(what) of \(name): \(reason); it wrote last:\n\(tail)")
    }

    deinit {
        shared.kill(SIGKILL)
    }
}

/// Starts a program whose standard input is empty.
private func spawn(
    _ words: [String], output: FileDescriptor, errors: FileDescriptor
) throws -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output.rawValue, 1)
    unsafe posix_spawn_file_actions_adddup2(&actions, errors.rawValue, 2)

    // What the tests or their caller ignore, a program they start must not.
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var defaults = sigset_t()
    unsafe sigemptyset(&defaults)
    unsafe sigaddset(&defaults, SIGPIPE)
    unsafe sigaddset(&defaults, SIGXFSZ)
    unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
    // This thread blocks every signal, and a program inherits that as well.
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) }
    defer { unsafe arguments.forEach { unsafe free($0) } }
    unsafe arguments.append(nil)
    var pid: pid_t = 0
    let failure = unsafe posix_spawn(&pid, words[0], &actions, &attributes, arguments, environ)
    guard failure == 0 else { throw Errno(rawValue: failure) }
    return pid
}

/// Reads the lines of standard output and standard error until both end.
private func readLines(from sockets: [StreamSocket], _ take: (ChildProcess.Line) -> Void) {
    var rests: [[UInt8]] = [[], []]
    var open = [true, true]
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while open.contains(true) {
        var waits = sockets.indices.map { index in
            pollfd(
                fd: open[index] ? sockets[index].descriptor.rawValue : -1, events: Int16(POLLIN),
                revents: 0)
        }
        guard unsafe poll(&waits, nfds_t(waits.count), -1) > 0 else { continue }
        for index in sockets.indices where waits[index].revents != 0 {
            let count =
                (try? unsafe chunk.withUnsafeMutableBytes { bytes in
                    try unsafe sockets[index].descriptor.read(into: bytes)
                }) ?? 0
            open[index] = count > 0
            rests[index] += chunk[..<count]
            while let end = rests[index].firstIndex(of: UInt8(ascii: "\n")) {
                take(line(rests[index][..<end], index))
                rests[index].removeSubrange(...end)
            }
            if count == 0, !rests[index].isEmpty {
                take(line(rests[index][...], index))
            }
        }
    }
}

private func line(_ bytes: ArraySlice<UInt8>, _ index: Int) -> ChildProcess.Line {
    let text = bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
    return ChildProcess.Line(text: String(decoding: text, as: UTF8.self), isError: index == 1)
}

/// Waits for a child's end and leaves its number taken, so that nobody signals another process.
private func waitForEnd(of pid: pid_t) {
    var information = unsafe siginfo_t()
    while unsafe waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
}

/// Reaps a child that has ended.
private func reap(_ pid: pid_t) -> Int32 {
    var status: Int32 = 0
    while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    return signal == 0 ? (status >> 8) & 0xFF : -signal
}
