internal import RoostMemory

/// IPv4 (RFC 791, RFC 1812).
extension ForwardingStep {
    /// Decides about an IPv4 packet in a frame without tags.
    ///
    /// It reads the header itself, whose fields then stay in registers.
    ///
    /// - Throws: What is wrong with the header.
    func forwardIPv4(
        _ frame: inout MutableRawSpan, byteCount: inout Int, finding group: PathGroupIndex,
        isGroup: Bool, from ingress: Ingress, now: UInt64
    ) throws(PacketError) -> Verdict {
        let header = try IPv4Header(frame.bytes, at: EthernetHeader.byteCount)
        byteCount = header.end
        guard header.source.isForwardableSource else { return .drop(.martianSource) }
        // First, so that nobody is answered in another's name either.
        if ingress.mode.checksReversePath {
            let back = view.forwarding.lookup(header.source, in: ingress.namespace)
            guard isReversePath(back, ingress) else { return .drop(.reversePath) }
        }
        guard !group.isNone else {
            guard header.destination.isForwardableDestination else {
                return odd(header.destination)
            }
            return .punt(Punt(reason: .noRoute))
        }
        let paths = view.forwarding.paths(of: group, in: ingress.namespace)
        let way = way(to: header.destination, by: destination(of: paths, frame, header))
        if let end = end(of: way) { return end }
        guard header.destination.isForwardableDestination else { return odd(header.destination) }
        // A unicast packet in a frame for a group is not forwarded (RFC 1812, section 5.3.4).
        guard !isGroup else { return .drop(.linkGroup) }
        if header.hasOptions {
            guard !IPv4Options(frame.bytes, header).hasSourceRoute else {
                return .drop(.sourceRoute)
            }
        }
        guard header.timeToLive > 1 else {
            return .punt(Punt(reason: .timeExceeded))
        }
        return send(&frame, header, by: way, from: ingress, now: now)
    }

    @inline(__always)  // Once a packet.
    private func send(
        _ frame: inout MutableRawSpan, _ header: IPv4Header, by way: Way, from ingress: Ingress,
        now: UInt64
    ) -> Verdict {
        guard view.ports.word(way.word.port).isUp else { return .drop(.portDown) }
        let limit = view.maximumByteCount(way)
        let isTooBig = header.totalByteCount > limit
        if isTooBig && header.dontFragment {
            return .punt(Punt(reason: .tooBig, maximumByteCount: limit))
        }
        let neighbour =
            way.isOnLink
            ? view.neighbours.find(NeighbourKey(way.word.port, header.destination))
            : way.link.neighbour
        guard let port = send(&frame, to: neighbour, by: way, now: now) else {
            return .punt(Punt(reason: .unresolved))
        }
        IPv4Header.decrementTimeToLive(&frame, at: header.offset)
        if isTooBig { return .fragment(port, maximumByteCount: limit) }
        if port == ingress.port && ingress.mode.sendsRedirects {
            return .transmitAndRedirect(port)
        }
        return .transmit(port)
    }

    @inline(__always)  // Once a packet.
    private func destination(
        of paths: Paths, _ frame: borrowing MutableRawSpan, _ header: IPv4Header
    ) -> DestinationHandle {
        if let only = paths.single { return only }
        return choice(of: paths, frame, header)
    }

    @inline(never)  // Out of the way of routes with one next hop.
    private func choice(
        of paths: Paths, _ frame: borrowing MutableRawSpan, _ header: IPv4Header
    ) -> DestinationHandle {
        let flow = FlowKey(frame.bytes, header)
        return nextHop(of: paths, flowHash: view.flows.hash(flow))
    }

    /// Where a destination that is nobody's goes.
    @inline(never)  // Out of the way of the other packets.
    private func odd(_ address: IPv4Address) -> Verdict {
        if address.isMulticast { return .drop(.multicast) }
        return .drop(address == .limitedBroadcast ? .broadcast : .martianDestination)
    }
}
