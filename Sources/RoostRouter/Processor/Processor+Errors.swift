internal import RoostMemory

/// ICMP errors: which, whether, and from which address (RFC 1812, section 4.3; RFC 4443).
extension Processor {
    /// Tells an IPv4 packet's sender why it goes no further.
    mutating func sendError(
        _ error: ICMPError, _ kind: ICMPErrorKind, about frame: RawSpan, _ header: IPv4Header,
        in namespace: NamespaceIndex, isLinkGroup: Bool = false
    ) {
        guard
            ICMPErrorPolicy.permits(
                about: frame, header, isLinkGroup: isLinkGroup,
                isBroadcast: isBroadcast(header.source, namespace)
                    || isBroadcast(header.destination, namespace)),
            let way = way(to: header.source, in: namespace), let port = outbox.port(way.port),
            let source = port.source(towards: header.source) ?? routerAddress(in: namespace),
            budget.permits(kind, to: header.source, in: namespace, now: now),
            let slot = build(EtherType.ipv4, ICMPError.maximumByteCount)
        else { return }
        identification &+= 1
        let number = identification
        finish(slot) { output, offset in
            error.write(
                about: frame, header, from: source, identification: number, into: &output,
                at: offset)
        }
        output(slot, to: header.source, in: namespace)
    }

    /// Tells an IPv6 packet's sender why it goes no further.
    mutating func sendError(
        _ error: ICMPv6Error, _ kind: ICMPErrorKind, about frame: RawSpan, _ header: IPv6Header,
        in namespace: NamespaceIndex, on ingress: PortEntry?, isLinkGroup: Bool = false
    ) {
        guard
            ICMPErrorPolicy.permits(error, about: frame, header, isLinkGroup: isLinkGroup),
            let port = header.source.isLinkLocal
                ? ingress : way(to: header.source, in: namespace).flatMap({ outbox.port($0.port) }),
            budget.permits(kind, to: header.source, in: namespace, now: now),
            let slot = build(EtherType.ipv6, ICMPv6Error.maximumByteCount)
        else { return }
        let own = port.source(towards: header.source)
        // A link-local source would not leave the link (RFC 4291, section 2.5.6).
        let source =
            own.isLinkLocal && !header.source.isLinkLocal
            ? routerAddress6(in: namespace) ?? own : own
        finish(slot) { output, offset in
            error.write(about: frame, header, from: source, into: &output, at: offset)
        }
        output(slot, to: header.source, in: namespace, by: port)
    }

    /// An address of the router for a port that has none of its own (RFC 1812, section 2.2.7).
    private func routerAddress(in namespace: NamespaceIndex) -> IPv4Address? {
        for case .some(let port) in outbox.ports where port.namespace == namespace {
            if let own = port.addresses4.first { return own.address }
        }
        return nil
    }

    private func routerAddress6(in namespace: NamespaceIndex) -> IPv6Address? {
        for case .some(let port) in outbox.ports where port.namespace == namespace {
            if let own = port.wideAddress6 { return own }
        }
        return nil
    }

    private func isBroadcast(_ address: IPv4Address, _ namespace: NamespaceIndex) -> Bool {
        let group = forwarding.reader.lookup(address, in: namespace)
        guard !group.isNone,
            let handle = forwarding.reader.paths(of: group, in: namespace).single
        else { return false }
        return view.destinations.word(of: handle).input == .broadcast
    }

    /// Reports the packets whose next hops did not answer.
    mutating func sendReports() {
        guard outbox.hasReports, let failed = outbox.takeFailed() else { return }
        for slot in 0..<failed.count {
            let frame = failed.frame(slot)
            let offset = EthernetHeader.byteCount
            let report = outbox.reports[slot]
            let namespace = report.namespace
            // The frame was read before it waited; what is of neither family is none.
            if let header = try? IPv4Header(frame, at: offset) {
                learnFailure(of: header.destination, by: report)
                sendError(.hostUnreachable, .unreachable, about: frame, header, in: namespace)
            } else if let header = try? IPv6Header(frame, at: offset) {
                learnFailure(of: header.destination, by: report)
                sendError(
                    .addressUnreachable, .unreachable, about: frame, header, in: namespace, on: nil)
            }
        }
        outbox.giveBack(failed)
    }

    /// Keeps for a while that a destination does not answer: workers refuse its packets themselves.
    private mutating func learnFailure(of address: some NetworkAddress, by report: Outbox.Report) {
        // Its place may be another entry's by now.
        guard let destination = report.destination, view.destinations.isCurrent(destination) else {
            return
        }
        let place = ExceptionPlace(nextHop: destination.handle, address: address)
        _ = exceptions.learnFailure(
            .hostUnreachable, of: place, in: &destinations, operations: &remains, now: now)
    }

    // MARK: Building

    /// A frame with a link header of a type, and room behind it.
    mutating func build(_ etherType: UInt16, _ byteCount: Int) -> Int? {
        guard let slot = built.appendSlot(byteCount: EthernetHeader.byteCount + byteCount) else {
            return nil
        }
        var frame = built.mutableFrame(slot)
        EthernetHeader.write(
            destination: .broadcast, source: .broadcast, etherType: etherType, into: &frame)
        return slot
    }

    /// Writes a built frame's packet and cuts the frame to its length.
    mutating func finish(
        _ slot: Int, _ write: (inout MutableRawSpan, _ offset: Int) -> Int
    ) {
        let length: Int
        do {
            var frame = built.mutableFrame(slot)
            length = write(&frame, EthernetHeader.byteCount)
        }
        built.setByteCount(EthernetHeader.byteCount + length, of: slot)
    }
}
