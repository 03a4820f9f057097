internal import RoostSystem

/// Says when a migration has no prospect of ending, and what to change.
///
/// A migration that does not converge goes on for ever in QEMU. Here rounds and time can be bounded.
/// What it advises holds when it is followed: it names no figure that was not measured.
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
        /// What the guest dirties; `nil` before it was looked for, as in the first round.
        var dirtyBytesPerSecond: Double?
        /// What the link carries; `nil` before anything was measured.
        var linkBytesPerSecond: Double?
        /// Bytes still to be sent.
        var pending: UInt64
        /// The most bytes that were left when the guest's writes had been looked for, where that
        /// has levelled; `nil` where it is not known.
        var roundRemainder: UInt64?
        /// How long the guest may stand still; `nil` where it is not known.
        var downtimeLimit: Duration?
        /// The configured bandwidth in bytes a second, 0 for none or where it is not known.
        var bandwidthLimit: UInt64
        /// Whether auto-converge is on.
        var hasAutoConverge: Bool
        /// The share it takes, in percent.
        var throttlePercentage: Int
        /// The most it may take, in percent.
        var maximumThrottlePercentage: Int
    }

    /// How much more than was measured is advised: rates of links and guests vary.
    private static let margin = 1.25

    /// Whether a bound is passed.
    ///
    /// - Parameter situation: Where the migration stands, not about to complete.
    /// - Returns: Why it is given up, of kind `notConverging`, or `nil` when it may go on.
    func judge(_ situation: Situation) -> MigrationError? {
        let bound: String
        if let roundLimit, situation.round > roundLimit {
            bound = roundLimit == 1 ? "1 round" : "\(roundLimit) rounds"
        } else if let timeLimit, situation.elapsed > timeLimit {
            bound = Quantity.time(timeLimit.inSeconds)
        } else {
            return nil
        }
        return MigrationError(.notConverging, Self.sentence(situation, after: bound))
    }

    /// Why a migration is given up, with both rates where they are known, and what to change.
    ///
    /// - Parameters:
    ///   - situation: Where it stands.
    ///   - bound: What it was given, such as `60 s`.
    /// - Returns: The sentence, without a full stop.
    static func sentence(_ situation: Situation, after bound: String) -> String {
        let link =
            situation.linkBytesPerSecond.map { "link carries \(Quantity.rate($0))" }
            ?? "what the link carries is not known yet"
        guard let dirty = situation.dirtyBytesPerSecond else {
            return "not complete after \(bound)"
                + (situation.round <= 1 ? ", still in the first round: " : ": ")
                + "\(link), \(Quantity.bytes(situation.pending)) are still to be sent, and what the "
                + "guest dirties is not known yet; " + earlyAdvice(situation)
        }
        return "does not converge after \(bound): dirties \(Quantity.rate(dirty)), \(link)"
            + remainder(situation) + "; " + advice(situation)
    }

    /// What a migration needs whose guest's writes have not been looked for.
    private static func earlyAdvice(_ situation: Situation) -> String {
        var more = "more time"
        if let rate = situation.linkBytesPerSecond, rate > 0 {
            let seconds = Double(situation.pending) / rate
            more += " (at this rate the round takes \(Quantity.time(seconds)) more)"
        }
        return "allow \(more) or \(linkAdvice(situation))"
    }

    /// Why a guest that dirties no more than the link carries does not converge either.
    private static func remainder(_ situation: Situation) -> String {
        guard let dirty = situation.dirtyBytesPerSecond,
            let link = situation.linkBytesPerSecond, dirty <= link,
            let limit = situation.downtimeLimit, let left = milliseconds(situation),
            .milliseconds(left) > limit
        else { return "" }
        return ", but what a round leaves takes \(left) ms and \(limit.inMilliseconds) ms are "
            + "allowed"
    }

    private static func advice(_ situation: Situation) -> String {
        var ways: [String] = []
        if let needed = milliseconds(situation, margin) {
            if situation.downtimeLimit.map({ .milliseconds(needed) > $0 }) ?? true {
                ways.append("more downtime (some \(needed) ms)")
            }
        } else {
            ways.append("more downtime")
        }
        ways.append(linkAdvice(situation))
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

    private static func linkAdvice(_ situation: Situation) -> String {
        guard situation.bandwidthLimit > 0,
            situation.linkBytesPerSecond.map({ $0 >= 0.8 * Double(situation.bandwidthLimit) })
                ?? true
        else { return "a faster link" }
        return "more bandwidth (the limit is \(Quantity.rate(Double(situation.bandwidthLimit))))"
    }

    /// The downtime in which what a round leaves could be sent, in whole milliseconds.
    private static func milliseconds(_ situation: Situation, _ factor: Double = 1) -> Int64? {
        guard let left = situation.roundRemainder, let rate = situation.linkBytesPerSecond,
            rate > 0
        else { return nil }
        let milliseconds = Double(left) * factor * 1000 / rate
        return Int64(exactly: milliseconds.rounded(.down)).map { $0 + 1 }
    }
}

/// What a migration's rounds leave to be sent, by which a downtime can be advised.
struct RoundRemainders: Sendable, Equatable {
    /// How much more the last round may leave than those before, and still be no growth.
    private static let tolerance = 1.1

    private var largest: UInt64 = 0
    private var last: UInt64?

    /// Takes note of a round that ended with a look for the guest's writes.
    ///
    /// - Parameter byteCount: What was to be sent then.
    mutating func add(_ byteCount: UInt64) {
        largest = max(largest, last ?? 0)
        last = byteCount
    }

    /// The most that a round left; `nil` before two rounds have ended, or while it grows: a guest
    /// that goes on to other pages leaves more the longer a round takes.
    var levelled: UInt64? {
        guard let last, largest > 0, Double(last) <= Double(largest) * Self.tolerance else {
            return nil
        }
        return max(last, largest)
    }
}
