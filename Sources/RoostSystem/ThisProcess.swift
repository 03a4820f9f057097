internal import CRoost
internal import Glibc

/// Facts about the process that runs this.
package enum ThisProcess {
    /// Its number.
    package static var processID: Int32 { getpid() }

    /// How many processors are online.
    package static var processorCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// The memory that can be had on this machine without swapping, in bytes, where the kernel tells
    /// (MemAvailable of proc_meminfo(5)).
    package static var availableMemory: UInt64? {
        availableMemory(told: SmallFile.text(of: "/proc/meminfo") ?? "")
    }

    /// What the text of /proc/meminfo says.
    static func availableMemory(told text: String) -> UInt64? {
        for line in text.split(separator: "\n") where line.hasPrefix("MemAvailable:") {
            let number = line.split(separator: " ").dropFirst().first.flatMap { UInt64($0) }
            guard let (bytes, overflow) = number?.multipliedReportingOverflow(by: 1024), !overflow
            else { return nil }
            return bytes
        }
        return nil
    }

    /// The path of its program, where /proc tells.
    package static var program: String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        // SAFETY: readlink writes at most the array's bytes, held exclusively for the call.
        let count = unsafe readlink("/proc/self/exe", &bytes, bytes.count)
        let path = bytes.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }
        return count > 0 ? String(validating: path, as: UTF8.self) : nil
    }

    /// Whether it ignores a signal, as under nohup(1).
    ///
    /// - Parameter number: The signal.
    /// - Returns: Whether it does.
    package static func ignores(_ number: Int32) -> Bool { croost_is_signal_ignored(number) == 1 }

    /// Ends it at once: no object's end comes, no buffer is written out.
    ///
    /// - Parameter status: The status, as a shell has it.
    package static func end(_ status: Int32) -> Never { _exit(status) }

    /// Blocks the calling thread for a while.
    ///
    /// - Parameter time: How long, below a second.
    package static func sleep(_ time: Duration) {
        usleep(UInt32(clamping: time.components.attoseconds / 1_000_000_000_000))
    }
}
