internal import Glibc

/// Facts about the process that runs this.
package enum ThisProcess {
    /// Its number.
    package static var processID: Int32 { getpid() }

    /// How many processors are online.
    package static var processorCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// Blocks the calling thread for a while.
    ///
    /// - Parameter time: How long, below a second.
    package static func sleep(_ time: Duration) {
        usleep(UInt32(clamping: time.components.attoseconds / 1_000_000_000_000))
    }
}
