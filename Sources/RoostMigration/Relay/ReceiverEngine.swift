internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// What carries a move at the destination's end: one thread, one wait.
///
/// It takes what comes, tells ``Ownership/Destination`` what happened and does what that says.
struct ReceiverEngine: ~Copyable {
    /// How long a relay that was lost is waited for, once all of the guest is here.
    static let holdLimit = Duration.seconds(60)
    /// How many bytes wait to be handed on before no more frames are taken.
    static let outboundLimit = 2 << 20

    let receiver: MigrationReceiver
    let mailbox: EngineMailbox<MigrationReceiver.Notice>
    let session: MoveSession
    var journal: OwnershipJournal?
    /// Who may run the guest.
    var owner = Ownership.Destination()

    /// The wire, while there is one.
    var link: WireLink
    var assembler: StreamAssembler
    /// Holds back what may be the stream's end-of-file mark.
    var holder = MarkHolder()
    /// What was looked through and waits to be handed on, before what the assembler has made.
    var outbound = ByteQueue(capacity: outboundLimit + StreamFormat.descriptionLimit + (8 << 20))
    var destination: StreamSocket?
    var sink: FileSink?
    var returnPath = ReturnPath()
    /// The value of the PING that stands before the mark, once it was sent.
    var ping: UInt32?
    /// Whether the destination has answered it, or the file is on disk.
    var isLoaded = false
    /// How many bytes were handed on.
    var streamByteCount: UInt64 = 0
    /// What was taken of the wire and waits to be acknowledged until so many bytes were handed on.
    var mark: (streamByteCount: UInt64, sequence: UInt64, wireByteCount: UInt64)?
    var latest: (sequence: UInt64, wireByteCount: UInt64)?
    var acknowledged: UInt64 = 0

    /// What ended the move, or went wrong with it.
    var failure: MigrationError?
    var isSuspicion = false
    /// Whether the other side has said it.
    var isTold = false
    /// Whether the journal could not be written, so that nothing more must be done.
    var isHalted = false
    /// When a relay that was lost must be back, when it must have said what differs, and when all is
    /// over.
    var holdDeadline: ContinuousClock.Instant?
    var differenceDeadline: ContinuousClock.Instant?
    var deadline: ContinuousClock.Instant?
    var isDestinationReady = false
    /// Whether the relay has said that it knows the destination to have the guest.
    var isHeard = false
    /// From which byte on what is handed on begins with the mark, once it is.
    var markPosition: UInt64?
    /// A frame that waits until there is room for what it makes.
    var waiting: FrameReader.Frame?

    /// Begins a move.
    init(
        _ receiver: MigrationReceiver, _ mailbox: EngineMailbox<MigrationReceiver.Notice>,
        _ link: consuming WireLink, session: MoveSession, token: MoveSession
    ) {
        self.receiver = receiver
        self.mailbox = mailbox
        self.session = session
        self.link = consume link
        let isStored = if case .file = receiver.output { true } else { false }
        assembler = StreamAssembler(receiver.options.admission, isStored: isStored)
        do throws(MigrationError) {
            if let folder = receiver.journalFolder {
                journal = try .begin(
                    in: folder, session, token: token, .destination, key: receiver.key)
            }
            try open()
        } catch {
            fail(error)
        }
    }

    /// Opens what the stream goes to, and says READY.
    private mutating func open() throws(MigrationError) {
        switch receiver.output {
        case .socket(let socket):
            destination = socket
        case .endpoint(let endpoint):
            do throws(SystemError) {
                let socket = try StreamSocket.connect(
                    to: endpoint, timeout: MigrationReceiver.connectLimit)
                if case .unix = endpoint { try socket.checkPeerIsTrusted() }
                destination = socket
            } catch {
                throw MigrationError(
                    .transfer, errno: error.errno, "no destination QEMU: \(error.description)")
            }
        case .file(let path, let mayReplace):
            let mailbox = mailbox
            let opened = try FileSink(path, mayReplace: mayReplace) { mailbox.post(.file($0)) }
            sink = opened
            destination = opened.socket
        }
        link.writer.frame(.ready)
    }

    /// Carries the move to its end.
    ///
    /// - Throws: `MigrationError`: what ended it, and where the guest is.
    mutating func run() throws(MigrationError) {
        while !isFinished {
            hearNotices()
            hearWire()
            hearDestination()
            say()
            keepTime()
            publish()
            guard !isFinished else { break }
            // What had to wait for room has it, and nothing else would tell.
            if !canGoOn { wait() }
        }
        finish()
        try report()
    }

    // MARK: The one wait

    /// Whether a frame is here that can be taken now.
    private var canGoOn: Bool {
        !hasOutput && !owner.isOver && !link.isDeaf
            && (waiting != nil || link.reader.hasWholeFrame)
    }

    private mutating func wait() {
        var until: ContinuousClock.Instant?
        for one in [deadline, holdDeadline, differenceDeadline, link.nextLook] {
            if let one { until = min(until ?? one, one) }
        }
        let wire = link.interest
        var wanted: StreamSocket.Readiness = []
        if sink == nil { wanted.insert(.input) }
        if hasOutput { wanted.insert(.output) }
        var stream: (StreamSocket, StreamSocket.Readiness)?
        if let destination, !wanted.isEmpty { stream = (destination, wanted) }
        let ready = StreamSocket.wait(wire, stream, wake: mailbox.descriptor, until: until)
        if ready.first.contains(.input) { link.fill() }
        isDestinationReady = sink == nil && ready.second.contains(.input)
    }

    private mutating func keepTime() {
        let now = ContinuousClock.now
        if let until = holdDeadline, now >= until {
            holdDeadline = nil
            fail(
                MigrationError(
                    .timeout,
                    "the sending relay did not come back within \(Self.holdLimit) of its loss"))
            // Nobody is left to be told what became of it.
            if owner.isOver || owner.isHandingOn { deadline = deadline ?? now }
        }
        if let until = differenceDeadline, now >= until {
            differenceDeadline = nil
            fail(Self.differs)
        }
    }

    // MARK: What others say

    private mutating func hearNotices() {
        for notice in mailbox.take() {
            switch notice {
            case .fail(let error): fail(error)
            case .link(let arrival): comeBack(arrival)
            case .file(.synced):
                isLoaded = true
                checkLoaded()
            case .file(.committed):
                happen(.arrived)
            case .file(.failed(let error)):
                // Nothing runs from a file that has no name.
                note(error)
                happen(.rejected)
            }
        }
    }

    /// Takes over the connection of a relay that came back.
    private mutating func comeBack(_ arrival: ArrivedLink) {
        guard let next = arrival.take() else { return }
        link.close()
        link = consume next
        holdDeadline = nil
        if owner.stage == .loading {
            // What was not all here is not sent again.
            note(Self.cutShort)
            happen(.linkLost)
        } else if let standing = owner.standing {
            send(standing)
        }
        if owner.isOver { deadline = .now + receiver.options.grace }
    }

    /// Notes why the move ends, unless that is known.
    mutating func note(_ error: MigrationError, isSuspicion: Bool = false) {
        guard failure == nil else { return }
        failure = error
        self.isSuspicion = isSuspicion
    }

    /// Ends the move, as far as it can still be ended.
    mutating func fail(_ error: MigrationError) {
        guard !owner.isOver, !owner.isHandingOn else { return }
        note(error)
        happen(.fail)
    }

    // MARK: What follows

    /// Tells the owner what happened, and does what follows.
    mutating func happen(_ event: Ownership.Destination.Event) {
        guard !isHalted else { return }
        perform(owner.take(event))
        guard owner.isOver, deadline == nil else { return }
        deadline = .now + (link.isPresent ? receiver.options.grace : lateness)
    }

    /// How long a relay that was lost is waited for, that it may be told what became of the guest.
    var lateness: Duration {
        owner.stage == .refused || isHeard || !receiver.canComeBack ? .zero : Self.holdLimit
    }

    private mutating func perform(_ actions: [Ownership.Action]) {
        for action in actions where !isHalted {
            switch action {
            case .record(let step, let length):
                do throws(MigrationError) {
                    // By its length a file is known again.
                    let total = streamByteCount + UInt64(outbound.count + holder.heldByteCount)
                    try journal?.record(step, length: sink == nil ? length : total)
                } catch {
                    // What is not recorded is not done: this ends as a receiver that was killed.
                    note(error)
                    isHalted = true
                }
            case .send(let message): send(message)
            case .handOn: handOn()
            case .closeDestination: closeDestination()
            case .shutSource, .confirmRelease, .closeSource, .ask:
                preconditionFailure("these are the relay's")
            }
        }
    }

    private mutating func send(_ message: Ownership.Message) {
        switch message {
        case .prepared(let length): link.writer.frame(.prepared, length: length)
        case .started: link.writer.frame(.started)
        case .unknown: link.writer.frame(.unknown)
        case .refused:
            // Whoever has said why is not told again.
            guard !isTold else { return }
            link.writer.failed(failure?.description ?? "the move was refused, nothing was started")
        case .end, .commit, .abort:
            preconditionFailure("this is the relay's to say")
        }
    }

    /// Ends the connection to the destination; a file that has no name goes away.
    mutating func closeDestination() {
        if let sink {
            sink.end(within: receiver.options.grace)
        } else {
            destination?.shutdown(.both)
        }
        destination = nil
    }
}
