internal import Logging
internal import RoostMemory
internal import RoostSystem

/// One migration as its source's thread carries it on: when to look for dirty pages, how much to
/// send, when to stop the guest.
///
/// Every method is called by one thread at a time.
struct SourceSession: ~Copyable {
    /// Who takes part.
    struct Parties: Sendable {
        let tracker: any DirtyTracker
        let guest: any MigrationGuest
        let throttle: (any Throttle)?
        let connection: any SourceConnection
        let logger: Logger
        let gate: CancelGate
        /// Tells the time since the migration began.
        let now: @Sendable () -> Duration
    }

    /// The share of time that one part of the memory may take.
    static let iterationLimit = Duration.milliseconds(50)
    /// After how many pages the clock is looked at.
    private static let clockInterval = 64
    /// The section's number.
    ///
    /// Not 0: QEMU's handlers that have loaded nothing yet go by that.
    static let memorySection: UInt32 = 1
    static let firstPing: UInt32 = 1

    let parties: Parties
    var engine: SourceEngine
    private(set) var parameters: MigrationParameters
    var limiter: RateLimiter
    private(set) var switchOver: SwitchOver
    private(set) var convergence: AutoConverge
    var statistics = MigrationStatistics()

    var isTracking = false
    var isPaused = false
    /// Whether the stream has to list its blocks again.
    var mustList = false
    var remainingAtSync: UInt64 = 0
    private var remainders = RoundRemainders()
    var dirtiedInPeriod: UInt64 = 0
    var lastSync = Duration.zero
    /// Rounds as they count for the bound on them: those that are shorter than a slice together.
    private var boundedRounds: UInt64 = 0
    private var lastBoundedRound = Duration.zero
    /// What the guest dirtied in the last round, in bytes a second.
    var dirtyBytesPerSecond = 0.0
    var periodStartByteCount: UInt64 = 0
    /// What had been counted when the period began.
    var deltasAtStart = DeltaEncoder.Counters()
    var compressionAtStart = PageCompressor.Statistics()
    var handledAtStart: UInt64 = 0
    var digestByteCount: Int?

    init(
        _ parties: Parties, _ engine: consuming SourceEngine, _ parameters: MigrationParameters
    ) {
        self.parties = parties
        self.engine = engine
        self.parameters = parameters
        limiter = RateLimiter(bytesPerSecond: parameters.maximumBytesPerSecond, now: parties.now())
        switchOver = SwitchOver(downtimeLimit: parameters.downtimeLimit)
        convergence = AutoConverge(
            parameters.autoConverge ?? MigrationParameters.AutoConverge(),
            dialect: parameters.dialect)
    }

    /// Throws when somebody cancelled.
    func checkCancelled() throws(MigrationError) {
        guard !parties.gate.isCancelled else { throw MigrationSource.cancelled }
    }

    // MARK: Beginning

    /// Begins to track, and sends the stream's head with the list of blocks.
    mutating func setUp() throws(MigrationError) {
        let begin = parties.now()
        statistics.status = .setup
        statistics.ram.total = engine.memory.usedByteCount
        if parameters.xbzrleCacheByteCount != nil {
            statistics.xbzrleCache = MigrationStatistics.XBZRLECache()
        }
        if parameters.compression != nil {
            statistics.compression = MigrationStatistics.Compression()
        }
        if parameters.autoConverge != nil { statistics.throttlePercentage = 0 }
        try parties.tracker.start(engine.memory.blocks.map(\.tracked), memory: engine.memory.live)
        isTracking = true
        parties.logger.info(
            "dirty pages are found by \(parties.tracker.name)",
            metadata: ["tracker": "\(parties.tracker.name)"])
        if let snapshot = parties.tracker.snapshot { engine.read(from: snapshot) }
        try sync()
        engine.writer.beginStream()
        writeConfiguration()
        if parameters.opensReturnPath { openReturnPath() }
        engine.writer.beginSection(Self.memoryHeader(.start))
        try writeList()
        endSection()
        try flush()
        let end = parties.now()
        statistics.setupTime = end - begin
        statistics.status = .active
        report()
    }

    // MARK: Rounds

    /// Asks the tracker which pages were written, and slows the guest down where it must be.
    mutating func sync() throws(MigrationError) {
        let before = engine.bitmap.dirtyCount
        try engine.collect(from: parties.tracker)
        let newlyDirty = max(engine.bitmap.dirtyCount - before, 0)
        let dirtied = UInt64(newlyDirty) * UInt64(pageByteCount)
        dirtiedInPeriod += dirtied
        let now = parties.now()
        dirtyBytesPerSecond = Double(dirtied) / max((now - lastSync).inSeconds, 1e-6)
        lastSync = now
        if engine.round == 1 || now - lastBoundedRound >= RateLimiter.slice {
            boundedRounds += 1
            lastBoundedRound = now
        }
        remainingAtSync = engine.remainingByteCount
        // What the first look finds is the whole memory.
        if engine.round > 1 { remainders.add(remainingAtSync) }
        statistics.ram.dirtySyncCount = engine.round
        let period = convergence.sync(
            now: now, dirtied: dirtiedInPeriod,
            transferred: statistics.ram.transferred - periodStartByteCount)
        guard let period else { return }
        statistics.ram.dirtyPagesRate = period.dirtyPagesPerSecond
        dirtiedInPeriod = 0
        periodStartByteCount = statistics.ram.transferred
        updateRates()
        if let percentage = period.newPercentage, !isPaused { try slowDown(percentage) }
    }

    mutating func slowDown(_ percentage: Int) throws(MigrationError) {
        guard parameters.autoConverge != nil, let throttle = parties.throttle else { return }
        // Before it is set: a throttle that fails half way must be lifted too.
        statistics.throttlePercentage = percentage
        try throttle.set(percentage: percentage)
        parties.logger.info(
            "auto-converge takes \(percentage) % of the guest's processor time",
            metadata: ["throttle": "\(throttle.name)"])
    }

    /// What is left to send, in bytes.
    ///
    /// - Parameter isExact: Whether to ask the tracker first, which makes a round.
    /// - Returns: The bytes of the dirty pages.
    /// - Throws: `MigrationError` of the tracker or the throttle.
    mutating func pending(isExact: Bool) throws(MigrationError) -> UInt64 {
        if isExact { try sync() }
        return engine.remainingByteCount
    }

    /// Whether the guest is to be stopped and the rest sent; asks the tracker when what is known
    /// to be left would fit.
    mutating func shouldComplete() throws(MigrationError) -> Bool {
        let known = engine.remainingByteCount
        guard known == 0 || known < switchOver.threshold else { return false }
        return switchOver.shouldComplete(pending: try pending(isExact: true))
    }

    /// Sends one part of the memory: until nothing is dirty, the slice's quota is used up or 50 ms
    /// are over.
    ///
    /// - Returns: Whether nothing is dirty any more.
    mutating func iterate() throws(MigrationError) -> Bool {
        try checkCancelled()
        try takeAddedBlocks()
        engine.writer.beginSection(Self.memoryHeader(.part))
        if mustList { try writeList() }
        let (now, limiter, gate) = (parties.now, limiter, parties.gate)
        let begin = now()
        let isDone = try sendPages { sent, byteCount throws(MigrationError) in
            if gate.isCancelled { throw MigrationSource.cancelled }
            if limiter.isLimited(with: byteCount) { return true }
            return sent % Self.clockInterval == 0 && now() - begin > Self.iterationLimit
        }
        if parameters.dialect == .qemu2015 { try flushCompressor() }
        endSection()
        try flush()
        // A guest that was sent before the first slice is over need not wait for its end to know
        // the link.
        let knowsLink = switchOver.bytesPerSecond > 0
        endSlice(after: isDone && !knowsLink ? RateLimiter.tellingSlice : RateLimiter.slice)
        return isDone
    }

    mutating func sendPages(
        pausing pauses: (Int, UInt64) throws(MigrationError) -> Bool
    ) throws(MigrationError) -> Bool {
        let connection = parties.connection
        var flushed: UInt64 = 0
        defer { count(flushed) }
        return try engine.sendPages { sent, waiting throws(MigrationError) in
            try pauses(sent, flushed + UInt64(waiting))
        } flush: { queue throws(MigrationError) in
            let byteCount = UInt64(queue.count)
            try connection.send(&queue)
            flushed += byteCount
        }
    }

    mutating func flushCompressor() throws(MigrationError) {
        let connection = parties.connection
        var flushed: UInt64 = 0
        defer { count(flushed) }
        try engine.flushCompressor { queue throws(MigrationError) in
            flushed += UInt64(queue.count)
            try connection.send(&queue)
        }
    }

    /// Ends the slice when its time is over.
    mutating func endSlice(after least: Duration = RateLimiter.slice) {
        guard let slice = limiter.endSlice(now: parties.now(), after: least) else { return }
        switchOver.sliceEnded(
            slice, remaining: remainingAtSync,
            dirtyPagesPerSecond: statistics.ram.dirtyPagesRate)
        let seconds = slice.duration.inSeconds
        statistics.ram.mbps = Double(slice.byteCount) * 8 / seconds / 1e6
        statistics.expectedDowntime = switchOver.expectedDowntime
        report()
    }

    /// When to go on, when the slice's quota is used up.
    var resumption: Duration? {
        let pause = limiter.pause(now: parties.now())
        return pause > .zero ? pause : nil
    }

    /// Throws when the migration has no prospect of ending.
    func judge() throws(MigrationError) {
        let verdict = Verdict(
            roundLimit: parameters.maximumRounds, timeLimit: parameters.maximumTime)
        let situation = Verdict.Situation(
            round: boundedRounds, elapsed: parties.now(),
            dirtyBytesPerSecond: engine.round > 1 ? dirtyBytesPerSecond : nil,
            linkBytesPerSecond: switchOver.bytesPerSecond > 0 ? switchOver.bytesPerSecond : nil,
            pending: engine.remainingByteCount, roundRemainder: remainders.levelled,
            downtimeLimit: switchOver.downtimeLimit,
            bandwidthLimit: limiter.bytesPerSecond,
            hasAutoConverge: parameters.autoConverge != nil,
            throttlePercentage: convergence.percentage,
            maximumThrottlePercentage: parameters.autoConverge?.maximum ?? 0)
        if let failure = verdict.judge(situation) { throw failure }
    }

    // MARK: Changes while it runs

    /// Takes parameters that may change while it runs.
    mutating func change(to new: MigrationParameters) {
        limiter.bytesPerSecond = new.maximumBytesPerSecond
        switchOver.downtimeLimit = new.downtimeLimit
        parameters.maximumBytesPerSecond = new.maximumBytesPerSecond
        parameters.downtimeLimit = new.downtimeLimit
        parameters.maximumRounds = new.maximumRounds
        parameters.maximumTime = new.maximumTime
        guard let size = new.xbzrleCacheByteCount, size != parameters.xbzrleCacheByteCount,
            parameters.xbzrleCacheByteCount != nil
        else { return }
        parameters.xbzrleCacheByteCount = size
        do throws(MigrationError) {
            try engine.deltas?.cache.resize(toByteCount: size)
        } catch {
            parties.logger.warning("the XBZRLE cache keeps its size: \(error.description)")
        }
    }

    /// Asks the guest for blocks that it was given.
    mutating func takeAddedBlocks() throws(MigrationError) {
        let added = try parties.guest.addedBlocks()
        if !added.isEmpty { try add(added) }
    }

    /// Takes blocks that the guest was given.
    mutating func add(_ blocks: [MigratedBlock]) throws(MigrationError) {
        let tracked = try engine.add(blocks)
        for block in tracked { try parties.tracker.add(block) }
        statistics.ram.total = engine.memory.usedByteCount
        mustList = true
    }
}
