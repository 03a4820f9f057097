internal import CRoost
internal import Glibc
package import SystemPackage

/// Another process, held so that its number cannot come to mean a different one.
///
/// Any thread may call its methods.
package final class ProcessHandle: Sendable {
    /// The process's number here.
    package let processID: Int32
    private let owned: OwnedDescriptor

    /// The descriptor of the process, to be used while the handle is held.
    package var descriptor: FileDescriptor { owned.descriptor }

    /// Takes hold of a process.
    ///
    /// - Parameter processID: Its number.
    /// - Throws: `Errno` of pidfd_open(2): `noSuchProcess` when it has ended.
    package init(_ processID: Int32) throws(Errno) {
        let result = croost_pidfd_open(processID)
        guard result >= 0 else { throw Errno(rawValue: -result) }
        self.processID = processID
        owned = OwnedDescriptor(FileDescriptor(rawValue: result))
    }

    /// Sends a signal.
    ///
    /// - Parameter number: The signal.
    /// - Throws: `Errno` of pidfd_send_signal(2): `noSuchProcess` when the process has ended.
    package func signal(_ number: Int32) throws(Errno) {
        let result = croost_pidfd_signal(descriptor.rawValue, number)
        guard result == 0 else { throw Errno(rawValue: -result) }
    }

    /// Whether the process has ended; it may not have been reaped yet.
    package var hasEnded: Bool { waitForEnd(milliseconds: 0) }

    /// Waits for the process's end.
    ///
    /// - Parameter timeout: How long.
    /// - Returns: Whether it has ended.
    package func waitForEnd(within timeout: Duration) -> Bool {
        waitForEnd(milliseconds: timeout.clampedMilliseconds)
    }

    private func waitForEnd(milliseconds: Int32) -> Bool {
        var wait = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        // SAFETY: one entry, a local value alive for the call.
        return unsafe poll(&wait, 1, milliseconds) > 0
    }

    /// What the kernel says about each thread of the process in `/proc/PID/task/TID/stat`
    /// (proc_pid_stat(5)); threads that end meanwhile are left out.
    package func threads() -> [ThreadStatus] {
        SmallFile.names(in: "/proc/\(processID)/task").compactMap { name in
            SmallFile.text(of: "/proc/\(processID)/task/\(name)/stat").flatMap(ThreadStatus.init)
        }
    }
}

/// What the kernel says about a thread.
package struct ThreadStatus: Sendable, Equatable {
    /// One letter: `R` running, `S` sleeping, `T` stopped, `t` stopped by a tracer and so on.
    package let state: Character
    /// The processor time it has used, in ticks of ``ticksPerSecond``.
    package let ticks: UInt64

    /// How many ticks make a second: USER_HZ, 100 on every Linux that Swift runs on.
    package static let ticksPerSecond = 100.0

    /// Whether it executes nothing until it is continued, or never again.
    package var isStopped: Bool { "TtZX".contains(state) }

    /// Reads a line of `/proc/PID/stat`; `nil` when it is none.
    package init?(_ line: String) {
        // The second field is the name in parentheses, which may hold spaces and parentheses.
        guard let end = line.lastIndex(of: ")") else { return nil }
        let fields = line[line.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let state = fields[0].first, let user = UInt64(fields[11]),
            let system = UInt64(fields[12])
        else { return nil }
        self.state = state
        ticks = user &+ system
    }
}
