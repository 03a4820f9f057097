/// What checking all of a stamped guest's pages showed.
public struct StampedVerification: Sendable, Equatable {
    /// How many steps are complete.
    public let step: UInt64
    /// Pages whose generation was compared with the one that it must be.
    public var generationsChecked = 0
    /// Pages with an older generation: a write was lost.
    public var lost: UInt64
    /// Pages with a newer generation: a write was done twice.
    public var repeated: UInt64
    /// Pages whose checksum, number or step is wrong.
    public var damaged: UInt64
    /// How long the guest stood still, all together.
    public let pauses: Duration
    /// The longest of the pauses.
    public let longestPause: Duration

    init(
        step: UInt64, lost: UInt64, repeated: UInt64, damaged: UInt64, pauses: Duration,
        longestPause: Duration
    ) {
        self.step = step
        self.lost = lost
        self.repeated = repeated
        self.damaged = damaged
        self.pauses = pauses
        self.longestPause = longestPause
    }

    /// Whether nothing was lost, repeated or damaged.
    public var isRight: Bool { lost == 0 && repeated == 0 && damaged == 0 }

    /// The result as one line of JSON.
    public var json: String {
        """
        {"step":\(step),"generationsChecked":\(generationsChecked),"lost":\(lost),\
        "repeated":\(repeated),"damaged":\(damaged),"pausesMicroseconds":\(Self.microseconds(pauses)),\
        "longestPauseMicroseconds":\(Self.microseconds(longestPause)),"ok":\(isRight)}
        """
    }

    private static func microseconds(_ time: Duration) -> Int64 {
        time.components.seconds * 1_000_000 + time.components.attoseconds / 1_000_000_000_000
    }
}

/// A stamped guest that cannot be.
public struct StampedGuestError: Error, Equatable, Sendable, CustomStringConvertible {
    /// One sentence: what is wrong.
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
