/// Keeps a migration below a bandwidth, in slices of time (QEMU: `migration_rate_limit` of
/// `migration/migration.c`).
///
/// Each slice has a quota, a tenth of a second's bytes. More than that is not taken back: who
/// passes the quota sleeps until the slice ends. A value without a clock: the caller tells the
/// time.
struct RateLimiter: Sendable {
    /// The length of a slice: QEMU's `BUFFER_DELAY`.
    static let slice = Duration.milliseconds(100)
    /// The shortest slice that says something of the link: what goes out in less may lie in the
    /// socket's buffer.
    static let tellingSlice = Duration.milliseconds(10)
    /// QEMU 7.2's default `max-bandwidth`.
    static let defaultBytesPerSecond: UInt64 = 128 << 20

    /// A slice that ended.
    struct Slice: Equatable, Sendable {
        /// The bytes sent in it.
        let byteCount: UInt64
        /// How long it was: at least ``RateLimiter/slice``.
        let duration: Duration
    }

    /// The most bytes a second, 0 for no limit; can be changed at any time, and holds at once.
    var bytesPerSecond: UInt64

    private var sliceStart: Duration
    private var used: UInt64 = 0

    /// Begins the first slice.
    ///
    /// - Parameters:
    ///   - bytesPerSecond: The most bytes a second, 0 for no limit.
    ///   - now: The time since the migration began.
    init(bytesPerSecond: UInt64 = defaultBytesPerSecond, now: Duration = .zero) {
        self.bytesPerSecond = bytesPerSecond
        sliceStart = now
    }

    /// The bytes of a slice, at least one, or `nil`: no limit.
    private var quota: UInt64? {
        bytesPerSecond == 0 ? nil : max(1, bytesPerSecond / 10)
    }

    /// Takes note of bytes that were sent.
    mutating func sent(_ byteCount: UInt64) {
        used &+= byteCount
    }

    /// Whether no more is to be sent in this slice: more than its quota was.
    var isLimited: Bool { isLimited(with: 0) }

    /// Whether no more is to be sent in this slice once so many further bytes were.
    func isLimited(with more: UInt64) -> Bool {
        guard let quota else { return false }
        return used &+ more > quota
    }

    /// How long to sleep before more is sent.
    ///
    /// - Parameter now: The time since the migration began.
    /// - Returns: The time until the slice ends, `zero` when nothing limits.
    func pause(now: Duration) -> Duration {
        guard isLimited else { return .zero }
        return max(.zero, sliceStart + Self.slice - now)
    }

    /// Ends the slice when its time is over, and begins the next.
    ///
    /// - Parameters:
    ///   - now: The time since the migration began.
    ///   - least: How long it must have been.
    /// - Returns: The slice that ended, or `nil`.
    mutating func endSlice(now: Duration, after least: Duration = slice) -> Slice? {
        let elapsed = now - sliceStart
        guard elapsed >= least else { return nil }
        defer {
            sliceStart = now
            used = 0
        }
        return Slice(byteCount: used, duration: elapsed)
    }
}
