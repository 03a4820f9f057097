internal import RoostMemory

extension PacketHeaders {
    /// Reads what can be read of a frame; whatever is wrong with it, the rest is told.
    init(_ frame: RawSpan) {
        self.init()
        guard let link = try? EthernetHeader(frame) else { return }
        etherType = link.etherType
        vlan = link.vlan
        switch link.etherType {
        case EtherType.arp: readARP(frame, at: link.payloadOffset)
        case EtherType.ipv4: readIPv4(frame, at: link.payloadOffset)
        case EtherType.ipv6: readIPv6(frame, at: link.payloadOffset)
        default: break
        }
    }

    private mutating func readARP(_ frame: RawSpan, at offset: Int) {
        guard let packet = try? ARPPacket(frame, at: offset) else { return }
        arp = packet.operation == .request ? .request : .reply
        source = .ipv4(packet.senderAddress)
        destination = .ipv4(packet.targetAddress)
    }

    private mutating func readIPv4(_ frame: RawSpan, at offset: Int) {
        guard let header = try? IPv4Header(frame, at: offset) else { return }
        source = .ipv4(header.source)
        destination = .ipv4(header.destination)
        protocolNumber = header.protocolNumber
        if header.isFragment {
            fragment = Fragment(
                identification: UInt32(header.identification),
                byteOffset: header.fragmentByteOffset, isLast: !header.moreFragments)
        }
        guard header.fragmentByteOffset == 0 else { return }
        readTransport(frame, header.protocolNumber, from: header.payloadOffset, to: header.end)
    }

    private mutating func readIPv6(_ frame: RawSpan, at offset: Int) {
        guard let header = try? IPv6Header(frame, at: offset) else { return }
        source = .ipv6(header.source)
        destination = .ipv6(header.destination)
        protocolNumber = header.nextHeader
        guard let upper = try? IPv6UpperLayer(frame, header) else { return }
        protocolNumber = upper.protocolNumber
        if upper.isFragment {
            fragment = Fragment(
                identification: upper.identification, byteOffset: upper.fragmentByteOffset,
                isLast: !upper.moreFragments)
        }
        guard upper.fragmentByteOffset == 0 else { return }
        readTransport(frame, upper.protocolNumber, from: upper.offset, to: upper.end)
    }

    private mutating func readTransport(
        _ frame: RawSpan, _ number: UInt8, from start: Int, to end: Int
    ) {
        if let read = TransportPorts(frame, protocolNumber: number, from: start, to: end) {
            ports = Ports(source: read.source, destination: read.destination)
        }
        guard number == IPProtocol.icmp || number == IPProtocol.icmpv6 else { return }
        icmp = PacketSummary.icmp(frame, number, from: start, to: end).map {
            ICMP(type: $0.type, code: $0.code, text: $0.text)
        }
    }
}
