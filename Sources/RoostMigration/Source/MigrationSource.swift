public import Logging
internal import RoostMemory
internal import RoostSystem
internal import Synchronization
public import SystemPackage

/// The source of a live migration: sends a guest's memory in QEMU's stream format while the guest
/// runs, and lets it go when the destination has everything.
///
///     let source = try MigrationSource(
///         blocks: blocks, tracker: tracker, guest: guest, throttle: nil,
///         to: connected, parameters: parameters, logger: logger)
///     let statistics = try await source.run()
///
/// ## Theory of operation
///
/// The first round sends every page, each later one those that were written since. When what is
/// left can be sent within the allowed downtime the guest is stopped, the rest sent, and the
/// destination's answer awaited. A page goes as a zero, a delta, compressed or whole, whichever its
/// ``MigrationParameters`` allow and is least, in that order.
///
/// ``run()`` does all of it by QEMU's rules on a thread of its own. An embedder with a schedule of
/// its own calls the steps instead: ``setUp()``, then ``iterate()`` and ``delay()`` until ``pending(isExact:)`` is
/// small enough, then ``complete()``, all by one thread at a time.
///
/// A failure of any step and ``cancel()`` before the last byte is sent leave the guest running
/// here, its tracking ended, its throttle lifted and the memory of the migration freed.
public final class MigrationSource: Sendable {
    private struct Control {
        var parameters: MigrationParameters
        var hasChanged = false
        var added: [MigratedBlock] = []
        var statistics = MigrationStatistics()
    }

    static let cancelled = MigrationError(
        .cancelled, "the migration was cancelled; the guest runs on at the source")

    private let connection: any SourceConnection
    private let gate: CancelGate
    private let control: Mutex<Control>
    /// `nil` once the migration is over.
    private let session: Mutex<SourceSession?>

    /// Makes a source that sends over a socket.
    ///
    /// - Parameters:
    ///   - blocks: The guest's RAM blocks.
    ///   - tracker: What finds the pages that the guest writes.
    ///   - guest: What stops and continues the guest.
    ///   - throttle: What slows the guest down when auto-converge asks for it.
    ///   - destination: A connected stream socket that blocks, at whose other end a
    ///     ``MigrationDestination`` or a QEMU waits for its guest. The source owns it from then on.
    ///   - parameters: How memory is sent.
    ///   - logger: Told which tracker is in use, what auto-converge does and what goes wrong.
    /// - Throws: `MigrationError` of kind `malformed` or `limit` for what cannot be, `transfer` when
    ///   there is no memory, descriptor or thread; nothing was begun then.
    public convenience init(
        blocks: [MigratedBlock], tracker: any DirtyTracker, guest: any MigrationGuest,
        throttle: (any Throttle)?, to destination: FileDescriptor,
        parameters: MigrationParameters = MigrationParameters(),
        logger: Logger = Logger(label: "roost.migration") { _ in SwiftLogNoOpLogHandler() }
    ) throws(MigrationError) {
        try self.init(
            blocks: blocks, tracker: tracker, guest: guest, throttle: throttle,
            connection: SocketConnection(StreamSocket(OwnedDescriptor(destination))),
            parameters: parameters, logger: logger)
    }

    package init(
        blocks: [MigratedBlock], tracker: any DirtyTracker, guest: any MigrationGuest,
        throttle: (any Throttle)?, connection: any SourceConnection,
        parameters: MigrationParameters, logger: Logger, now: (@Sendable () -> Duration)? = nil
    ) throws(MigrationError) {
        try parameters.check()
        self.connection = connection
        control = Mutex(Control(parameters: parameters))
        do throws(Errno) {
            gate = CancelGate(try StopSignal())
        } catch {
            throw MigrationError(
                .transfer, errno: error, "cannot begin a migration: \(error); raise ulimit -n")
        }
        let start = ContinuousClock.now
        let parties = SourceSession.Parties(
            tracker: tracker, guest: guest, throttle: throttle, connection: connection,
            logger: logger, gate: gate, now: now ?? { ContinuousClock.now - start })
        session = Mutex(
            SourceSession(parties, try Self.engine(blocks, parameters), parameters))
    }

    private static func engine(
        _ blocks: [MigratedBlock], _ parameters: MigrationParameters
    ) throws(MigrationError) -> SourceEngine {
        var memory = try SourceMemory.make(for: blocks)
        _ = try memory.add(blocks)
        let bitmap = try DirtyBitmap(pageCount: memory.pageCount)
        var deltas: DeltaEncoder?
        if let size = parameters.xbzrleCacheByteCount {
            deltas = try DeltaEncoder(cacheByteCount: size, dialect: parameters.dialect)
        }
        var compressor: PageCompressor?
        if let options = parameters.compression {
            compressor = try PageCompressor(options)
        }
        return SourceEngine(memory, bitmap, deltas, compressor, dialect: parameters.dialect)
    }

    // MARK: From any thread

    /// What the migration has done so far; may be asked by any thread, during it and afterwards.
    public var statistics: MigrationStatistics { control.withLock { $0.statistics } }

    /// Changes what may change while it runs: bandwidth, downtime, bounds, the size of a cache that
    /// is there.
    ///
    /// Other changes are passed over. Any thread may call it.
    ///
    /// Calls at the same time come one after the other, so none loses what another changed.
    ///
    /// - Parameter change: Changes the parameters; must not call this migration.
    /// - Throws: `MigrationError` of kind `limit`; nothing is changed then.
    public func update(
        _ change: (inout MigrationParameters) -> Void
    ) throws(MigrationError) {
        try control.withLock { control throws(MigrationError) in
            var parameters = control.parameters
            change(&parameters)
            try parameters.check()
            control.parameters = parameters
            control.hasChanged = true
        }
    }

    /// Adds memory that the guest was given while it moves; any thread may call it.
    ///
    /// The destination must have blocks of the same names.
    ///
    /// - Parameter blocks: The new blocks.
    public func add(_ blocks: [MigratedBlock]) {
        control.withLock { $0.added += blocks }
    }

    /// Ends the migration before its switch-over: the guest runs on here.
    ///
    /// Returns at once; what runs then throws an error of kind `cancelled`. Does nothing once the
    /// last byte was sent: the destination may have started the guest. Any thread may call it.
    public func cancel() {
        if gate.cancel() { connection.close() }
    }

    // MARK: Steps

    /// Begins to track what the guest writes, and sends the head of the stream.
    ///
    /// - Throws: `MigrationError`; the migration is over then.
    public func setUp() throws(MigrationError) {
        try step { session throws(MigrationError) in try session.setUp() }
    }

    /// Sends dirty pages for at most 50 ms, or as much as the bandwidth allows.
    ///
    /// - Returns: Whether nothing was dirty any more.
    /// - Throws: `MigrationError`; the migration is over then.
    public func iterate() throws(MigrationError) -> Bool {
        try step { session throws(MigrationError) in try session.iterate() }
    }

    /// How long to wait before ``iterate()`` may send more, as the bandwidth allows.
    ///
    /// - Returns: The time until the slice ends, or zero.
    /// - Throws: `MigrationError` of kind `cancelled` when the migration is over.
    public func delay() throws(MigrationError) -> Duration {
        try step { session throws(MigrationError) in
            session.endSlice()
            return session.resumption ?? .zero
        }
    }

    /// What is left to send, in bytes.
    ///
    /// - Parameter isExact: Whether to look for newly written pages first, which makes a round.
    /// - Returns: The bytes of the dirty pages.
    /// - Throws: `MigrationError`; the migration is over then.
    public func pending(isExact: Bool) throws(MigrationError) -> UInt64 {
        try step { session throws(MigrationError) in try session.pending(isExact: isExact) }
    }

    /// Stops the guest, sends the rest and waits for the destination's answer.
    ///
    /// - Returns: What the whole migration did.
    /// - Throws: `MigrationError`; the migration is over then, and the guest runs on here.
    @discardableResult
    public func complete() throws(MigrationError) -> MigrationStatistics {
        try step { session throws(MigrationError) in try session.complete() }
        finish(nil)
        return statistics
    }

    /// Carries the migration to its end by QEMU's rules, on a thread of its own.
    ///
    /// Cancelling the task is ``cancel()``.
    ///
    /// - Returns: What it did.
    /// - Throws: `MigrationError`: of kind `notConverging` when it passes its bounds of rounds or
    ///   time, `guest` when the guest is gone, `cancelled`, or what broke. The guest, if it is
    ///   there, runs on at the source.
    public func run() async throws(MigrationError) -> MigrationStatistics {
        let outcome = await withTaskCancellationHandler {
            await MigrationThread.run("roost-source") { () throws(MigrationError) in
                try self.carry()
            }
        } onCancel: {
            cancel()
        }
        if case .failure(let failure) = outcome {
            // What failed on the thread has ended the migration; that there was none has not.
            finish(failure)
            throw failure
        }
        return statistics
    }

    /// The whole migration, on the thread that calls it.
    private func carry() throws(MigrationError) {
        try setUp()
        while true {
            let isReady = try step { session throws(MigrationError) in
                try session.shouldComplete()
            }
            if isReady { break }
            try step { session throws(MigrationError) in try session.judge() }
            _ = try iterate()
            let pause = try step { session throws(MigrationError) in session.resumption }
            if let pause {
                connection.sleep(until: ContinuousClock.now + pause, unless: gate.stop)
                try step { session throws(MigrationError) in session.endSlice() }
            }
        }
        try complete()
    }

    /// Runs a step on the session; when it throws, the migration is over.
    private func step<Value: Sendable>(
        _ body: (inout SourceSession) throws(MigrationError) -> Value
    ) throws(MigrationError) -> Value {
        do throws(MigrationError) {
            return try session.withLock { held throws(MigrationError) -> Value in
                try apply(to: &held)
                let value = try Self.with(&held, body)
                publish(&held)
                return value
            }
        } catch {
            // What a cancelled migration fails with first is of no interest.
            let failure = gate.isCancelled && error.kind != .guest ? Self.cancelled : error
            finish(failure)
            throw failure
        }
    }

    private static func with<Value>(
        _ held: inout SourceSession?, _ body: (inout SourceSession) throws(MigrationError) -> Value
    ) throws(MigrationError) -> Value {
        guard var session = held.take() else {
            throw MigrationError(.cancelled, "the migration is over: make another source")
        }
        do throws(MigrationError) {
            let value = try body(&session)
            held = consume session
            return value
        } catch {
            held = consume session
            throw error
        }
    }

    /// Hands the session what other threads asked for.
    private func apply(to held: inout SourceSession?) throws(MigrationError) {
        let wanted = control.withLock { control in
            defer {
                control.hasChanged = false
                control.added = []
            }
            return (
                parameters: control.hasChanged ? control.parameters : nil, added: control.added
            )
        }
        if let parameters = wanted.parameters { held?.change(to: parameters) }
        if !wanted.added.isEmpty { try held?.add(wanted.added) }
    }

    private func publish(_ held: inout SourceSession?) {
        guard let statistics = held?.statistics else { return }
        control.withLock { $0.statistics = statistics }
    }

    /// Ends the migration, once: with a failure the guest runs on here.
    private func finish(_ failure: MigrationError?) {
        session.withLock { held in
            guard var session = held.take() else { return }
            session.end(hasMoved: failure == nil)
            session.statistics.status =
                failure == nil ? .completed : failure?.kind == .cancelled ? .cancelled : .failed
            session.statistics.errorDescription = failure?.description
            session.report()
            let statistics = session.statistics
            control.withLock { $0.statistics = statistics }
        }
    }
}
