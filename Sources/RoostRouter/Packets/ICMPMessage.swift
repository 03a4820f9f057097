internal import RoostMemory

/// An ICMP or ICMPv6 message (RFC 792, RFC 4443), whole and with a right checksum.
///
///     type 8 · code 8 · checksum 16 · rest 32 · data
struct ICMPMessage: BitwiseCopyable, Equatable, Sendable {
    /// Types of ICMP.
    enum Kind {
        static let echoReply: UInt8 = 0
        static let destinationUnreachable: UInt8 = 3
        static let sourceQuench: UInt8 = 4
        static let redirect: UInt8 = 5
        static let echoRequest: UInt8 = 8
        static let timeExceeded: UInt8 = 11
        static let parameterProblem: UInt8 = 12
    }

    /// Types of ICMPv6; those below 128 are errors.
    enum Kind6 {
        static let destinationUnreachable: UInt8 = 1
        static let packetTooBig: UInt8 = 2
        static let timeExceeded: UInt8 = 3
        static let parameterProblem: UInt8 = 4
        static let echoRequest: UInt8 = 128
        static let echoReply: UInt8 = 129
        static let routerSolicitation: UInt8 = 133
        static let routerAdvertisement: UInt8 = 134
        static let neighbourSolicitation: UInt8 = 135
        static let neighbourAdvertisement: UInt8 = 136
        static let redirect: UInt8 = 137
    }

    /// How many bytes come before the data.
    static let headerByteCount = 8

    /// What it says.
    let type: UInt8
    /// What it says in detail.
    let code: UInt8
    /// The second word: identifier and sequence of an echo, MTU, gateway, pointer.
    let rest: UInt32
    /// Where it begins in the frame.
    let offset: Int
    /// Where it ends in the frame.
    let end: Int

    /// Where its data begins in the frame.
    var dataOffset: Int { offset + Self.headerByteCount }

    /// Reads the message that an IPv4 packet carries; the caller has looked at its protocol.
    ///
    /// - Throws: `PacketError` `fragment`, `truncated` or `checksum`.
    init(_ frame: RawSpan, _ header: IPv4Header) throws(PacketError) {
        guard !header.isFragment else { throw .fragment }
        try self.init(frame, from: header.payloadOffset, to: header.end, InternetChecksum())
    }

    /// Reads the message that an IPv6 packet carries; the caller has looked at its protocol.
    ///
    /// - Throws: `PacketError` `fragment`, `truncated` or `checksum`.
    init(
        _ frame: RawSpan, _ header: IPv6Header, _ upper: IPv6UpperLayer
    ) throws(PacketError) {
        guard !upper.isFragment else { throw .fragment }
        var checksum = InternetChecksum()
        checksum.addPseudoHeader(
            header.source, header.destination, protocolNumber: IPProtocol.icmpv6,
            byteCount: upper.byteCount)
        try self.init(frame, from: upper.offset, to: upper.end, checksum)
    }

    private init(
        _ frame: RawSpan, from offset: Int, to end: Int, _ start: InternetChecksum
    ) throws(PacketError) {
        guard offset <= end &- Self.headerByteCount else { throw .truncated }
        var checksum = start
        checksum.add(frame.extracting(offset..<end))
        guard checksum.folded == 0xFFFF else { throw .checksum }
        let words = frame.loadWords(at: offset, as: BigEndianWords<2>.self)
        type = UInt8(truncatingIfNeeded: words[0] >> 24)
        code = UInt8(truncatingIfNeeded: words[0] >> 16)
        rest = words[1]
        self.offset = offset
        self.end = end
    }

    /// Whether messages of a type of ICMP are errors (RFC 1122, section 3.2.2).
    static func isError(_ type: UInt8) -> Bool {
        switch type {
        case Kind.destinationUnreachable, Kind.sourceQuench, Kind.redirect, Kind.timeExceeded,
            Kind.parameterProblem:
            true
        default: false
        }
    }
}
