internal import RoostMemory

/// IPv6 (RFC 8200, RFC 4291).
extension ForwardingStep {
    /// Decides about an IPv6 packet whose header is right.
    func forward(
        _ frame: inout MutableRawSpan, _ header: IPv6Header, isGroup: Bool, from ingress: Ingress,
        now: UInt64
    ) -> Verdict {
        if header.destination.isMulticast { return group(header) }
        guard header.source.isForwardableSource || header.source.isLinkLocal else {
            return .drop(.martianSource)
        }
        // First, so that nobody is answered in another's name; link-local sources are of this link.
        if ingress.mode.checksReversePath && !header.source.isLinkLocal {
            let back = view.forwarding.lookup(header.source, in: ingress.namespace)
            guard isReversePath(back, ingress) else { return .drop(.reversePath) }
        }
        let group = view.forwarding.lookup(header.destination, in: ingress.namespace)
        guard !group.isNone else { return missing(header) }
        let paths = view.forwarding.paths(of: group, in: ingress.namespace)
        let way = way(to: header.destination, by: destination(of: paths, frame, header))
        if let end = end(of: way) { return end }
        guard header.destination.isForwardableDestination else { return missing(header) }
        guard !isGroup else { return .drop(.linkGroup) }
        // A link-local source is nobody beyond its link (RFC 4443, section 3.1, code 2).
        guard header.source.isForwardableSource else {
            return .punt(Punt(reason: .beyondScope))
        }
        guard header.hopLimit > 1 else {
            return .punt(Punt(reason: .timeExceeded))
        }
        return send(&frame, header, by: way, from: ingress, now: now)
    }

    private func send(
        _ frame: inout MutableRawSpan, _ header: IPv6Header, by way: Way, from ingress: Ingress,
        now: UInt64
    ) -> Verdict {
        guard view.ports.word(way.word.port).isUp else { return .drop(.portDown) }
        let limit = view.maximumByteCount(way)
        guard header.end - header.offset <= limit else {
            return .punt(Punt(reason: .tooBig, maximumByteCount: limit))
        }
        let neighbour =
            way.isOnLink
            ? view.neighbours.find(NeighbourKey(way.word.port, header.destination))
            : way.link.neighbour
        guard let port = send(&frame, to: neighbour, by: way, now: now) else {
            return .punt(Punt(reason: .unresolved))
        }
        IPv6Header.decrementHopLimit(&frame, at: header.offset)
        if port == ingress.port && ingress.mode.sendsRedirects {
            return .transmitAndRedirect(port)
        }
        return .transmit(port)
    }

    private func destination(
        of paths: Paths, _ frame: borrowing MutableRawSpan, _ header: IPv6Header
    ) -> DestinationHandle {
        if let only = paths.single { return only }
        let flow = FlowKey(frame.bytes, header)
        return nextHop(of: paths, flowHash: view.flows.hash(flow))
    }

    /// A packet for a group: the router is in those of its links, and forwards none.
    private func group(_ header: IPv6Header) -> Verdict {
        // Interface-local and link-local scope (RFC 4291, section 2.7); of wider ones the router is
        // in none.
        guard header.destination.multicastScope <= 2, !header.source.isMulticast,
            !header.source.isLoopback
        else { return .drop(.multicast) }
        return .punt(Punt(reason: .local))
    }

    /// A packet that no route is for.
    private func missing(_ header: IPv6Header) -> Verdict {
        if header.destination.isLinkLocal { return .drop(.linkLocal) }
        guard header.destination.isForwardableDestination else {
            return .drop(.martianDestination)
        }
        return .punt(Punt(reason: .noRoute))
    }
}
