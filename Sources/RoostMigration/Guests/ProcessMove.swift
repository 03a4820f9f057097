public import Logging
internal import RoostSystem

/// Moves a guest that is a process of this host into another process of this host.
///
///     let source = try ProcessGuest.connect(to: "/run/guest.sock")
///     let destination = try ProcessGuest.connect(to: "/run/arrival.sock")
///     let report = try await ProcessMove(from: source, to: destination, options).run { _ in }
///
/// Source and destination are the same that stand on two hosts, joined by a pair of sockets. The
/// destination's process was started to wait for its memory; when it has arrived the source's
/// process is ended.
///
/// ## Who runs the guest
///
/// Both processes are watched, and the end of one ends the move at once. Until the destination's
/// process is told to run, every failure continues the source's. From then until it answers, a
/// failure ends the destination's process and continues the source's when that has ended; a
/// keeper does the same should this process be killed. After the answer nobody continues the
/// source's process.
public struct ProcessMove: Sendable {
    /// How a guest is moved.
    public struct Options: Sendable {
        /// How memory is sent.
        public var parameters = MigrationParameters()
        /// How written pages are found.
        public var tracker = TrackerKind.automatic
        /// How processor time is taken, where auto-converge is on.
        public var throttle = ThrottleKind.automatic
        /// How many threads decode compressed pages.
        public var decompressionThreads = 2

        /// Makes options.
        public init() {}
    }

    /// What a move came to.
    public struct Report: Sendable {
        /// What the source did.
        public let source: MigrationStatistics
        /// What the destination loaded.
        public let destination: DestinationStatistics
        /// Which tracker found the written pages.
        public let tracker: String
        /// What slowed the guest down, where auto-converge was on.
        public let throttle: String?
    }

    /// Where a move is, for tests that break it there.
    package enum Step: String, Sendable, CaseIterable {
        /// Memory is sent for the first time.
        case firstRound
        /// The guest stands still.
        case stopped
        /// All memory has arrived; the destination's process was not told to run.
        case beforeArrival
        /// The destination's process is told to run next; the keeper would end it.
        case atArrival
        /// The destination's process has answered that it runs; the source's has not ended yet.
        case arrived
    }

    /// How often the caller is told how far the move is.
    private static let progressInterval = Duration.milliseconds(200)

    private let source: ProcessGuest
    private let destination: ProcessGuest
    private let options: Options
    private let logger: Logger
    /// Called once at each step, by the thread that takes it.
    package var onStep: @Sendable (Step) -> Void = { _ in }

    /// Describes a move.
    ///
    /// - Parameters:
    ///   - source: The guest that runs.
    ///   - destination: The process that waits for its memory, with blocks of the same names and
    ///     lengths.
    ///   - options: How it is moved.
    ///   - logger: Told what is chosen and what happens.
    public init(
        from source: ProcessGuest, to destination: ProcessGuest, _ options: Options,
        logger: Logger = Logger(label: "roost.migration") { _ in SwiftLogNoOpLogHandler() }
    ) {
        self.source = source
        self.destination = destination
        self.options = options
        self.logger = logger
    }

    /// Moves the guest.
    ///
    /// - Parameter observer: Told how far it is, a few times a second.
    /// - Returns: What was moved; the guest runs in the destination's process.
    /// - Throws: `MigrationError`: what ended the move first, and where the guest runs now. It runs
    ///   on where it was, unless it is gone.
    public func run(
        _ observer: @escaping @Sendable (MigrationStatistics) -> Void
    ) async throws(MigrationError) -> Report {
        guard destination.awaitsArrival else {
            throw MigrationError(
                .guest,
                "the destination's process \(destination.processID) does not wait for memory, and "
                    + "the guest runs on in process \(source.processID): start one with incoming "
                    + "memory")
        }
        let handOver = try HandOver(from: source, to: destination, onStep)
        let tracker = try source.tracker(options.tracker) { kind, reason in
            logger.notice("tracker \(kind.rawValue) cannot be used: \(reason)")
        }
        var throttle: (any Throttle)?
        if options.parameters.autoConverge != nil {
            throttle = try source.throttle(options.throttle) { kind, reason in
                logger.notice("throttle \(kind.rawValue) cannot be used: \(reason)")
            }
        }
        let (near, far) = try Self.pair()
        let sending = try MigrationSource(
            blocks: source.blocks.map(\.migrated), tracker: tracker, guest: handOver,
            throttle: throttle, connection: SocketConnection(near),
            parameters: options.parameters, logger: logger)
        let destination = destination
        let loading = MigrationDestination(
            blocks: destination.blocks.map(\.migrated), socket: far,
            options: DestinationOptions(
                maximumRAMByteCount: .max, decompressionThreads: options.decompressionThreads,
                dialect: options.parameters.dialect)
        ) { (try? destination.newBlocks().map(\.migrated)) ?? [] }
        let watch = try ProcessWatch(source.process.handle, destination.process.handle) { ended in
            sending.cancel()
            // What has reached the destination whole needs the source's process no more.
            if ended == .second { loading.cancel() }
        }
        let (sent, loaded) = await Self.both(sending, loading, observer)
        let ended = watch.stop()
        guard case .success(let statistics) = sent, case .success(let arrival) = loaded else {
            throw handOver.stay(after: Self.reason(sent, loaded), ended)
        }
        try await Self.blocking(handOver)
        return Report(
            source: statistics, destination: arrival, tracker: tracker.name,
            throttle: throttle?.name)
    }

    /// Why a move failed: what the destination says is why the source was refused.
    private static func reason(
        _ sent: Result<MigrationStatistics, MigrationError>,
        _ loaded: Result<DestinationStatistics, MigrationError>
    ) -> MigrationError {
        switch (sent, loaded) {
        case (.failure(let error), .failure(let other)):
            error.kind == .transfer || error.kind == .peer ? other : error
        case (.failure(let error), .success), (.success, .failure(let error)): error
        case (.success, .success): MigrationError(.cancelled, "the move has succeeded")
        }
    }

    private static func blocking(_ handOver: HandOver) async throws(MigrationError) {
        let outcome = await MigrationThread.run("roost-hand-over") { () throws(MigrationError) in
            try handOver.complete()
        }
        guard case .failure(let failure) = outcome else { return }
        // Where there was no thread, nothing was handed over.
        throw handOver.isBegun ? failure : handOver.stay(after: failure, nil)
    }

    private static func pair() throws(MigrationError) -> (StreamSocket, StreamSocket) {
        do throws(SystemError) {
            return try StreamSocket.pair()
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
    }

    private static func both(
        _ sending: MigrationSource, _ loading: MigrationDestination,
        _ observer: @escaping @Sendable (MigrationStatistics) -> Void
    ) async -> (
        Result<MigrationStatistics, MigrationError>, Result<DestinationStatistics, MigrationError>
    ) {
        let watch = Task {
            while !Task.isCancelled {
                observer(sending.statistics)
                try? await Task.sleep(for: progressInterval)
            }
        }
        async let loaded = outcome { () throws(MigrationError) in try await loading.run() }
        let sent = await outcome { () throws(MigrationError) in try await sending.run() }
        let result = await (sent, loaded)
        watch.cancel()
        await watch.value
        return result
    }

    private static func outcome<Value: Sendable>(
        _ body: @Sendable () async throws(MigrationError) -> Value
    ) async -> Result<Value, MigrationError> {
        do throws(MigrationError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}

extension GuestBlock {
    /// The block as source and destination take it.
    public var migrated: MigratedBlock {
        MigratedBlock(
            RAMBlock(name: name, usedByteCount: UInt64(byteCount)), memory: memoryFile)
    }
}
