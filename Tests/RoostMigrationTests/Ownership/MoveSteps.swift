@testable import RoostMigration

extension MoveWorld {
    /// A rule that is dropped, to see that the exploration finds what follows.
    enum Mutant: CaseIterable {
        case commitBeforeShut
        case commitBeforeTheSourceClosed
        case noHandingRecord
        case noCommittingRecord
        case cancelAfterCommitReturnsTheGuest
        case commitTakenAfterRefused
        case unknownSessionRefused
    }

    /// A step and what it comes to.
    struct Next {
        let name: String
        let world: MoveWorld
        let isFault: Bool
    }

    /// Everything that can happen next.
    func next(_ mutant: Mutant?) -> [Next] {
        var all: [Next] = []
        func add(_ name: String, isFault: Bool = false, _ body: (inout MoveWorld) -> Void) {
            var world = self
            body(&world)
            if let mutant { world.apply(mutant, since: self) }
            all.append(Next(name: name, world: world, isFault: isFault))
        }
        addRelay(add)
        addReceiver(add)
        addQEMUs(add)
        addFaults(add)
        return all
    }

    private typealias Add = (String, Bool, (inout MoveWorld) -> Void) -> Void

    // MARK: The relay

    private func addRelay(_ add: (String, Bool, (inout MoveWorld) -> Void) -> Void) {
        guard let relay else { return }
        guard relay.pending.isEmpty else {
            return add("relay: \(relay.pending[0])", false) { $0.doNextOfRelay() }
        }
        let isSending = relay.owner.stage == .sending || relay.owner.stage == .releasing
        if isSending, source == .sending || source == .shutUnread, written < 2, isUp,
            relay.isLinked, toReceiver.count < 3
        {
            add("source writes", false) { world in
                world.written += 1
                guard world.setting.opensReturnPath else { return }
                world.sendToReceiver(.stream(world.written))
                if world.written == 2 { world.tell(.more) }
                world.tell(.whole(world.written))
            }
        }
        if let frame = toRelay.first {
            add("relay hears \(frame)", false) { world in
                world.toRelay.removeFirst()
                guard case .message(let message) = frame else { return }
                if case .started = message { world.sendToReceiver(.message(.started)) }
                world.tell(.heard(message))
            }
        }
        if !isCloseSeen, !relay.owner.hasClosed { addClose(add) }
        if !isUp, relay.isLinked, toRelay.isEmpty {
            add("relay notices the link", false) { world in
                world.relay?.isLinked = false
                world.tell(.linkLost)
            }
        }
        guard relay.asks else { return }
        if receiver != nil {
            add("relay comes back", false) { world in
                (world.isUp, world.toReceiver, world.toRelay) = (true, [.comeBack], [])
                world.relay?.isLinked = true
                world.relay?.asks = false
                world.receiver?.isLinked = true
                world.receiver?.isHolding = false
            }
            add("the receiver cannot be asked", true) { world in
                world.relay?.asks = false
                world.tell(.unanswered)
            }
        } else {
            add("nobody answers", false) { world in
                world.relay?.asks = false
                world.tell(.unanswered)
            }
        }
    }

    private func addClose(_ add: (String, Bool, (inout MoveWorld) -> Void) -> Void) {
        func see(_ name: String, _ event: Ownership.Source.Event) {
            add(name, false) { world in
                world.isCloseSeen = true
                world.tell(event)
            }
        }
        switch source {
        case .closing, .letGo: see("relay sees the source close", .sourceClosed)
        case .running:
            // One that ends with its answer unread resets the connection.
            let wasTold = relay?.owner.stage == .releasing
            see("relay sees the source leave", wasTold ? .denied : .sourceClosed)
        case .dead:
            see("relay sees the source end", .sourceClosed)
            if relay?.owner.stage == .releasing { see("relay sees the source break", .denied) }
        case .sending where hasCompleted:
            add("the source completes", false) { world in
                world.source = .letGo
                world.isCloseSeen = true
                world.sendToReceiver(.stream(2))
                world.relay?.owner.isPastMemory = true
                world.tell(.whole(2))
                world.tell(.sourceClosed)
            }
        case .sending, .shutUnread: break
        }
    }

    // MARK: The receiver

    private func addReceiver(_ add: (String, Bool, (inout MoveWorld) -> Void) -> Void) {
        guard let receiver else { return }
        guard receiver.pending.isEmpty else {
            return add("receiver: \(receiver.pending[0])", false) { $0.doNextOfReceiver() }
        }
        if let frame = toReceiver.first {
            add("receiver hears \(frame)", false) { world in
                world.toReceiver.removeFirst()
                world.hear(frame)
            }
        }
        if let claim = receiver.claim, destination == .loading {
            add("the destination has loaded \(claim)", false) { world in
                world.receiver?.claim = nil
                world.tellReceiver(.loaded(claim))
            }
        }
        if destination == .hasSaid, receiver.owner.isHandingOn {
            add("receiver hears SHUT", false) { $0.tellReceiver(.arrived) }
        }
        if destination == .refusing, receiver.owner.isHandingOn {
            add("receiver hears that it was refused", false) { $0.tellReceiver(.rejected) }
        }
        if destination == .ended || destination == .dead, !receiver.owner.isOver {
            add("receiver sees the destination end", false) { $0.tellReceiver(.destinationClosed) }
        }
        if !isUp, receiver.isLinked, toReceiver.isEmpty {
            add("receiver notices the link", false) { world in
                world.receiver?.isLinked = false
                world.receiver?.isHolding = true
                world.tellReceiver(.linkLost)
            }
        }
        if receiver.isHolding, !receiver.owner.isOver, !receiver.owner.isHandingOn {
            add("receiver waits no longer", false) { world in
                world.receiver?.isHolding = false
                world.tellReceiver(.fail)
            }
        }
        if receiver.owner.isOver, receiver.isHolding {
            add("receiver is gone", false) { $0.receiver = nil }
        }
    }

    private mutating func hear(_ frame: Frame) {
        switch frame {
        case .stream: tellReceiver(.more)
        case .message(.end(let length)): receiver?.claim = length
        case .message(.started): break
        case .message(let message): tellReceiver(.heard(message))
        case .comeBack:
            // What was not all here is not sent again.
            if receiver?.owner.stage == .loading { return tellReceiver(.linkLost) }
            // A receiver without a record of the move does not know.
            let standing = receiverJournal == nil ? .unknown : receiver?.owner.standing
            if let standing { sendToRelay(.message(standing)) }
        }
    }

    // MARK: The QEMUs

    private func addQEMUs(_ add: (String, Bool, (inout MoveWorld) -> Void) -> Void) {
        if source == .shutUnread {
            add("the source reads SHUT", false) { $0.source = .closing }
        }
        if source == .closing { add("the source completes", false) { $0.source = .letGo } }
        if destination == .given {
            add("the destination starts the guest", false) { world in
                world.destination = .running
                world.isHandedOn = true
            }
            add("the destination refuses the guest", false) { $0.destination = .refusing }
        }
        if destination == .running {
            add("the destination says SHUT", false) { $0.destination = .hasSaid }
        }
    }

    // MARK: Faults

    private func addFaults(_ add: (String, Bool, (inout MoveWorld) -> Void) -> Void) {
        if faults.cuts > 0, isUp {
            for (lost, count) in [("all", 4), ("the last", 1)] {
                add("the link is cut, \(lost) lost", true) { world in
                    world.faults.cuts -= 1
                    world.isUp = false
                    world.toReceiver.removeLast(min(count, world.toReceiver.count))
                    world.toRelay.removeLast(min(count, world.toRelay.count))
                }
            }
        }
        if faults.relayKills > 0, relay != nil {
            for readsShut in source == .shutUnread ? [false, true] : [false] {
                add("the relay is killed", true) { world in
                    world.faults.relayKills -= 1
                    world.relay = nil
                    if readsShut { world.source = .closing } else { world.closeSource() }
                    world.isUp = false
                    world.toRelay = []
                }
            }
        }
        if relay == nil, let journal = relayJournal {
            add("the relay is started again", true) { $0.startRelay(journal) }
        }
        if faults.receiverKills > 0, receiver != nil {
            add("the receiver is killed", true) { world in
                world.faults.receiverKills -= 1
                world.receiver = nil
                if world.destination == .loading { world.destination = .ended }
                world.isUp = false
                world.toReceiver = []
            }
        }
        if receiver == nil, receiverJournal != nil {
            add("the receiver is started again", true) { $0.startReceiver() }
            if faults.lostJournals > 0 {
                add("the receiver is started again, without its journal", true) { world in
                    world.faults.lostJournals -= 1
                    world.receiverJournal = nil
                    world.receiver = Receiver(owner: Ownership.Destination(after: .handing))
                    world.receiver?.isLinked = false
                }
            }
        }
        if faults.relayCancels > 0, relay?.pending.isEmpty == true {
            add("the relay is cancelled", true) { world in
                world.faults.relayCancels = 0
                world.tell(.fail)
            }
        }
        if faults.receiverCancels > 0, receiver?.pending.isEmpty == true {
            add("the receiver is cancelled", true) { world in
                world.faults.receiverCancels = 0
                world.tellReceiver(.fail)
            }
        }
        if faults.deaths > 0 {
            add("the source dies", true) { ($0.faults.deaths, $0.source) = (0, .dead) }
            add("the destination dies", true) { ($0.faults.deaths, $0.destination) = (0, .dead) }
        }
        if faults.operatorCancels > 0, source == .sending && !hasCompleted || source == .shutUnread
        {
            add("somebody cancels in the source", true) { world in
                world.faults.operatorCancels -= 1
                world.source = .running
            }
        }
        if faults.unseenCancels > 0, source == .closing {
            add("somebody cancels in the source, unseen", true) { world in
                world.faults.unseenCancels -= 1
                world.source = .running
            }
        }
    }

    private mutating func startRelay(_ journal: Record) {
        var process = Relay()
        // A move that was only begun is taken to be at the source, and another begins.
        let step = journal.step == .began ? Ownership.Step.keptAtSource : journal.step
        process.owner = Ownership.Source(after: step, length: journal.length)
        process.pending = Ownership.Source.resume(after: step)
        process.isLinked = false
        if step != journal.step { process.pending = [.record(step, length: 0)] }
        relay = process
        isCloseSeen = true
        isUp = false
        (toReceiver, toRelay) = ([], [])
    }

    private mutating func startReceiver() {
        guard let journal = receiverJournal else { return }
        var process = Receiver(owner: Ownership.Destination(after: journal.step))
        process.pending = Ownership.Destination.resume(after: journal.step)
        process.isLinked = false
        process.isHolding = true
        receiver = process
        isUp = false
        (toReceiver, toRelay) = ([], [])
    }

    // MARK: Mutants

    private mutating func apply(_ mutant: Mutant, since before: MoveWorld) {
        let length = relay?.owner.length ?? 0
        switch mutant {
        case .commitBeforeShut:
            if relay?.pending.contains(.shutSource) == true, before.relay?.pending.isEmpty == true {
                relay?.pending.insert(.send(.commit(length)), at: 0)
            }
        case .commitBeforeTheSourceClosed:
            if relay?.pending.last == .shutSource, before.relay?.pending.isEmpty == true {
                relay?.pending.append(.send(.commit(length)))
            }
        case .noHandingRecord:
            receiver?.pending.removeAll {
                if case .record(.handing, _) = $0 { true } else { false }
            }
        case .noCommittingRecord:
            relay?.pending.removeAll {
                if case .record(.committing, _) = $0 { true } else { false }
            }
        case .cancelAfterCommitReturnsTheGuest:
            if relay?.owner.stage == .committed, relay?.pending.isEmpty == true,
                faults.relayCancels > 0
            {
                faults.relayCancels = 0
                relay?.pending = [.record(.standsAtSource, length: 0)]
            }
        case .commitTakenAfterRefused:
            receiver?.pending.removeAll { $0 == .closeDestination }
            if before.toReceiver.first.map({
                if case .message(.commit) = $0 { true } else { false }
            })
                == true, toReceiver.count < before.toReceiver.count,
                receiver?.owner.stage == .refused
            {
                receiver?.pending.append(.handOn)
            }
        case .unknownSessionRefused:
            if receiverJournal == nil {
                toRelay = toRelay.map { $0 == .message(.unknown) ? .message(.refused) : $0 }
            }
        }
    }
}
