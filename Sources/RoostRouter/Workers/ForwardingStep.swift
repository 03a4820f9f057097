internal import RoostMemory

/// The forwarding step: what is to be done with one received frame, and the frame made ready for it.
///
/// It only reads the router's tables, and writes nothing but the frame and the worker's own counters.
/// The rules are those of RFC 1812 and RFC 8200; `ForwardingStep+IPv4.swift` and its like hold them.
struct ForwardingStep {
    let view: RouterView
    /// Whose counters are written.
    let worker: Int

    /// Where a batch of frames came from, looked up once a batch.
    struct Ingress: BitwiseCopyable {
        let port: PortIndex
        let namespace: NamespaceIndex
        let mac: MACAddress
        let isUp: Bool
        let mode: PortMode

        init(_ port: PortIndex, in view: RouterView) {
            self.port = port
            namespace = view.ports.namespace(port)
            let word = view.ports.word(port)
            mac = word.mac
            isUp = word.isUp
            mode = view.modes.mode(of: port)
        }
    }

    /// Decides about a frame, and makes it ready.
    ///
    /// - Parameters:
    ///   - frame: The frame from its Ethernet header on.
    ///   - byteCount: Its length; what pads a short packet on the link is cut off.
    ///   - group: What its destination finds, if it is an IPv4 packet without tags.
    ///   - ingress: Where it came in.
    ///   - now: The time in milliseconds.
    /// - Returns: What is to be done with it.
    func decide(
        _ frame: inout MutableRawSpan, byteCount: inout Int, finding group: PathGroupIndex,
        from ingress: Ingress, now: UInt64
    ) -> Verdict {
        do throws(PacketError) {
            let link = try EthernetHeader(frame.bytes)
            guard link.tagCount == 0 else { return .drop(.tagged) }
            let isGroup = link.destination.isMulticast
            guard isGroup || link.destination == ingress.mac else { return .drop(.otherHost) }
            switch link.etherType {
            case EtherType.ipv4:
                return try forwardIPv4(
                    &frame, byteCount: &byteCount, finding: group, isGroup: isGroup, from: ingress,
                    now: now)
            case EtherType.ipv6:
                let header = try IPv6Header(frame.bytes, at: link.payloadOffset)
                byteCount = header.end
                return forward(&frame, header, isGroup: isGroup, from: ingress, now: now)
            case EtherType.arp:
                return .punt(Punt(reason: .arp))
            default:
                return .drop(.unknownProtocol)
            }
        } catch {
            return .malformed(error)
        }
    }

    // MARK: What both families share

    /// What the packet's destination entry says of it, if it does not say: forward.
    @inline(__always)  // Once a packet.
    func end(of way: Way) -> Verdict? {
        way.word.input == .forward ? nil : ending(of: way)
    }

    @inline(never)  // Out of the way of packets that are forwarded.
    private func ending(of way: Way) -> Verdict {
        switch way.word.input {
        case .deliver: .punt(Punt(reason: .local))
        case .forward, .discard: .drop(.discarded)
        case .broadcast: .drop(.broadcast)
        case .multicast: .drop(.multicast)
        case .answerError: refusal(way.word.error)
        }
    }

    private func refusal(_ error: DestinationError) -> Verdict {
        switch error {
        case .networkUnreachable: .punt(Punt(reason: .noRoute))
        case .hostUnreachable, .timedOut: .punt(Punt(reason: .unreachable))
        case .prohibited: .punt(Punt(reason: .prohibited))
        case .none, .invalid, .blackhole: .drop(.discarded)
        }
    }

    /// Where a packet goes: its next hop's entry, or what is known of this destination alone.
    struct Way: BitwiseCopyable {
        var handle: DestinationHandle
        var word: DestinationWord
        var link: DestinationLink
        /// Whether the packet's destination is itself the next hop.
        var isOnLink: Bool
    }

    /// Where packets to an address go by a next hop.
    @inline(__always)  // Once a packet.
    func way(to address: some NetworkAddress, by nextHop: DestinationHandle) -> Way {
        let word = view.destinations.word(of: nextHop)
        let link = view.destinations.link(of: nextHop)
        let way = Way(
            handle: nextHop, word: word, link: link, isOnLink: word.flags.contains(.isOnLink))
        return word.flags.contains(.hasExceptions) ? view.exception(from: way, to: address) : way
    }

    /// Writes the link header towards a next hop and says where the frame goes.
    @inline(__always)  // Once a packet.
    func send(
        _ frame: inout MutableRawSpan, to neighbour: NeighbourHandle, by way: Way, now: UInt64
    ) -> PortIndex? {
        let link = view.neighbours.word(neighbour)
        guard link.isUsable else { return nil }
        if link.needsConfirmation { view.neighbours.noteUse(neighbour) }
        let port = view.ports.word(way.word.port)
        EthernetHeader.rewrite(&frame, destination: link.mac, source: port.mac)
        view.destinations.recordUse(of: way.handle, worker: worker, now: now)
        return way.word.port
    }

    /// The next hop of a flow, of those that share a route: the flow's own, or the first after it that does
    /// not fail.
    func nextHop(of paths: Paths, flowHash: UInt64) -> DestinationHandle {
        let own = view.forwarding.destination(of: paths, flowHash: flowHash)
        guard view.destinations.word(of: own).input == .answerError else { return own }
        // Neighbouring buckets are of different next hops, so this mostly ends at once.
        let width = UInt64(1) << UInt64(64 - PathBuckets.order)
        var hash = flowHash
        for _ in 1..<PathBuckets.count {
            hash &+= width
            let other = view.forwarding.destination(of: paths, flowHash: hash)
            if view.destinations.word(of: other).input == .forward { return other }
        }
        return own
    }

    /// Whether packets to an address leave by a port, or by any if the mode is loose (RFC 3704).
    func isReversePath(_ back: PathGroupIndex, _ ingress: Ingress) -> Bool {
        guard !back.isNone else { return false }
        let paths = view.forwarding.paths(of: back, in: ingress.namespace)
        if let only = paths.single { return accepts(view.destinations.word(of: only), ingress) }
        // A group's buckets are chosen by the upper bits of the hash.
        for bucket in 0..<UInt64(PathBuckets.count) {
            let handle = view.forwarding.destination(
                of: paths, flowHash: bucket << UInt64(64 - PathBuckets.order))
            if accepts(view.destinations.word(of: handle), ingress) { return true }
        }
        return false
    }

    private func accepts(_ word: DestinationWord, _ ingress: Ingress) -> Bool {
        // A gateway that does not answer now is the way back still.
        (word.input == .forward || word.error == .hostUnreachable && word.port != .blackhole)
            && (!ingress.mode.isStrict || word.port == ingress.port)
    }
}

extension RouterView {
    /// What is known of a destination alone, where a next hop has such exceptions.
    @inline(never)  // Out of the way of the other packets.
    func exception(
        from way: ForwardingStep.Way, to address: some NetworkAddress
    ) -> ForwardingStep.Way {
        let (high, low) = address.halves
        let found = exceptions.find(
            nextHop: way.handle, high: high, low: low, namespace: way.word.namespace)
        guard !found.isNone else { return way }
        var exception = way
        exception.handle = found
        exception.word = destinations.word(of: found)
        let link = destinations.link(of: found)
        // What it does not say is as with its next hop.
        exception.isOnLink = way.isOnLink && link.neighbour.isNone
        exception.link = DestinationLink(
            neighbour: link.neighbour.isNone ? way.link.neighbour : link.neighbour,
            pathMTU: link.pathMTU == 0 ? way.link.pathMTU : link.pathMTU,
            metrics: way.link.metrics)
        return exception
    }

    /// The longest packet that goes a way.
    @inline(__always)  // Once a packet.
    func maximumByteCount(_ way: ForwardingStep.Way) -> Int {
        let ofPort = ports.mtu(way.word.port)
        return way.link.pathMTU == 0 ? ofPort : min(ofPort, Int(way.link.pathMTU))
    }
}
