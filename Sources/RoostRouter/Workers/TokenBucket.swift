/// Tokens that come at a steady rate and are kept up to a number.
///
/// A value that is told the time, in milliseconds; it counts in thousandths of a token, so that
/// nothing is lost to rounding.
struct TokenBucket: BitwiseCopyable, Sendable {
    /// A rate and a depth.
    struct Pace: BitwiseCopyable, Sendable {
        /// How many tokens come in a second.
        var perSecond: UInt32
        /// How many are kept.
        var burst: UInt32
    }

    /// The longest time that is counted; a bucket of any pace is full after it.
    private static var longestPause: UInt64 { 1 << 32 }

    private var level: UInt64
    private var last: UInt64

    /// A full bucket.
    init(_ pace: Pace, now: UInt64) {
        level = UInt64(pace.burst) * 1000
        last = now
    }

    /// Puts in what came since the last time.
    ///
    /// - Parameters:
    ///   - pace: How many come.
    ///   - missing: How many fewer than the burst are kept.
    ///   - now: In milliseconds; a time before the last one counts as none.
    mutating func refill(_ pace: Pace, missing: UInt32 = 0, now: UInt64) {
        guard now > last else { return }
        let gain = min(now - last, Self.longestPause) * UInt64(pace.perSecond)
        level = min(level + gain, UInt64(pace.burst - min(missing, pace.burst)) * 1000)
        last = now
    }

    /// Whether a token is there beside those held back.
    func has(beside reserve: UInt32 = 0) -> Bool {
        level >= (UInt64(reserve) + 1) * 1000
    }

    /// Takes a token out.
    ///
    /// - Precondition: ``has(beside:)``.
    mutating func take() {
        level -= 1000
    }
}
