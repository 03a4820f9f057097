/// Says when a migration has no prospect of ending, and what to change.
///
/// A migration that does not converge goes on for ever in QEMU. Here rounds and time can be bounded.
struct Verdict: Sendable, Equatable {
    /// The most rounds (dirty syncs), or `nil` for any number.
    var roundLimit: UInt64?
    /// The most time, or `nil` for any.
    var timeLimit: Duration?

    /// Where a migration stands.
    struct Situation: Sendable, Equatable {
        /// Rounds so far.
        var round: UInt64
        /// The time since it began.
        var elapsed: Duration
        /// What the guest dirties.
        var dirtyBytesPerSecond: Double
        /// What the link carries.
        var linkBytesPerSecond: Double
        /// Bytes still to be sent.
        var pending: UInt64
        /// How long the guest may stand still.
        var downtimeLimit: Duration
        /// The configured bandwidth in bytes a second, 0 for none.
        var bandwidthLimit: UInt64
        /// Whether auto-converge is on.
        var hasAutoConverge: Bool
        /// The share it takes, in percent.
        var throttlePercentage: Int
        /// The most it may take, in percent.
        var maximumThrottlePercentage: Int
    }

    /// Whether a bound is passed.
    ///
    /// - Parameter situation: Where the migration stands, not about to complete.
    /// - Returns: Why it is given up, of kind `notConverging`, or `nil` when it may go on.
    func judge(_ situation: Situation) -> MigrationError? {
        let bound: String
        if let roundLimit, situation.round > roundLimit {
            bound = "\(roundLimit) rounds"
        } else if let timeLimit, situation.elapsed > timeLimit {
            bound = "\(Int64(timeLimit.inSeconds.rounded())) s"
        } else {
            return nil
        }
        return MigrationError(
            .notConverging,
            "does not converge after \(bound): dirties \(Self.rate(situation.dirtyBytesPerSecond)),"
                + " link carries \(Self.rate(situation.linkBytesPerSecond))"
                + Self.remainder(situation) + "; " + Self.advice(situation))
    }

    /// Why a guest that dirties no more than the link carries does not converge either.
    private static func remainder(_ situation: Situation) -> String {
        guard situation.dirtyBytesPerSecond <= situation.linkBytesPerSecond,
            let needed = downtimeNeeded(situation)
        else { return "" }
        return ", but what a round leaves takes \(needed) ms and "
            + "\(situation.downtimeLimit.inMilliseconds) ms are allowed"
    }

    private static func advice(_ situation: Situation) -> String {
        var ways: [String] = []
        if let needed = downtimeNeeded(situation), .milliseconds(needed) > situation.downtimeLimit {
            ways.append("more downtime (at most \(needed) ms needed)")
        }
        if situation.bandwidthLimit > 0,
            situation.linkBytesPerSecond >= 0.8 * Double(situation.bandwidthLimit)
        {
            ways.append("more bandwidth (the limit is \(rate(Double(situation.bandwidthLimit))))")
        } else {
            ways.append("a faster link")
        }
        if situation.hasAutoConverge,
            situation.throttlePercentage < situation.maximumThrottlePercentage
        {
            ways.append(
                "more time (auto-converge takes \(situation.throttlePercentage) % of the guest)")
        }
        let allow = "allow " + ways.joined(separator: " or ")
        if !situation.hasAutoConverge { return allow + ", or turn auto-converge on" }
        guard situation.throttlePercentage >= situation.maximumThrottlePercentage else {
            return allow
        }
        return allow + "; auto-converge takes \(situation.throttlePercentage) % already"
    }

    /// The downtime in which all that is pending could be sent, in whole milliseconds.
    private static func downtimeNeeded(_ situation: Situation) -> Int64? {
        guard situation.linkBytesPerSecond > 0 else { return nil }
        let milliseconds = Double(situation.pending) * 1000 / situation.linkBytesPerSecond
        return Int64(exactly: milliseconds.rounded(.down)).map { $0 + 1 }
    }

    /// Bytes a second for a person: in decimal megabytes, or kilobytes below one.
    private static func rate(_ bytesPerSecond: Double) -> String {
        guard bytesPerSecond.isFinite, bytesPerSecond >= 0, bytesPerSecond < 1e18 else {
            return "an unknown rate"
        }
        guard bytesPerSecond < 1_000_000 else {
            return "\(Int64((bytesPerSecond / 1_000_000).rounded())) MB/s"
        }
        return "\(Int64((bytesPerSecond / 1_000).rounded())) kB/s"
    }
}
