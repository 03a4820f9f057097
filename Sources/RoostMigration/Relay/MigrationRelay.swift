internal import RoostMemory
package import RoostSystem
internal import Synchronization
public import SystemPackage

/// The source's end of a move through Roost: QEMU's stream in, Roost's wire out.
///
/// What ends a move is decided in one place: as long as the source has not let go of its guest, a
/// failure of either side closes the source's connection, and QEMU runs the guest on where it is;
/// when it has, and the receiver was told to hand the mark on, nothing takes it back.
///
///     let relay = MigrationRelay(source: accepted, wire: connected, options: options)
///     let moved = try await relay.run()
///
/// ## Theory of operation
///
/// One thread carries a move. It waits for both connections at once, reads the stream as long as the
/// wire takes frames, keeps the memory, and always hears both ends; what others have to say to it,
/// a cancellation for one, comes through a mailbox. ``Ownership`` says what follows from what
/// happened, and each of its decisions is in the journal before it is carried out.
///
/// Any thread may call any method.
public final class MigrationRelay: Sendable {
    /// What a relay is given by others while it carries a move.
    enum Notice: Sendable {
        /// The move is to end.
        case fail(MigrationError)
        /// A connection to the receiver, asked for again.
        case link(WireSocket)
        /// The receiver could not be connected to again.
        case unanswered(MigrationError)
        /// Whether the source has let go, by its monitor.
        case release(Bool)
    }

    /// What lies around a move.
    package struct Surroundings: Sendable {
        /// Where the move's journal is kept; `nil` keeps none, so that nothing is known after a kill.
        package var journalFolder: String?
        /// By what the move is found again by the same command.
        package var key = ""
        /// Connects to the receiver again; `nil` cannot.
        package var connector: (@Sendable () async throws -> WireSocket)?
        /// Whether the source has let go of the guest, for who can ask its monitor.
        package var confirmsRelease: (@Sendable () async -> Bool)?

        /// Makes surroundings in which nothing is kept or asked.
        package init() {}
    }

    struct State {
        var statistics = RelayStatistics()
        var hasRun = false
        var place = Ownership.Place.source
        var session: MoveSession?
        /// The journal of a move that is over.
        var journal: OwnershipJournal?
    }

    let options: RelayOptions
    let surroundings: Surroundings
    let mailbox: Result<EngineMailbox<Notice>, MigrationError>
    let state = Mutex(State())
    private let source: StreamSocket?
    private let wire: WireSocket?
    private let left: OwnershipJournal?
    /// The memory of a move that is over, for ``RelayOptions/dumpFolder``.
    let memory = Mutex<GuestMemory?>(nil)

    /// Makes a relay between two connections that it owns from then on.
    ///
    /// - Parameters:
    ///   - source: A connected stream socket that blocks, at whose other end QEMU migrates.
    ///   - wire: A connected stream socket that blocks, at whose other end a
    ///     ``MigrationReceiver`` is.
    ///   - options: The limits.
    public convenience init(
        source: FileDescriptor, wire: FileDescriptor, options: RelayOptions
    ) {
        self.init(
            source: StreamSocket(OwnedDescriptor(source)),
            wire: WireSocket(StreamSocket(OwnedDescriptor(wire))), options: options)
    }

    /// Makes a relay between two connections that it owns from then on.
    ///
    /// - Parameters:
    ///   - source: The connection at whose other end QEMU migrates.
    ///   - wire: The connection at whose other end a ``MigrationReceiver`` is.
    ///   - options: The limits.
    ///   - surroundings: Where journals are kept, and who is asked.
    package init(
        source: StreamSocket, wire: WireSocket, options: RelayOptions,
        surroundings: Surroundings = Surroundings()
    ) {
        self.source = source
        self.wire = wire
        self.options = options
        self.surroundings = surroundings
        left = nil
        mailbox = Self.makeMailbox()
    }

    /// Goes on with a move whose relay was killed.
    ///
    /// - Parameters:
    ///   - left: Its journal.
    ///   - options: The limits.
    ///   - surroundings: Who connects to the receiver.
    package init(
        after left: OwnershipJournal, options: RelayOptions, surroundings: Surroundings
    ) {
        source = nil
        wire = nil
        self.left = left
        self.options = options
        self.surroundings = surroundings
        mailbox = Self.makeMailbox()
    }

    private static func makeMailbox() -> Result<EngineMailbox<Notice>, MigrationError> {
        do throws(MigrationError) {
            return .success(try EngineMailbox())
        } catch {
            return .failure(error)
        }
    }

    /// What was moved so far, during the move and after it.
    public var statistics: RelayStatistics { state.withLock { $0.statistics } }

    /// The number by which both ends and `roost migrate resolve` know the move, once it has begun.
    package var session: MoveSession? { state.withLock { $0.session } }

    /// Where the guest is, once ``run()`` has returned.
    var place: Ownership.Place { state.withLock { $0.place } }

    /// Ends the move: the source's QEMU fails its migration and its guest runs on.
    ///
    /// May be called at any time, before ``run()`` too, and returns at once; ``run()`` then throws
    /// an error of kind `cancelled`. Does nothing to a move whose destination may have the guest.
    public func cancel() {
        fail(MigrationError(.cancelled, "the move was cancelled"))
    }

    func fail(_ error: MigrationError) {
        if case .success(let mailbox) = mailbox { mailbox.post(.fail(error)) }
    }

    /// Carries the move from the first byte to the destination's last word.
    ///
    /// Blocking work is done on a thread of its own, which has ended when it returns; both
    /// connections are shut then. After a failure the other side is given at most five seconds to
    /// hear the reason. Cancelling the task is ``cancel()``.
    ///
    /// - Returns: What was moved.
    /// - Throws: `MigrationError`: what ended the move first, from either side, and where that
    ///   leaves the guest. An error of kind `transfer` for ``RelayOptions/dumpFolder`` comes after
    ///   the move, which is complete then.
    /// - Precondition: It is called once.
    public func run() async throws(MigrationError) -> RelayStatistics {
        let isFirst = state.withLock { state in
            defer { state.hasRun = true }
            return !state.hasRun
        }
        precondition(isFirst, "a relay carries one move")
        let outcome = await withTaskCancellationHandler {
            await MigrationThread.run("roost-relay") { () throws(MigrationError) in
                try self.carry()
            }
        } onCancel: {
            cancel()
        }
        await wire?.close()
        try outcome.get()
        try await dump()
        return statistics
    }

    private func carry() throws(MigrationError) {
        let mailbox = try mailbox.get()
        if let left {
            var engine = RelayEngine(self, mailbox, after: left)
            return try engine.run()
        }
        guard let source, let wire else { return }
        defer {
            source.shutdown(.both)
            wire.socket.shutdown(.both)
        }
        var engine = try RelayEngine(self, mailbox, source, wire)
        try engine.run()
    }

    private func dump() async throws(MigrationError) {
        guard let folder = options.dumpFolder else { return }
        try await MigrationThread.dump(of: "the destination has the guest") {
            () throws(MigrationError) in
            try self.memory.withLock { memory throws(MigrationError) in
                try memory?.dump(to: folder)
            }
        }
    }

    static var multifdError: MigrationError {
        MigrationError(
            .unsupported,
            "the source sends the guest with multifd, whose pages travel on connections beside the "
                + "stream: turn multifd off at both QEMUs (migrate_set_capability multifd off)")
    }
}

/// A further connection of the source.
extension MigrationRelay {
    /// How long a further connection may take to say what it is; QEMU says it at once.
    private static let channelLimit = Duration.seconds(5)

    /// Looks at a further connection that the source opened while its stream is carried.
    ///
    /// With multifd a source sends its pages on channels beside the stream. Nothing in the stream
    /// itself need tell (before QEMU 8.1 nothing does), and to the source a channel that is refused
    /// is just a connection that failed. So the channel is accepted, and ends the move with its
    /// name. Any other connection is closed, and the move goes on.
    ///
    /// - Parameter socket: The connection.
    package func look(at socket: StreamSocket) async {
        _ = await MigrationThread.run("roost-channel") { () throws(MigrationError) in
            defer { socket.shutdown(.both) }
            let deadline = ContinuousClock.now + Self.channelLimit
            var input = ByteQueue(capacity: 64)
            while input.count < 4 {
                guard socket.wait(for: .input, until: deadline) == .this,
                    let count = try? input.fill(from: socket.descriptor), count > 0
                else { return }
            }
            let magic = input.bytes.loadBigEndian(at: 0, as: UInt32.self)
            if magic == StreamFormat.multifdMagic { self.fail(Self.multifdError) }
        }
    }
}
