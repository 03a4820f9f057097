/// Decides when what remains can be sent while the guest stands still (QEMU:
/// `migration_update_counters` and `migration_iteration_run` of `migration/migration.c`).
///
/// The bandwidth is that of the last slice; before the first slice ended nothing remains small
/// enough, unless nothing remains. A value without a clock.
struct SwitchOver: Sendable {
    /// QEMU's default `downtime-limit`.
    static let defaultDowntimeLimit = Duration.milliseconds(300)
    /// A slice of fewer bytes says nothing of the link: QEMU's limit for `expected-downtime`.
    static let tellingByteCount: UInt64 = 10_000

    /// How long the guest may stand still; can be changed at any time, and holds at once.
    var downtimeLimit: Duration
    /// What the last slice carried, in bytes a second; 0 before the first ended.
    private(set) var bytesPerSecond = 0.0
    /// How long the guest would stand still if the rest were sent at the last telling bandwidth:
    /// the limit itself until something is known, as in QEMU.
    private(set) var expectedDowntime: Duration

    /// Begins without a bandwidth.
    ///
    /// - Parameter downtimeLimit: How long the guest may stand still.
    init(downtimeLimit: Duration = defaultDowntimeLimit) {
        self.downtimeLimit = downtimeLimit
        expectedDowntime = downtimeLimit
    }

    /// Takes note of a slice that ended.
    ///
    /// - Parameters:
    ///   - slice: The slice.
    ///   - remaining: Bytes that were dirty at the last sync.
    ///   - dirtyPagesPerSecond: The dirty rate; with 0 the expected downtime stays as it is.
    mutating func sliceEnded(
        _ slice: RateLimiter.Slice, remaining: UInt64, dirtyPagesPerSecond: UInt64
    ) {
        let seconds = slice.duration.inSeconds
        guard seconds > 0 else { return }
        bytesPerSecond = Double(slice.byteCount) / seconds
        if dirtyPagesPerSecond > 0, slice.byteCount > Self.tellingByteCount {
            let milliseconds = Double(remaining) * 1000 / bytesPerSecond
            // At most a thousand years, for an Int made of any Double could trap.
            expectedDowntime = .milliseconds(Int64(min(milliseconds, 3.2e13)))
        }
    }

    /// How many bytes can be sent within the limit.
    var threshold: UInt64 {
        UInt64(exactly: (bytesPerSecond * downtimeLimit.inSeconds).rounded(.down)) ?? .max
    }

    /// Decides whether the guest is to be stopped and the rest sent.
    ///
    /// - Parameter pending: Bytes still to be sent.
    /// - Returns: Whether that is nothing, or fits the downtime.
    func shouldComplete(pending: UInt64) -> Bool {
        pending == 0 || pending < threshold
    }
}
