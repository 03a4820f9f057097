internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// What carries a move at the source's end: one thread, one wait.
///
/// It reads what comes, tells ``Ownership/Source`` what happened and does what that says.
struct RelayEngine: ~Copyable {
    /// How long whoever is at the other end may take to say HELLO and what a move's answer is.
    static let greetingLimit = Duration.seconds(30)
    /// How long a source may take to let go once it has its answer.
    static let releaseLimit = Duration.seconds(60)
    /// How long a receiver is looked for that must be asked what became of a guest.
    static let askLimit = Duration.seconds(60)
    /// The most bytes of answers that wait for the source to read them.
    static let answerLimit = 2 * WireFormat.answerLimit

    /// How far the two ends have got to know each other on the present connection.
    enum Greeting {
        /// HELLO and OPEN were sent.
        case waiting(until: ContinuousClock.Instant)
        /// The receiver answers.
        case done
        /// There is no connection.
        case absent
    }

    let relay: MigrationRelay
    let mailbox: EngineMailbox<MigrationRelay.Notice>
    let session: MoveSession
    let token: MoveSession
    var journal: OwnershipJournal?
    /// Who may run the guest.
    var owner: Ownership.Source

    var source: StreamSocket?
    var reader: StreamReader
    /// Whether all of the stream was read.
    var isRead = false
    var input = ByteQueue(capacity: RelayForwarder.pieceLimit)
    var answers = AnswerQueue(capacity: RelayEngine.answerLimit)
    /// The wire, the memory and what was counted.
    var forwarder: RelayForwarder
    var greeting = Greeting.absent

    /// What ended the move, or went wrong with it.
    var failure: MigrationError?
    /// Whether that may only be what followed from something that the other side knows.
    var isSuspicion = false
    /// Whether the other side has said it.
    var isTold = false
    /// Whether the journal could not be written, so that nothing more must be done.
    var isHalted = false
    /// When the source must have let go, when the receiver must have answered, and when all is over.
    var releaseDeadline: ContinuousClock.Instant?
    var askDeadline: ContinuousClock.Instant?
    var deadline: ContinuousClock.Instant?
    var sequenceSent: UInt64 = 0

    /// Begins a move.
    init(
        _ relay: MigrationRelay, _ mailbox: EngineMailbox<MigrationRelay.Notice>,
        _ source: StreamSocket, _ wire: WireSocket
    ) throws(MigrationError) {
        self.relay = relay
        self.mailbox = mailbox
        self.source = source
        session = MoveSession()
        token = MoveSession()
        owner = Ownership.Source()
        if let folder = relay.surroundings.journalFolder {
            journal = try .begin(
                in: folder, session, token: token, .source, key: relay.surroundings.key)
        }
        reader = StreamReader(maximumRAMByteCount: relay.options.maximumRAMByteCount)
        let link = WireLink(wire, timeout: relay.options.linkTimeout, hasWindow: true)
        forwarder = RelayForwarder(link, relay.options.admission)
        greet(.begin)
    }

    /// Goes on with a move whose relay was killed.
    init(
        _ relay: MigrationRelay, _ mailbox: EngineMailbox<MigrationRelay.Notice>,
        after left: OwnershipJournal
    ) {
        self.relay = relay
        self.mailbox = mailbox
        let now = left.now
        session = now.session
        token = now.token
        journal = left
        owner = Ownership.Source(after: now.step, length: now.length)
        reader = StreamReader(maximumRAMByteCount: relay.options.maximumRAMByteCount)
        isRead = true
        forwarder = RelayForwarder(
            WireLink(absent: relay.options.linkTimeout), relay.options.admission)
        if owner.isOver { deadline = .now + relay.options.grace }
        perform(Ownership.Source.resume(after: now.step))
    }

    /// Carries the move to its end.
    ///
    /// - Throws: `MigrationError`: what ended it, and where the guest is.
    mutating func run() throws(MigrationError) {
        let session = session
        relay.state.withLock { $0.session = session }
        while !isFinished {
            hearNotices()
            hearWire()
            hearSource()
            say()
            keepTime()
            publish()
            guard !isFinished else { break }
            wait()
        }
        finish()
        try report()
    }

    // MARK: The one wait

    private mutating func wait() {
        var wanted: StreamSocket.Readiness = []
        var deadline = earliestDeadline
        let wire = forwarder.link.interest
        if let next = forwarder.link.nextLook { deadline = min(deadline ?? next, next) }
        if wantsSourceInput { wanted.insert(.input) }
        if !answers.isEmpty { wanted.insert(.output) }
        // One that waits for its answer has failed when it closes, whatever still lies to be read.
        if owner.opensReturnPath, owner.stage == .sending { wanted.insert(.hangup) }
        var stream: (StreamSocket, StreamSocket.Readiness)?
        if let source, !wanted.isEmpty, !owner.hasClosed { stream = (source, wanted) }
        let ready = StreamSocket.wait(wire, stream, wake: mailbox.descriptor, until: deadline)
        if ready.first.contains(.input) { forwarder.link.fill() }
        isSourceReady = ready.second.contains(.input)
        if ready.second.contains(.hangup), !wantsSourceInput, owner.opensReturnPath,
            owner.stage == .sending
        {
            leave(Self.sourceLeft)
        }
    }

    /// Whether the source's connection can be read without waiting.
    var isSourceReady = false

    private var earliestDeadline: ContinuousClock.Instant? {
        var earliest: ContinuousClock.Instant?
        var greetingDeadline: ContinuousClock.Instant?
        if case .waiting(let until) = greeting { greetingDeadline = until }
        for one in [deadline, releaseDeadline, askDeadline, greetingDeadline] {
            if let one { earliest = min(earliest ?? one, one) }
        }
        return earliest
    }

    private mutating func keepTime() {
        let now = ContinuousClock.now
        if case .waiting(let until) = greeting, now >= until {
            greeting = .absent
            lose(
                MigrationError(
                    .timeout,
                    "whoever is at the other end of the connection is silent: connect roost "
                        + "migrate relay with roost migrate receive"))
        }
        if let until = releaseDeadline, now >= until {
            releaseDeadline = owner.isGivenUp ? nil : now + relay.options.grace
            fail(
                MigrationError(
                    .timeout,
                    "the source QEMU does not let go of the guest, although it was told "
                        + "that all of it has arrived"))
        }
        if let until = askDeadline, now >= until {
            askDeadline = nil
            happen(.unanswered)
        }
    }

    // MARK: What others say

    private mutating func hearNotices() {
        for notice in mailbox.take() {
            switch notice {
            case .fail(let error): fail(error)
            case .release(let isSo):
                if !isSo { note(Self.cancelledAtSource) }
                happen(isSo ? .confirmed : .denied)
            case .link(let wire): connect(wire)
            case .unanswered(let error):
                askDeadline = nil
                note(error)
                happen(.unanswered)
            }
        }
    }

    /// Notes why the move ends, unless that is known.
    mutating func note(_ error: MigrationError, isSuspicion: Bool = false) {
        guard failure == nil else { return }
        failure = error
        self.isSuspicion = isSuspicion
    }

    /// Ends the move, as far as it can still be ended.
    mutating func fail(_ error: MigrationError) {
        guard !owner.isDecided else { return }
        note(error)
        happen(.fail)
    }

    // MARK: What follows

    /// Tells the owner what happened, and does what follows.
    mutating func happen(_ event: Ownership.Source.Event) {
        guard !isHalted else { return }
        perform(owner.take(event))
        if owner.isOver, deadline == nil { deadline = .now + relay.options.grace }
        if owner.stage == .releasing, releaseDeadline == nil, !owner.isOver {
            releaseDeadline = .now + (owner.isGivenUp ? relay.options.grace : Self.releaseLimit)
        }
        if owner.stage != .releasing { releaseDeadline = nil }
    }

    private mutating func perform(_ actions: [Ownership.Action]) {
        for action in actions where !isHalted {
            switch action {
            case .record(let step, let length):
                do throws(MigrationError) {
                    try journal?.record(step, length: length)
                } catch {
                    // What is not recorded is not done: this ends as a relay that was killed.
                    note(error)
                    isHalted = true
                }
            case .send(let message): send(message)
            case .shutSource: answers.shut()
            case .confirmRelease: confirmRelease()
            case .closeSource: source?.shutdown(.both)
            case .ask: ask()
            case .handOn, .closeDestination: preconditionFailure("these are the receiver's")
            }
        }
    }

    private mutating func send(_ message: Ownership.Message) {
        switch message {
        case .end(let length):
            let root = forwarder.root()
            forwarder.link.writer.end(length, root)
        case .commit(let length):
            forwarder.link.writer.frame(.commit, length: length)
        case .abort:
            // Whoever has said why is not told again.
            guard !isTold else { return }
            forwarder.link.writer.failed(failure?.description ?? "the move was given up")
        case .prepared, .started, .refused, .unknown:
            preconditionFailure("this is the receiver's to say")
        }
    }

    private mutating func confirmRelease() {
        guard let confirms = relay.surroundings.confirmsRelease else { return happen(.confirmed) }
        let mailbox = mailbox
        Task { mailbox.post(.release(await confirms())) }
    }

    private mutating func ask() {
        guard let connector = relay.surroundings.connector else { return happen(.unanswered) }
        if askDeadline == nil { askDeadline = .now + Self.askLimit }
        greeting = .absent
        let (mailbox, until) = (mailbox, askDeadline)
        Task {
            while true {
                do {
                    return mailbox.post(.link(try await connector()))
                } catch {
                    if let until, ContinuousClock.now < until {
                        try? await Task.sleep(for: .milliseconds(200))
                        continue
                    }
                    mailbox.post(
                        .unanswered(
                            error as? MigrationError
                                ?? MigrationError(
                                    .peer, "the receiver cannot be asked: \(error)")))
                    return
                }
            }
        }
    }
}
