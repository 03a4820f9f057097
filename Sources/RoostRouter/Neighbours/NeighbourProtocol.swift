internal import RoostMemory

/// The rules of ARP (RFC 826, 5227) and neighbour discovery (RFC 4861, section 7.2; RFC 9131).
///
/// Parsed messages go in, the table learns, and what to answer comes out.
///
/// Everybody on a link can send anything. So a neighbour is made only by what is meant for the router,
/// or by an advertisement of an address on the link; others only change what is known. The messages'
/// form was checked by who parsed them.
enum NeighbourProtocol {
    /// Takes a message of ARP.
    static func receive(
        _ packet: ARPPacket, on link: NeighbourLink<IPv4Address>, now: UInt64,
        _ table: inout NeighbourTable, _ sink: inout some NeighbourSink & ~Copyable
    ) -> ARPVerdict {
        let sender = packet.senderAddress
        if let refusal = link.refusal(of: packet.senderHardware) { return .ignored(refusal) }
        if link.owns(sender) { return .conflict(sender) }
        let isForUs = link.owns(packet.targetAddress)
        if sender == .unspecified && packet.operation == .request {
            // A probe: whoever wants the address is told, and has none to be learned yet.
            return isForUs ? .answer(packet.reply(hardware: link.mac)) : .ignored(.notForUs)
        }
        guard sender != .unspecified, !sender.isMulticast, !sender.isLoopback,
            sender != .limitedBroadcast
        else { return .ignored(.senderAddress) }
        let key = NeighbourKey(link.port, sender)
        if packet.operation == .request && isForUs {
            // A host asks with any of its addresses; what is not of this link is not learned.
            if link.isOnLink(sender) {
                table.learned(key, link: packet.senderHardware, now: now, &sink)
            }
            return .answer(packet.reply(hardware: link.mac))
        }
        guard link.isOnLink(sender) else { return .ignored(.senderAddress) }
        let isToUs = packet.operation == .reply && isForUs && packet.targetHardware == link.mac
        let answer = NeighbourAnswer(
            link: packet.senderHardware, isSolicited: isToUs, isOverride: true, isRouter: nil)
        if table.answered(key, by: answer, now: now, &sink) { return .taken }
        return .ignored(packet.operation == .reply ? .unasked : .notForUs)
    }

    /// Takes a message of neighbour discovery.
    ///
    /// - Parameters:
    ///   - message: The message, checked.
    ///   - frameSource: The sender of its frame.
    ///   - link: The port it came by.
    ///   - now: In milliseconds.
    ///   - table: Where neighbours are.
    ///   - sink: Where it goes what follows.
    /// - Returns: What is to be done.
    static func receive(
        _ message: NeighbourMessage, from frameSource: MACAddress,
        on link: NeighbourLink<IPv6Address>, now: UInt64,
        _ table: inout NeighbourTable, _ sink: inout some NeighbourSink & ~Copyable
    ) -> DiscoveryVerdict {
        switch message.kind {
        case .solicitation:
            takeSolicitation(message, from: frameSource, on: link, now: now, &table, &sink)
        case .advertisement:
            takeAdvertisement(message, on: link, now: now, &table, &sink)
        case .routerSolicitation, .routerAdvertisement, .redirect:
            .ignored(.otherKind)
        }
    }

    private static func takeSolicitation(
        _ message: NeighbourMessage, from frameSource: MACAddress,
        on link: NeighbourLink<IPv6Address>, now: UInt64,
        _ table: inout NeighbourTable, _ sink: inout some NeighbourSink & ~Copyable
    ) -> DiscoveryVerdict {
        if let refusal = link.refusal(of: message.sourceLink ?? frameSource) {
            return .ignored(refusal)
        }
        guard link.owns(message.target) else { return .ignored(.notForUs) }
        let source = message.source
        if source.isUnspecified {
            // Someone is about to take the address (RFC 4862, section 5.4): all are told whose it is.
            return .advertise(
                message.target, to: .allNodes, link: MACAddress(group: .allNodes))
        }
        if link.owns(source) { return .conflict(source) }
        guard !source.isMulticast, !source.isLoopback, link.isOnLink(source) else {
            return .ignored(.senderAddress)
        }
        if let sender = message.sourceLink {
            table.learned(NeighbourKey(link.port, source), link: sender, now: now, &sink)
        }
        return .advertise(message.target, to: source, link: message.sourceLink ?? frameSource)
    }

    private static func takeAdvertisement(
        _ message: NeighbourMessage, on link: NeighbourLink<IPv6Address>, now: UInt64,
        _ table: inout NeighbourTable, _ sink: inout some NeighbourSink & ~Copyable
    ) -> DiscoveryVerdict {
        if let target = message.targetLink, let refusal = link.refusal(of: target) {
            return .ignored(refusal)
        }
        if link.owns(message.target) { return .conflict(message.target) }
        let key = NeighbourKey(link.port, message.target)
        let answer = NeighbourAnswer(
            link: message.targetLink, isSolicited: message.isSolicited,
            isOverride: message.isOverride, isRouter: message.isRouter)
        if table.answered(key, by: answer, now: now, &sink) { return .taken }
        guard let target = message.targetLink, !message.isSolicited, !message.target.isUnspecified,
            !message.target.isLoopback, link.isOnLink(message.target)
        else { return .ignored(.unasked) }
        table.learned(key, link: target, isRouter: message.isRouter, now: now, &sink)
        return .taken
    }

    /// Whether the router listens to a group of IPv6: all nodes, all routers, or that in which one of
    /// its addresses is asked for (RFC 4861, section 7.2.1).
    static func listens(
        to group: IPv6Address, addresses: some Sequence<IPv6Address>
    ) -> Bool {
        group == .allNodes || group == .allRouters
            || addresses.contains { $0.solicitedNodeGroup == group }
    }

    // MARK: - Frames

    /// The room that a frame of these protocols needs, in bytes.
    static let frameByteCount = EthernetHeader.byteCount + NeighbourMessage.maximumByteCount

    /// Writes the frame that asks for a neighbour of IPv4.
    ///
    /// - Parameters:
    ///   - key: Who is asked for.
    ///   - link: Its link-layer address, if it is known; nil asks everyone.
    ///   - source: The router's address on the port.
    ///   - mac: The router's link-layer address on the port.
    ///   - output: Room for ``frameByteCount``.
    /// - Returns: The frame's length in bytes.
    static func writeSolicitation(
        of key: NeighbourKey, to link: MACAddress?, from source: IPv4Address, mac: MACAddress,
        into output: inout MutableRawSpan
    ) -> Int {
        ARPPacket.request(for: key.ipv4, from: source, hardware: mac)
            .writeFrame(to: link ?? .broadcast, into: &output)
    }

    /// Writes the frame that asks for a neighbour of IPv6; see the one for IPv4.
    static func writeSolicitation(
        of key: NeighbourKey, to link: MACAddress?, from source: IPv6Address, mac: MACAddress,
        into output: inout MutableRawSpan
    ) -> Int {
        let target = key.ipv6
        EthernetHeader.write(
            destination: link ?? MACAddress(group: target.solicitedNodeGroup), source: mac,
            etherType: EtherType.ipv6, into: &output)
        return EthernetHeader.byteCount
            + NeighbourMessage.writeSolicitation(
                for: target, from: source, hardware: mac, to: link == nil ? nil : target,
                into: &output, at: EthernetHeader.byteCount)
    }

    /// Writes the frame that answers a solicitation.
    ///
    /// - Parameters:
    ///   - target: The router's address that was asked for.
    ///   - destination: Whom the answer is for.
    ///   - link: Their link-layer address.
    ///   - mac: The router's link-layer address on the port.
    ///   - output: Room for ``frameByteCount``.
    /// - Returns: The frame's length in bytes.
    static func writeAdvertisement(
        of target: IPv6Address, to destination: IPv6Address, link: MACAddress, mac: MACAddress,
        into output: inout MutableRawSpan
    ) -> Int {
        EthernetHeader.write(
            destination: link, source: mac, etherType: EtherType.ipv6, into: &output)
        return EthernetHeader.byteCount
            + NeighbourMessage.writeAdvertisement(
                of: target, hardware: mac, to: destination, isOverride: true, into: &output,
                at: EthernetHeader.byteCount)
    }
}
