internal import RoostMemory
package import RoostSystem
internal import Synchronization
public import SystemPackage

/// The destination's end of a move through Roost: Roost's wire in, QEMU's stream out.
///
/// The stream goes to a QEMU that waits for it or to a file. Its end-of-file mark, at which QEMU
/// starts the guest, is held back until the source has let go of the guest and says so.
///
///     let receiver = MigrationReceiver(wire: accepted, destination: connected, options: options)
///     let moved = try await receiver.run()
///
/// ## Theory of operation
///
/// One thread carries a move. It waits for the wire and the destination at once, takes frames, keeps
/// the memory and writes the stream; what others have to say to it comes through a mailbox. When the
/// relay says that it has sent everything, the destination is asked by a PING in front of the mark
/// whether it has loaded all before it, and both ends' digests of the memory are compared.
/// ``Ownership`` says what follows, and each of its decisions is in the journal before it is carried
/// out.
///
/// Any thread may call any method.
public final class MigrationReceiver: Sendable {
    /// How long the destination QEMU may take to accept a connection.
    static let connectLimit = Duration.seconds(10)

    /// Where the stream goes, which is opened when the relay has said what it comes for.
    package enum Output: Sendable {
        /// A QEMU that listens at an endpoint.
        case endpoint(Endpoint)
        /// A connection to a QEMU.
        case socket(StreamSocket)
        /// A file, which appears under its name when it is whole.
        case file(String, mayReplace: Bool = false)
    }

    /// What a receiver is given by others while it carries a move.
    enum Notice: Sendable {
        /// The move is to end.
        case fail(MigrationError)
        /// The relay came back.
        case link(ArrivedLink)
        /// The file's thread has done something.
        case file(FileSink.Notice)
    }

    /// Where connections come from.
    enum Entrance: Sendable {
        case wire(WireSocket)
        case listener(MoveListener)
    }

    struct State {
        var statistics = RelayStatistics()
        var hasRun = false
        var session: MoveSession?
        var token: MoveSession?
        var journal: OwnershipJournal?
        /// Whether the move is over, so that whoever comes back is answered from the journal.
        var isOver = false
    }

    let output: Output
    let options: RelayOptions
    let journalFolder: String?
    let key: String
    let mailbox: Result<EngineMailbox<Notice>, MigrationError>
    let state = Mutex(State())
    let entrance: Entrance
    private let stop: StopSignal?
    /// The memory of a move that is over, for ``RelayOptions/dumpFolder``.
    let memory = Mutex<GuestMemory?>(nil)

    /// Makes a receiver that writes to a file.
    ///
    /// - Parameters:
    ///   - wire: A connected stream socket that blocks, at whose other end a ``MigrationRelay``
    ///     is. The receiver owns it from then on.
    ///   - file: The file to write, or `-` for the standard output. One that exists and is not
    ///     empty is refused.
    ///   - options: The limits.
    public convenience init(wire: FileDescriptor, file: String, options: RelayOptions) {
        self.init(
            wire: WireSocket(StreamSocket(OwnedDescriptor(wire))), output: .file(file),
            options: options)
    }

    /// Makes a receiver that writes to a QEMU.
    ///
    /// - Parameters:
    ///   - wire: A connected stream socket that blocks, at whose other end a ``MigrationRelay``
    ///     is. The receiver owns it from then on.
    ///   - destination: A connected stream socket that blocks, at whose other end QEMU waits for
    ///     its guest. The receiver owns it from then on.
    ///   - options: The limits.
    public convenience init(
        wire: FileDescriptor, destination: FileDescriptor, options: RelayOptions
    ) {
        self.init(
            wire: WireSocket(StreamSocket(OwnedDescriptor(wire))),
            output: .socket(StreamSocket(OwnedDescriptor(destination))), options: options)
    }

    /// Makes a receiver for one connection; a relay that loses it cannot come back.
    package convenience init(wire: WireSocket, output: Output, options: RelayOptions) {
        self.init(.wire(wire), output: output, options: options, journalFolder: nil, key: "")
    }

    /// Makes a receiver that greets whoever connects.
    ///
    /// - Parameters:
    ///   - listener: Where connections come from.
    ///   - output: Where the stream goes.
    ///   - options: The limits.
    ///   - journalFolder: Where the move's journal is kept; `nil` keeps none.
    ///   - key: By what the move is found again by the same command.
    package convenience init(
        listener: MoveListener, output: Output, options: RelayOptions, journalFolder: String?,
        key: String
    ) {
        self.init(
            .listener(listener), output: output, options: options, journalFolder: journalFolder,
            key: key)
    }

    private init(
        _ entrance: Entrance, output: Output, options: RelayOptions, journalFolder: String?,
        key: String
    ) {
        self.entrance = entrance
        self.output = output
        self.options = options
        self.journalFolder = journalFolder
        self.key = key
        stop = try? StopSignal()
        do throws(MigrationError) {
            mailbox = .success(try EngineMailbox())
        } catch {
            mailbox = .failure(error)
        }
    }

    /// What was moved so far, during the move and after it.
    public var statistics: RelayStatistics { state.withLock { $0.statistics } }

    /// The number by which both ends and `roost migrate resolve` know the move, once it has begun.
    package var session: MoveSession? { state.withLock { $0.session } }

    /// Ends the move: the destination's QEMU gives up, a file is taken away.
    ///
    /// May be called at any time, before ``run()`` too, and returns at once; ``run()`` then throws
    /// an error of kind `cancelled`. Does nothing to a move whose destination may have the guest.
    public func cancel() {
        stop?.raise()
        if case .success(let mailbox) = mailbox { mailbox.post(.fail(Self.cancelled)) }
    }

    static var cancelled: MigrationError {
        MigrationError(.cancelled, "the receiving side was told to stop")
    }

    /// Carries the move to its end.
    ///
    /// Blocking work is done on threads of its own, which have ended when it returns; both
    /// connections are shut then, and a file that is not whole is gone. After a failure the other
    /// side is given at most five seconds to hear the reason. Cancelling the task is ``cancel()``.
    ///
    /// - Returns: What was moved.
    /// - Throws: `MigrationError`: what ended the move first, from either side. An error of kind
    ///   `transfer` for ``RelayOptions/dumpFolder`` comes after the move, which is complete then.
    /// - Precondition: It is called once.
    public func run() async throws(MigrationError) -> RelayStatistics {
        let isFirst = state.withLock { state in
            defer { state.hasRun = true }
            return !state.hasRun
        }
        precondition(isFirst, "a receiver takes one move")
        let outcome = await withTaskCancellationHandler {
            await carry()
        } onCancel: {
            cancel()
        }
        try outcome.get()
        try await dump()
        return statistics
    }

    private func carry() async -> Result<Void, MigrationError> {
        switch entrance {
        case .wire(let wire):
            let outcome = await MigrationThread.run("roost-receive") {
                () throws(MigrationError) in
                defer {
                    wire.socket.shutdown(.both)
                    // One that was never begun leaves a destination waiting.
                    if case .socket(let destination) = self.output { destination.shutdown(.both) }
                }
                try self.carry(wire)
            }
            await wire.close()
            return outcome
        case .listener(let listener):
            return await carry(listener)
        }
    }

    private func carry(_ wire: WireSocket) throws(MigrationError) {
        var link = WireLink(wire, timeout: options.linkTimeout, hasWindow: false)
        let opened: (WireFormat.Purpose, MoveSession, MoveSession)
        do throws(MigrationError) {
            opened = try link.greet(until: .now + RelayEngine.greetingLimit, unless: stop)
        } catch {
            link.writer.failed(error.description)
            link.sayLast(within: options.grace)
            throw error
        }
        let arrival = ArrivedLink(opened.0, opened.1, opened.2, link)
        guard arrival.purpose == .begin else {
            arrival.end(within: options.grace) { $0.frame(.unknown) }
            throw MigrationError(
                .peer, "the sending side goes on with a move that is not known here")
        }
        try begin(arrival)
    }

    private func carry(_ listener: MoveListener) async -> Result<Void, MigrationError> {
        let (arrivals, arrived) = AsyncStream.makeStream(of: ArrivedLink.self)
        let timeout = options.linkTimeout
        let greeting = Task { () -> MigrationError? in
            defer { arrived.finish() }
            do {
                try await listener.run(timeout: timeout) { self.welcome($0, arrived) }
                return nil
            } catch {
                return error as? MigrationError ?? MigrationError(.transfer, "\(error)")
            }
        }
        let outcome: Result<Void, MigrationError>
        if let first = await arrivals.first(where: { _ in true }) {
            outcome = await MigrationThread.run("roost-receive") { () throws(MigrationError) in
                try self.begin(first)
            }
            greeting.cancel()
            _ = await greeting.value
        } else {
            greeting.cancel()
            outcome = .failure(await greeting.value ?? Self.cancelled)
        }
        return outcome
    }

    private func begin(_ arrival: ArrivedLink) throws(MigrationError) {
        guard let link = arrival.take() else { return }
        state.withLock { ($0.session, $0.token) = (arrival.session, arrival.token) }
        var engine = ReceiverEngine(
            self, try mailbox.get(), link, session: arrival.session, token: arrival.token)
        defer { state.withLock { $0.isOver = true } }
        try engine.run()
    }

    /// Takes one that has said what it comes for, on the thread that greeted it.
    private func welcome(
        _ arrival: ArrivedLink, _ arrived: AsyncStream<ArrivedLink>.Continuation
    ) {
        switch arrival.purpose {
        case .begin:
            let isFirst = state.withLock { state in
                defer { state.session = state.session ?? arrival.session }
                return state.session == nil
            }
            guard isFirst else {
                return arrival.end(within: options.grace) {
                    $0.failed("this receiver carries another move already: start one of its own")
                }
            }
            arrived.yield(arrival)
        case .comeBack:
            let isOurs = state.withLock { state in
                state.session == arrival.session && state.token == arrival.token && !state.isOver
            }
            if isOurs, case .success(let mailbox) = mailbox {
                mailbox.post(.link(arrival))
            } else {
                answer(arrival)
            }
        }
    }

    /// Tells a relay what became of a move that is over, by its journal.
    ///
    /// Without a record it is not known: a refusal would give the guest back to the source.
    func answer(_ arrival: ArrivedLink) {
        let record = journalFolder.flatMap { folder in
            OwnershipJournal.all(in: folder).last {
                $0.role == .destination && $0.session == arrival.session
                    && $0.token == arrival.token
            }
        }
        // One that is open is another process's, which alone knows.
        let standing =
            record.flatMap {
                $0.step.isFinal ? Ownership.Destination(after: $0.step).standing : nil
            }
            ?? .unknown
        arrival.end(within: options.grace) { writer in
            switch standing {
            case .started: writer.frame(.started)
            case .refused: writer.failed("that move was refused here, and nothing was started")
            default: writer.frame(.unknown)
            }
        }
    }

    /// Notes that whoever gave the command knows the outcome, so that the same command begins anew.
    package func outcomeWasTold() { state.withLock { $0.journal }?.tell() }

    private func dump() async throws(MigrationError) {
        guard let folder = options.dumpFolder else { return }
        try await MigrationThread.dump(of: "the guest has arrived") { () throws(MigrationError) in
            try self.memory.withLock { memory throws(MigrationError) in
                try memory?.dump(to: folder)
            }
        }
    }
}
