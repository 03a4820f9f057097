@testable import RoostMigration

/// A move with everything that takes part in it, as a value: both relays with their journals, both
/// QEMUs, the link between, and the people who cancel.
///
/// Each end runs the real machine. What that says is done one action at a time, so that a process can
/// be killed between any two.
struct MoveWorld: Hashable {
    /// What a source QEMU does, as 7.2 and 10.0 were seen to.
    enum Source: Hashable {
        /// Sends, or waits for SHUT; its guest runs again when the connection ends.
        case sending
        /// SHUT lies in its connection.
        case shutUnread
        /// It has read SHUT and closed.
        case closing
        /// It has let go: its guest stands still.
        case letGo
        /// Its guest runs again.
        case running
        case dead
    }

    /// What a destination QEMU does.
    enum Destination: Hashable {
        case loading
        /// It was given the mark, and has not read it yet.
        case given
        /// It was given the mark, and says that it cannot load what came before.
        case refusing
        /// It has read the mark.
        case running
        /// It has said SHUT 0.
        case hasSaid
        /// Its connection ended before the mark.
        case ended
        case dead
    }

    /// A frame on the link, as far as it matters.
    enum Frame: Hashable {
        case stream(UInt64)
        case comeBack
        case message(Ownership.Message)
    }

    /// A record in a journal.
    struct Record: Hashable {
        var step: Ownership.Step
        var length: UInt64
    }

    /// The relay's process.
    struct Relay: Hashable {
        var owner = Ownership.Source()
        var pending: [Ownership.Action] = []
        /// Whether it looks for the receiver.
        var asks = false
        /// Whether it has a connection of its own to the link.
        var isLinked = true
    }

    /// The receiver's process.
    struct Receiver: Hashable {
        var owner = Ownership.Destination()
        var pending: [Ownership.Action] = []
        /// What END said last, until the destination has answered.
        var claim: UInt64?
        var isLinked = true
        /// Whether it holds on to a move whose relay is gone.
        var isHolding = false
    }

    /// How much can still go wrong.
    struct Faults: Hashable {
        var cuts = 1
        var relayKills = 1
        var receiverKills = 1
        var relayCancels = 1
        var receiverCancels = 1
        var deaths = 1
        var operatorCancels = 0
        /// Cancellations that no socket shows, which a monitor does.
        var unseenCancels = 0
        var lostJournals = 0
    }

    /// How the source was started and what the relay can ask.
    struct Setting: Hashable {
        var opensReturnPath = true
        var hasMonitor = false
    }

    var setting: Setting
    var faults: Faults
    var relay: Relay? = Relay()
    var relayJournal: Record? = Record(step: .began, length: 0)
    var receiver: Receiver? = Receiver()
    var receiverJournal: Record? = Record(step: .began, length: 0)
    var source = Source.sending
    /// How much of the stream the source has written: it looks whole at 1, and is at 2.
    var written: UInt64 = 0
    /// Whether the relay has seen the source's connection end.
    var isCloseSeen = false
    var destination = Destination.loading
    var isUp = true
    var toReceiver: [Frame] = []
    var toRelay: [Frame] = []
    /// Whether a destination has started the guest, ever.
    var isHandedOn = false
    /// The first thing that was wrong.
    var violation: String?

    init(_ setting: Setting, _ faults: Faults) {
        self.setting = setting
        self.faults = faults
        relay?.owner.opensReturnPath = setting.opensReturnPath
    }

    // MARK: Actions

    /// Does the relay's next action.
    mutating func doNextOfRelay() {
        guard let action = relay?.pending.removeFirst() else { return }
        switch action {
        case .record(let step, let length): recordAtRelay(step, length)
        case .send(let message): sendToReceiver(.message(message))
        case .shutSource: if source == .sending { source = .shutUnread }
        case .closeSource: closeSource()
        case .confirmRelease:
            guard setting.hasMonitor else { return tell(.confirmed) }
            if source == .closing { source = .letGo }
            tell(source == .letGo || source == .dead ? .confirmed : .denied)
        case .ask: relay?.asks = true
        case .handOn, .closeDestination: violation = "the relay was told to do the receiver's work"
        }
    }

    /// Does the receiver's next action.
    mutating func doNextOfReceiver() {
        guard let action = receiver?.pending.removeFirst() else { return }
        switch action {
        case .record(let step, let length): recordAtReceiver(step, length)
        case .send(let message): sendToRelay(.message(message))
        case .handOn:
            if destination == .loading { destination = .given }
        case .closeDestination: if destination == .loading { destination = .ended }
        case .shutSource, .confirmRelease, .closeSource, .ask:
            violation = "the receiver was told to do the relay's work"
        }
    }

    private mutating func recordAtRelay(_ step: Ownership.Step, _ length: UInt64) {
        if let before = relayJournal?.step, before.isFinal, before.isAtSource != step.isAtSource {
            violation = "the relay recorded \(step) after \(before)"
        }
        relayJournal = Record(step: step, length: length)
    }

    private mutating func recordAtReceiver(_ step: Ownership.Step, _ length: UInt64) {
        if let before = receiverJournal?.step, before.isFinal, before != step {
            violation = "the receiver recorded \(step) after \(before)"
        }
        receiverJournal = Record(step: step, length: length)
    }

    mutating func sendToReceiver(_ frame: Frame) {
        if isUp, relay?.isLinked == true { toReceiver.append(frame) }
    }

    mutating func sendToRelay(_ frame: Frame) {
        if isUp, receiver?.isLinked == true { toRelay.append(frame) }
    }

    /// Tells the relay's machine what happened.
    mutating func tell(_ event: Ownership.Source.Event) {
        guard var process = relay else { return }
        process.pending += process.owner.take(event)
        relay = process
    }

    /// Tells the receiver's machine what happened.
    mutating func tellReceiver(_ event: Ownership.Destination.Event) {
        guard var process = receiver else { return }
        process.pending += process.owner.take(event)
        receiver = process
    }

    /// The relay's end of the source's connection goes; one that has not read SHUT runs its guest.
    mutating func closeSource() {
        switch source {
        case .sending: source = hasCompleted ? .letGo : .running
        // Either may be; this is the worse one, the other is an event of its own.
        case .shutUnread: source = .running
        case .closing, .letGo, .running, .dead: break
        }
    }

    /// Whether a source without a return path has written everything.
    var hasCompleted: Bool { !setting.opensReturnPath && written == 2 }

    // MARK: What must hold

    /// What is wrong in this world, if anything.
    var fault: String? {
        if let violation { return violation }
        let runs = source == .running || (source == .sending && !hasCompleted)
        if isHandedOn || destination == .given, runs || source == .shutUnread {
            return "two owners"
        }
        if isHandedOn, relayJournal?.step.isAtSource == true {
            return
                "the relay says \(relayJournal?.step as Ownership.Step?) of a guest that was given away"
        }
        if isHandedOn, receiverJournal?.step == .refused { return "refused, and handed on" }
        if !isHandedOn,
            relayJournal?.step == .atDestination || receiverJournal?.step == .atDestination
        {
            return "at the destination, which was given nothing"
        }
        return placeFault
    }

    /// What is wrong with what the processes say that are through.
    private var placeFault: String? {
        guard let relay, relay.owner.isOver, relay.pending.isEmpty else { return nil }
        switch relay.owner.place {
        case .source:
            if source == .letGo || source == .closing, setting.opensReturnPath {
                return "the relay says that the guest runs, and it stands still"
            }
        case .standsAtSource, .undecided:
            if [.running, .sending, .shutUnread].contains(source), !hasCompleted {
                return "the relay says that the guest stands still, and it runs"
            }
        case .destination:
            if !isHandedOn {
                return "the relay says that the destination has what it was not given"
            }
        case .sourceOrStands, .notKnown: break
        }
        if isHandedOn || destination == .given,
            relay.owner.place != .destination, relay.owner.place != .notKnown
        {
            return "the relay says \(relay.owner.place) of a guest that was given away"
        }
        guard let receiver, receiver.owner.isOver, receiver.pending.isEmpty else { return nil }
        switch (relay.owner.place, receiver.owner.place) {
        case (.notKnown, _), (_, .notKnown): return nil
        case (.destination, .destination): return nil
        case (.source, .source), (.standsAtSource, .source), (.sourceOrStands, .source),
            (.undecided, .source):
            return nil
        default:
            return "the relay says \(relay.owner.place), the receiver \(receiver.owner.place)"
        }
    }

    /// Whether nothing is left to be done by those who live.
    var isThrough: Bool {
        let relayIs = relay.map { $0.owner.isOver && $0.pending.isEmpty } ?? true
        let receiverIs = receiver.map { $0.owner.isOver && $0.pending.isEmpty } ?? true
        return relayIs && receiverIs
    }
}

extension Ownership.Step {
    /// Whether the step says that the guest is at the source for good.
    fileprivate var isAtSource: Bool {
        self == .atSource || self == .standsAtSource || self == .keptAtSource
    }
}
