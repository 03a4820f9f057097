internal import RoostMemory

/// The ports that TCP, UDP and their like begin with.
struct TransportPorts: BitwiseCopyable, Equatable, Sendable {
    /// The source's port in the upper half, the destination's in the lower one.
    let rawValue: UInt32

    /// The sender's port.
    var source: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 16) }
    /// The receiver's port.
    var destination: UInt16 { UInt16(truncatingIfNeeded: rawValue) }

    /// Reads the ports; nil when the protocol has none there, or the packet ends before.
    init?(_ frame: RawSpan, protocolNumber: UInt8, from offset: Int, to end: Int) {
        switch protocolNumber {
        case IPProtocol.tcp, IPProtocol.udp, IPProtocol.sctp, IPProtocol.udpLite, IPProtocol.dccp:
            guard offset <= end &- 4 else { return nil }
            rawValue = frame.loadBigEndian(at: offset, as: UInt32.self)
        default: return nil
        }
    }
}

/// A UDP header (RFC 768): source port 16 · destination port 16 · length 16 · checksum 16.
struct UDPHeader: BitwiseCopyable, Equatable, Sendable {
    /// How many bytes a header has.
    static let byteCount = 8

    /// Both ports.
    let ports: TransportPorts
    /// Header and data, 8 to 65,535.
    let length: Int
    /// The checksum; 0 is none.
    let checksum: UInt16

    /// Reads a header; the data behind its length is no part of it.
    ///
    /// - Throws: `PacketError` `truncated` or `totalLength`.
    init(_ frame: RawSpan, from offset: Int, to end: Int) throws(PacketError) {
        guard offset <= end &- Self.byteCount,
            let ports = TransportPorts(
                frame, protocolNumber: IPProtocol.udp, from: offset, to: end)
        else { throw .truncated }
        self.ports = ports
        length = Int(frame.loadBigEndian(at: offset + 4, as: UInt16.self))
        checksum = frame.loadBigEndian(at: offset + 6, as: UInt16.self)
        guard length >= Self.byteCount, length <= end - offset else { throw .totalLength }
    }
}

/// A TCP header (RFC 9293, section 3.1).
///
///     source port 16 · destination port 16 · sequence 32 · acknowledgement 32
///     data offset 4 · reserved 4 · flags 8 · window 16 · checksum 16 · urgent pointer 16 · options
struct TCPHeader: BitwiseCopyable, Equatable, Sendable {
    /// How many bytes a header without options has.
    static let minimumByteCount = 20

    /// Both ports.
    let ports: TransportPorts
    /// The number of the first byte of data.
    let sequence: UInt32
    /// The number of the next byte expected.
    let acknowledgement: UInt32
    /// Where the data begins, 20 to 60 bytes behind the header's start.
    let headerByteCount: Int
    /// CWR, ECE, URG, ACK, PSH, RST, SYN, FIN from the highest bit.
    let flags: UInt8
    /// How many bytes the sender takes, unscaled.
    let window: UInt16

    /// Reads a header.
    ///
    /// - Throws: `PacketError` `truncated` or `headerLength`.
    init(_ frame: RawSpan, from offset: Int, to end: Int) throws(PacketError) {
        guard offset <= end &- Self.minimumByteCount,
            let ports = TransportPorts(
                frame, protocolNumber: IPProtocol.tcp, from: offset, to: end)
        else { throw .truncated }
        let words = frame.loadWords(at: offset, as: BigEndianWords<4>.self)
        self.ports = ports
        sequence = words[1]
        acknowledgement = words[2]
        headerByteCount = Int(words[3] >> 28) * 4
        flags = UInt8(truncatingIfNeeded: words[3] >> 16)
        window = UInt16(truncatingIfNeeded: words[3])
        guard headerByteCount >= Self.minimumByteCount, headerByteCount <= end - offset
        else { throw .headerLength }
    }
}

extension InternetChecksum {
    /// Whether the checksum of what an unfragmented packet carries is right.
    ///
    /// TCP, UDP unless it has none, ICMP and ICMPv6 are judged; all else is taken as right.
    static func isTransportRight(_ frame: RawSpan, _ header: IPv4Header) -> Bool {
        var sum = InternetChecksum()
        let number = header.protocolNumber
        if number != IPProtocol.icmp {
            sum.addPseudoHeader(
                header.source, header.destination, protocolNumber: number,
                byteCount: header.payloadByteCount)
        }
        return sum.isRight(frame, number, from: header.payloadOffset, to: header.end)
    }

    /// Whether the checksum of what an unfragmented packet carries is right.
    static func isTransportRight(
        _ frame: RawSpan, _ header: IPv6Header, _ upper: IPv6UpperLayer
    ) -> Bool {
        var sum = InternetChecksum()
        sum.addPseudoHeader(
            header.source, header.destination, protocolNumber: upper.protocolNumber,
            byteCount: upper.byteCount)
        return sum.isRight(frame, upper.protocolNumber, from: upper.offset, to: upper.end)
    }

    private func isRight(
        _ frame: RawSpan, _ protocolNumber: UInt8, from offset: Int, to end: Int
    ) -> Bool {
        switch protocolNumber {
        case IPProtocol.udp:
            guard let header = try? UDPHeader(frame, from: offset, to: end) else { return false }
            guard header.checksum != 0 else { return true }
        case IPProtocol.tcp, IPProtocol.icmp, IPProtocol.icmpv6: break
        default: return true
        }
        var sum = self
        sum.add(frame.extracting(offset..<end))
        return sum.folded == 0xFFFF
    }
}
