internal import RoostMemory

/// Packets that workers handed over: what is to be done with each.
extension Processor {
    mutating func handle(
        _ punt: Punt, _ frame: RawSpan, _ link: EthernetHeader, _ header: IPv4Header,
        on port: PortEntry
    ) {
        let namespace = port.namespace
        let isGroup = link.destination.isMulticast
        switch punt.reason {
        case .arp: break
        case .local: receive(frame, header, on: port, isGroup: isGroup)
        case .unresolved: resolve(frame, header, in: namespace)
        case .noRoute:
            sendError(
                .networkUnreachable, .unreachable, about: frame, header, in: namespace,
                isLinkGroup: isGroup)
        case .unreachable:
            sendError(.hostUnreachable, .unreachable, about: frame, header, in: namespace)
        case .prohibited, .beyondScope:
            sendError(
                .administrativelyProhibited, .unreachable, about: frame, header, in: namespace)
        case .timeExceeded:
            sendError(.timeExceeded, .timeExceeded, about: frame, header, in: namespace)
        case .tooBig:
            sendError(
                .fragmentationNeeded(mtu: punt.maximumByteCount), .packetTooBig, about: frame,
                header, in: namespace)
        case .redirect: redirect(frame, header, on: port)
        }
    }

    mutating func handle(
        _ punt: Punt, _ frame: RawSpan, _ link: EthernetHeader, _ header: IPv6Header,
        on port: PortEntry
    ) {
        let namespace = port.namespace
        switch punt.reason {
        case .arp: break
        case .local:
            receive(frame, link, header, on: port)
        case .unresolved: resolve(frame, header, in: namespace)
        case .noRoute:
            sendError(
                .noRoute, .unreachable, about: frame, header, in: namespace, on: port,
                isLinkGroup: link.destination.isMulticast)
        case .unreachable:
            sendError(
                .addressUnreachable, .unreachable, about: frame, header, in: namespace, on: port)
        case .prohibited:
            sendError(
                .administrativelyProhibited, .unreachable, about: frame, header, in: namespace,
                on: port)
        case .beyondScope:
            sendError(.beyondScope, .unreachable, about: frame, header, in: namespace, on: port)
        case .timeExceeded:
            sendError(
                .hopLimitExceeded, .timeExceeded, about: frame, header, in: namespace, on: port)
        case .tooBig:
            sendError(
                .packetTooBig(mtu: max(punt.maximumByteCount, Int(PathMTU.ipv6Least))),
                .packetTooBig,
                about: frame, header, in: namespace, on: port)
        case .redirect: redirect(frame, header, on: port)
        }
    }

    // MARK: Next hops without a link-layer address

    private mutating func resolve(
        _ frame: RawSpan, _ header: IPv4Header, in namespace: NamespaceIndex
    ) {
        let flow = view.flows.hash(FlowKey(frame, header))
        // Looked up anew: the worker's batch is over, and the entry that it found may be another's.
        guard let way = way(to: header.destination, in: namespace, flowHash: flow),
            let slot = built.append(frame)
        else { return }
        defer { built.removeAll() }
        do {
            var copy = built.mutableFrame(slot)
            IPv4Header.decrementTimeToLive(&copy, at: header.offset)
        }
        sendIPv4(slot, by: way)
    }

    private mutating func resolve(
        _ frame: RawSpan, _ header: IPv6Header, in namespace: NamespaceIndex
    ) {
        let flow = view.flows.hash(FlowKey(frame, header))
        guard let way = way(to: header.destination, in: namespace, flowHash: flow),
            let slot = built.append(frame)
        else { return }
        defer { built.removeAll() }
        do {
            var copy = built.mutableFrame(slot)
            IPv6Header.decrementHopLimit(&copy, at: header.offset)
        }
        send(slot, by: way)
    }

    // MARK: Redirects

    /// Tells a sender on the next hop's own subnet of the shorter way (RFC 1812, section 5.2.7.2).
    private mutating func redirect(
        _ frame: RawSpan, _ header: IPv4Header, on port: PortEntry
    ) {
        guard let way = way(to: header.destination, in: port.namespace), way.port == port.index
        else { return }
        let gateway = way.key.ipv4
        let isNear = port.addresses4.contains {
            $0.subnet.contains(header.source) && $0.subnet.contains(gateway)
        }
        guard isNear else { return }
        sendError(.redirectHost(to: gateway), .redirect, about: frame, header, in: port.namespace)
    }

    /// The same over IPv6 (RFC 4861, section 8.2): from the router's link-local address.
    private mutating func redirect(_ frame: RawSpan, _ header: IPv6Header, on port: PortEntry) {
        guard let way = way(to: header.destination, in: port.namespace), way.port == port.index,
            port.addresses6.contains(where: { $0.subnet.contains(header.source) }),
            way.key.ipv6.isLinkLocal || way.key.ipv6 == header.destination,
            ICMPErrorPolicy.permits(.noRoute, about: frame, header, isLinkGroup: false),
            budget.permits(.redirect, to: header.source, in: port.namespace, now: now),
            let slot = build(EtherType.ipv6, ICMPv6Error.maximumByteCount)
        else { return }
        let known = view.neighbours.word(view.neighbours.find(way.key))
        finish(slot) { output, offset in
            NeighbourMessage.writeRedirect(
                about: frame, header, to: way.key.ipv6,
                targetLink: known.isUsable ? known.mac : nil, from: port.linkLocal, into: &output,
                at: offset)
        }
        output(slot, to: header.source, in: port.namespace, by: port)
    }

    // MARK: Packets for the router

    private mutating func receive(
        _ frame: RawSpan, _ header: IPv4Header, on port: PortEntry, isGroup: Bool
    ) {
        guard !header.isFragment else { return }
        guard header.protocolNumber == IPProtocol.icmp else {
            // There is nothing here that anybody could talk to.
            sendError(
                header.protocolNumber == IPProtocol.udp ? .portUnreachable : .protocolUnreachable,
                .unreachable, about: frame, header, in: port.namespace, isLinkGroup: isGroup)
            return
        }
        // What cannot be read is not answered.
        guard let message = try? ICMPMessage(frame, header) else { return }
        if message.type == ICMPMessage.Kind.echoRequest, !isGroup {
            let byteCount = header.totalByteCount
            guard let slot = build(EtherType.ipv4, byteCount) else { return }
            identification &+= 1
            let number = identification
            finish(slot) { output, offset in
                message.writeEchoReply(
                    frame, header, from: header.destination, identification: number, into: &output,
                    at: offset)
            }
            output(slot, to: header.source, in: port.namespace)
        } else if message.type == ICMPMessage.Kind.destinationUnreachable,
            message.code == ICMPError.fragmentationNeeded(mtu: 0).code
        {
            learnPathMTU(frame, message, in: port.namespace)
        }
    }

    /// Keeps what a router on the way says of a path that the router's own packets take (RFC 1191).
    private mutating func learnPathMTU(
        _ frame: RawSpan, _ message: ICMPMessage, in namespace: NamespaceIndex
    ) {
        // A sender may quote anything.
        guard
            let quoted = try? IPv4Header(
                quotedIn: frame.extracting(0..<message.end), at: message.dataOffset),
            owns(quoted.source, in: namespace)
        else { return }
        let report = PathMTU.Report(
            mtu: message.rest & 0xFFFF, packetByteCount: UInt16(clamping: quoted.totalByteCount),
            headerByteCount: UInt16(clamping: quoted.headerByteCount))
        learn(report, of: quoted.destination, by: way(to: quoted.destination, in: namespace))
    }

    private mutating func learn(
        _ report: PathMTU.Report, of address: some NetworkAddress, by way: Way?
    ) {
        guard let way else { return }
        let place = ExceptionPlace(nextHop: way.nextHop, address: address)
        _ = exceptions.learnPathMTU(
            report, of: place, linkMTU: UInt16(clamping: view.ports.mtu(way.port)),
            in: &destinations, operations: &remains, now: now)
    }

    private mutating func receive(
        _ frame: RawSpan, _ link: EthernetHeader, _ header: IPv6Header, on port: PortEntry
    ) {
        // What cannot be read is not answered; nor is what is for another link's address of the router,
        // or for a group that it is not in.
        guard let upper = try? IPv6UpperLayer(frame, header), !upper.isFragment else { return }
        let isGroup = header.destination.isMulticast
        guard !header.destination.isLinkLocal || port.owns(header.destination),
            !isGroup
                || NeighbourProtocol.listens(
                    to: header.destination, addresses: port.addresses6.map(\.address))
        else { return }
        guard upper.protocolNumber == IPProtocol.icmpv6 else {
            guard !isGroup else { return }
            sendError(
                upper.protocolNumber == IPProtocol.udp
                    ? .portUnreachable
                    : .parameterProblem(
                        .unrecognizedNextHeader, pointer: upper.pointer),
                .unreachable, about: frame, header, in: port.namespace, on: port)
            return
        }
        if let message = try? NeighbourMessage(frame, header, upper) {
            receive(message, from: link.source, on: port)
            return
        }
        guard let message = try? ICMPMessage(frame, header, upper) else { return }
        switch message.type {
        case ICMPMessage.Kind6.echoRequest: answer(message, frame, header, on: port)
        case ICMPMessage.Kind6.packetTooBig where !isGroup:
            learnPathMTU6(frame, message, in: port.namespace)
        default: break
        }
    }

    private mutating func answer(
        _ message: ICMPMessage, _ frame: RawSpan, _ header: IPv6Header, on port: PortEntry
    ) {
        // A host without an address yet has none to answer to.
        guard !header.source.isUnspecified else { return }
        let source =
            header.destination.isMulticast
            ? port.source(towards: header.source) : header.destination
        guard let slot = build(EtherType.ipv6, header.end - header.offset) else { return }
        finish(slot) { output, offset in
            message.writeEchoReply(frame, header, from: source, into: &output, at: offset)
        }
        output(slot, to: header.source, in: port.namespace, by: port)
    }

    /// Keeps what a router on the way says of a path that the router's own packets take (RFC 8201).
    private mutating func learnPathMTU6(
        _ frame: RawSpan, _ message: ICMPMessage, in namespace: NamespaceIndex
    ) {
        // A sender may quote anything.
        guard
            let quoted = try? IPv6Header(
                quotedIn: frame.extracting(0..<message.end), at: message.dataOffset),
            owns(quoted.source, in: namespace)
        else { return }
        let report = PathMTU.Report(
            mtu: message.rest, packetByteCount: UInt16(clamping: quoted.end - quoted.offset),
            headerByteCount: UInt16(IPv6Header.byteCount))
        learn(report, of: quoted.destination, by: way(to: quoted.destination, in: namespace))
    }

    // MARK: What is the router's

    private func owns(_ address: IPv4Address, in namespace: NamespaceIndex) -> Bool {
        delivers(forwarding.reader.lookup(address, in: namespace), in: namespace)
    }

    private func owns(_ address: IPv6Address, in namespace: NamespaceIndex) -> Bool {
        delivers(forwarding.reader.lookup(address, in: namespace), in: namespace)
    }

    private func delivers(_ group: PathGroupIndex, in namespace: NamespaceIndex) -> Bool {
        guard !group.isNone else { return false }
        let paths = forwarding.reader.paths(of: group, in: namespace)
        let destination = forwarding.reader.destination(of: paths, flowHash: 0)
        return view.destinations.word(of: destination).input == .deliver
    }
}
