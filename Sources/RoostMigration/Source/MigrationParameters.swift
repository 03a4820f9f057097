/// How a ``MigrationSource`` sends memory; QEMU's parameters under QEMU's meanings.
public struct MigrationParameters: Sendable, Equatable {
    /// How pages are compressed by worker threads: QEMU's `compress`, which it had up to 9.0.
    public struct Compression: Sendable, Equatable {
        /// How many threads: `compress-threads`, 1 to 255.
        public var threads: Int
        /// zlib's level: `compress-level`, 0 (none) to 9 (best).
        public var level: Int
        /// Whether a page waits for a free thread: `compress-wait-thread`.
        ///
        /// If not, it goes whole.
        public var waitsForThread: Bool

        /// Makes options.
        ///
        /// - Parameters:
        ///   - threads: How many threads, 1 to 255.
        ///   - level: zlib's level, 0 to 9.
        ///   - waitsForThread: Whether a page waits for a free thread.
        public init(threads: Int = 8, level: Int = 1, waitsForThread: Bool = true) {
            self.threads = threads
            self.level = level
            self.waitsForThread = waitsForThread
        }
    }

    /// How a guest that dirties too fast is slowed down: QEMU's `auto-converge`.
    public struct AutoConverge: Sendable, Equatable {
        /// How much may be dirtied, in percent of what was sent: `throttle-trigger-threshold`, 1 to
        /// 100.
        ///
        /// 50 in the dialect `qemu2015`, whatever stands here.
        public var threshold: Int
        /// What the first action takes, in percent: `cpu-throttle-initial`, 1 to 99.
        public var initial: Int
        /// What each further action adds, in percent: `cpu-throttle-increment`, 1 to 99.
        public var increment: Int
        /// The most that is taken, in percent: `max-cpu-throttle`, from the initial share to 99.
        public var maximum: Int
        /// Whether further actions take no more than seems needed: `cpu-throttle-tailslow`.
        public var isTailSlow: Bool

        /// Makes options.
        ///
        /// - Parameters:
        ///   - threshold: How much may be dirtied, in percent of what was sent.
        ///   - initial: What the first action takes, in percent.
        ///   - increment: What each further action adds, in percent.
        ///   - maximum: The most that is taken, in percent.
        ///   - isTailSlow: Whether further actions take no more than seems needed.
        public init(
            threshold: Int = 50, initial: Int = 20, increment: Int = 10, maximum: Int = 99,
            isTailSlow: Bool = false
        ) {
            self.threshold = threshold
            self.initial = initial
            self.increment = increment
            self.maximum = maximum
            self.isTailSlow = isTailSlow
        }
    }

    /// Whose rules hold where QEMU's versions differ.
    public var dialect = MigrationDialect.standard
    /// What the stream says the machine is.
    ///
    /// QEMU compares it with its own; Roost does not.
    public var machineType = "roost"
    /// The size of the XBZRLE cache in bytes, or `nil` for no deltas: `xbzrle-cache-size`.
    ///
    /// Rounded down to a power of two; can be changed while the migration runs.
    public var xbzrleCacheByteCount: Int?
    /// How pages are compressed, or `nil` for not at all.
    ///
    /// With XBZRLE on too, in the first round only.
    public var compression: Compression?
    /// The most bytes a second, 0 for no limit: `max-bandwidth`.
    ///
    /// Can be changed while it runs.
    public var maximumBytesPerSecond: UInt64 = 0
    /// How long the guest may stand still: `downtime-limit`.
    ///
    /// Can be changed while it runs.
    public var downtimeLimit = SwitchOver.defaultDowntimeLimit
    /// How a guest that dirties too fast is slowed down, or `nil` for not at all.
    public var autoConverge: AutoConverge?
    /// The most rounds before the move is given up as one that does not converge, or `nil` for any
    /// number; rounds within 100 ms count as one.
    public var maximumRounds: UInt64? = 500
    /// The most time before the move is given up as one that does not converge, or `nil` for any.
    public var maximumTime: Duration?
    /// Whether the destination answers when it has loaded everything: QEMU's `return-path`.
    ///
    /// The guest is let go only then.
    public var opensReturnPath = true
    /// Whether digests of the blocks follow the memory, by which a ``MigrationDestination`` refuses
    /// to start on a difference.
    ///
    /// QEMU refuses such a stream.
    public var sendsDigests = false

    /// Makes parameters: no deltas, no compression, no limit of bandwidth, 300 ms of downtime.
    public init() {}

    /// Refuses values outside their ranges.
    ///
    /// - Throws: `MigrationError` of kind `limit`, which names the parameter and its range.
    func check() throws(MigrationError) {
        if let xbzrleCacheByteCount { _ = try PageCache.slotCount(xbzrleCacheByteCount) }
        try autoConverge?.check()
        guard downtimeLimit >= .zero, downtimeLimit <= .seconds(2000) else {
            throw MigrationError(
                .limit, "downtime-limit is \(downtimeLimit): give 0 to 2000 seconds")
        }
        guard (1...StreamFormat.machineTypeLimit).contains(machineType.utf8.count) else {
            throw MigrationError(
                .limit,
                "the machine type '\(machineType)' cannot be sent: give 1 to "
                    + "\(StreamFormat.machineTypeLimit) bytes")
        }
    }
}

extension MigrationParameters.AutoConverge {
    /// Refuses values outside their ranges.
    ///
    /// - Throws: `MigrationError` of kind `limit`.
    func check() throws(MigrationError) {
        try Self.check(threshold, 1...100, "throttle-trigger-threshold")
        try Self.check(initial, 1...99, "cpu-throttle-initial")
        try Self.check(increment, 1...99, "cpu-throttle-increment")
        guard maximum <= 99, maximum >= initial else {
            throw MigrationError(
                .limit,
                "max-cpu-throttle is \(maximum): give cpu-throttle-initial, \(initial), to 99")
        }
    }

    private static func check(
        _ value: Int, _ range: ClosedRange<Int>, _ name: String
    ) throws(MigrationError) {
        guard range.contains(value) else {
            throw MigrationError(
                .limit, "\(name) is \(value): give \(range.lowerBound) to \(range.upperBound)")
        }
    }
}
