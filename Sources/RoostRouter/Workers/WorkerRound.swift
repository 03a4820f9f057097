internal import RoostMemory

/// What a worker keeps from batch to batch, and what it does with one.
struct WorkerRound: ~Copyable {
    private let view: RouterView
    private let step: ForwardingStep
    private let reader: QuiescenceReader
    private let ring: PuntRing
    private let traces: TraceLog
    private let worker: Int
    private var batch: FrameBatch
    private var fragments: FrameBatch
    private var lookup = BatchLookup()
    /// Where each frame of the batch goes out.
    private var outputs = [64 of UInt16](repeating: 0)
    private var fragmentOutputs = [64 of UInt16](repeating: 0)
    private var transmitted = SlotSet()
    /// How the port of the last batch was.
    private(set) var state = PortState.ready
    /// Whether the last batch came by a port that is taken to be down; it was dropped.
    private(set) var isFromDown = false
    /// The ports that refused frames of the last batch since their devices are down.
    private(set) var refusing: [PortIndex] = []

    /// Makes the worker a reader of the router's tables.
    init(
        view: RouterView, worker: Int, frameLimit: Int, ring: PuntRing, traces: TraceLog
    ) throws(RouterError) {
        let reader = try view.quiescence.makeReader()
        let batch = try FrameBatch.making(frameLimit: frameLimit, for: "a worker's frames")
        let fragments = try FrameBatch.making(frameLimit: frameLimit, for: "a worker's frames")
        self.view = view
        self.worker = worker
        self.ring = ring
        self.traces = traces
        self.reader = reader
        self.batch = batch
        self.fragments = fragments
        step = ForwardingStep(view: view, worker: worker)
    }

    /// Receives a batch from a port and deals with it.
    ///
    /// - Parameters:
    ///   - port: Where from.
    ///   - index: Which port that is.
    ///   - ports: All open ports.
    ///   - now: The time in milliseconds.
    /// - Returns: Whether something was left for the processor.
    mutating func receive(
        from port: any FramePort, _ index: PortIndex, sendingTo ports: [(any FramePort)?],
        now: UInt64
    ) -> Bool {
        batch.removeAll()
        isFromDown = false
        if !refusing.isEmpty { refusing.removeAll(keepingCapacity: true) }
        state = port.receive(into: &batch, worker: worker)
        guard batch.count > 0 else { return false }
        let ingress = ForwardingStep.Ingress(index, in: view)
        guard ingress.isUp else {
            isFromDown = true
            for _ in 0..<batch.count { count(.portDown, ingress) }
            return false
        }
        view.quiescence.begin(reader)
        lookup.find(&batch, in: ingress.namespace, view.forwarding)
        let hasPunted = decide(ingress, sendingTo: ports, now: now)
        transmit(to: ports)
        view.quiescence.end(reader)
        return hasPunted
    }

    @inline(never)  // Once a batch; so that what it calls for a packet can be seen.
    private mutating func decide(
        _ ingress: ForwardingStep.Ingress, sendingTo ports: [(any FramePort)?], now: UInt64
    ) -> Bool {
        var hasPunted = false
        transmitted = SlotSet()
        let isTraced = traces.tracesPackets(now: now)
        for slot in 0..<batch.count {
            let received: Int
            var byteCount: Int
            let verdict: Verdict
            do {
                // Its length is asked of the frame: the batch's would be a call with a copy.
                var frame = batch.mutableFrame(slot)
                received = frame.byteCount
                byteCount = received
                verdict = step.decide(
                    &frame, byteCount: &byteCount, finding: lookup[slot], from: ingress, now: now)
            }
            if isTraced { traces.note(batch.frame(slot), verdict, ingress, now: now) }
            if byteCount < received { batch.setByteCount(byteCount, of: slot) }
            hasPunted = carryOut(verdict, slot, ingress, ports) || hasPunted
        }
        return hasPunted
    }

    private mutating func carryOut(
        _ verdict: Verdict, _ slot: Int, _ ingress: ForwardingStep.Ingress,
        _ ports: [(any FramePort)?]
    ) -> Bool {
        switch verdict {
        case .transmit(let port):
            stage(slot, port)
            count(.forwarded, ingress)
        case .transmitAndRedirect(let port):
            stage(slot, port)
            count(.forwarded, ingress)
            return ring.push(batch.frame(slot), Punt(reason: .redirect), from: ingress)
        case .fragment(let port, let limit):
            count(fragment(slot, limit, port, ports) ? .fragmented : .fragmentFailed, ingress)
        case .punt(let punt):
            let isTaken = ring.push(batch.frame(slot), punt, from: ingress)
            count(isTaken ? punt.reason.counter : .slowPathFull, ingress)
            return isTaken
        case .malformed(let error):
            view.counters.count(error, on: ingress.port, worker: worker)
        case .drop(let counter):
            if counter == .discarded { _ = view.destinations.discard(worker: worker) }
            count(counter, ingress)
        }
        return false
    }

    private func count(_ counter: PacketCounter, _ ingress: ForwardingStep.Ingress) {
        view.counters.count(counter, on: ingress.port, worker: worker)
    }

    private mutating func stage(_ slot: Int, _ port: PortIndex) {
        outputs[slot] = port.rawValue
        transmitted.insert(slot)
    }
}

extension WorkerRound {
    /// Cuts a packet into fragments, which go out together after the batch, or when there is no room for
    /// more: all of them, or none.
    private mutating func fragment(
        _ slot: Int, _ limit: Int, _ port: PortIndex, _ ports: [(any FramePort)?]
    ) -> Bool {
        var before = fragments.count
        if !Self.fragment(batch, slot, limit, into: &fragments) {
            fragments.removeLast(fragments.count - before)
            guard before > 0 else { return false }
            transmitFragments(to: ports)
            before = 0
            guard Self.fragment(batch, slot, limit, into: &fragments) else {
                fragments.removeAll()
                return false
            }
        }
        for place in before..<fragments.count { fragmentOutputs[place] = port.rawValue }
        return true
    }

    private static func fragment(
        _ batch: borrowing FrameBatch, _ slot: Int, _ limit: Int, into fragments: inout FrameBatch
    ) -> Bool {
        let offset = EthernetHeader.byteCount
        // The verdict came of the same header.
        guard let header = try? IPv4Header(batch.frame(slot), at: offset),
            var fragmenter = IPv4Fragmenter(header, mtu: limit)
        else { return false }
        while !fragmenter.isDone {
            guard let target = fragments.appendSlot(byteCount: offset + limit) else { return false }
            let length = fragmenter.write(from: batch, slot, to: target, of: &fragments)
            fragments.setByteCount(length, of: target)
        }
        return true
    }

    /// Sends what is staged, to each port at once.
    private mutating func transmit(to ports: [(any FramePort)?]) {
        Self.transmit(transmitted, of: batch, outputs, to: ports, worker, &refusing)
        transmitFragments(to: ports)
    }

    private mutating func transmitFragments(to ports: [(any FramePort)?]) {
        guard fragments.count > 0 else { return }
        Self.transmit(
            fragments.slots, of: fragments, fragmentOutputs, to: ports, worker, &refusing)
        fragments.removeAll()
    }

    private static func transmit(
        _ slots: SlotSet, of batch: borrowing FrameBatch,
        _ outputs: [64 of UInt16], to ports: [(any FramePort)?], _ worker: Int,
        _ refusing: inout [PortIndex]
    ) {
        var left = slots
        while let first = left.popFirst() {
            let output = outputs[first]
            var together = SlotSet()
            together.insert(first)
            var others = left
            while let slot = others.popFirst() {
                guard outputs[slot] == output else { continue }
                together.insert(slot)
                left.remove(slot)
            }
            guard Int(output) < ports.count, let port = ports[Int(output)] else { continue }
            if port.transmit(together, of: batch, worker: worker) == .down {
                refusing.append(PortIndex(rawValue: output))
            }
        }
    }
}

extension Punt.Reason {
    /// What is counted of a packet that went to the processor.
    var counter: PacketCounter {
        switch self {
        case .arp, .local: .delivered
        case .unresolved: .askedForNeighbour
        case .noRoute: .noRoute
        case .unreachable: .unreachable
        case .prohibited: .prohibited
        case .beyondScope: .beyondScope
        case .timeExceeded: .timeToLiveExceeded
        case .tooBig: .tooBig
        case .redirect: .redirected
        }
    }
}
