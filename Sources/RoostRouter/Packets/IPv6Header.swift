internal import RoostMemory

/// An IPv6 packet's header (RFC 8200, section 3), where it lies in a frame.
///
///     version 4 bits · traffic class 8 · flow label 20
///     payload length 16 · next header 8 · hop limit 8 · source 128 · destination 128
struct IPv6Header: BitwiseCopyable, Equatable, Sendable {
    /// How many bytes a header has.
    static let byteCount = 40

    /// Where the header begins in the frame.
    let offset: Int
    /// Where the packet ends in the frame: what lies behind is padding of the link.
    let end: Int
    private let flow: UInt32
    private let life: UInt32
    /// Who sent it.
    let source: IPv6Address
    /// Whom it is for.
    let destination: IPv6Address

    /// Extension headers and what they precede, at most 65,535.
    var payloadByteCount: Int { Int(life >> 16) }
    /// Header and payload.
    var totalByteCount: Int { Self.byteCount &+ payloadByteCount }
    /// Where the payload begins in the frame.
    var payloadOffset: Int { offset &+ Self.byteCount }
    /// Differentiated services and congestion notification.
    var trafficClass: UInt8 { UInt8(truncatingIfNeeded: flow >> 20) }
    /// What the packets of a flow have in common, 20 bits.
    var flowLabel: UInt32 { flow & 0xF_FFFF }
    /// What follows: a number of ``IPProtocol``.
    var nextHeader: UInt8 { UInt8(truncatingIfNeeded: life >> 8) }
    /// How many routers it may still pass, itself included.
    var hopLimit: UInt8 { UInt8(truncatingIfNeeded: life) }

    /// Reads a header: version, and payload length within the frame.
    ///
    /// - Throws: `PacketError` `truncated`, `version` or `totalLength`.
    @inline(__always)  // Once a packet: the caller keeps the fields it uses in registers.
    init(_ frame: RawSpan, at offset: Int) throws(PacketError) {
        guard offset >= 0, offset <= frame.byteCount &- Self.byteCount else { throw .truncated }
        let words = frame.loadWords(at: offset, as: BigEndianWords<10>.self)
        self.init(words, offset: offset, end: offset &+ Self.byteCount &+ Int(words[1] >> 16))
        guard words[0] >> 28 == 6 else { throw .version }
        guard end <= frame.byteCount else { throw .totalLength }
    }

    /// Reads the header that an ICMPv6 error quotes: the packet may be cut.
    ///
    /// - Throws: `PacketError` `truncated` or `version`.
    init(quotedIn frame: RawSpan, at offset: Int) throws(PacketError) {
        guard offset >= 0, offset <= frame.byteCount &- Self.byteCount else { throw .truncated }
        let words = frame.loadWords(at: offset, as: BigEndianWords<10>.self)
        let end = offset &+ Self.byteCount &+ Int(words[1] >> 16)
        self.init(words, offset: offset, end: min(end, frame.byteCount))
        guard words[0] >> 28 == 6 else { throw .version }
    }

    @inline(__always)  // Part of the above.
    private init(_ words: BigEndianWords<10>, offset: Int, end: Int) {
        self.offset = offset
        self.end = end
        flow = words[0]
        life = words[1]
        source = IPv6Address(
            high: UInt64(words[2]) << 32 | UInt64(words[3]),
            low: UInt64(words[4]) << 32 | UInt64(words[5]))
        destination = IPv6Address(
            high: UInt64(words[6]) << 32 | UInt64(words[7]),
            low: UInt64(words[8]) << 32 | UInt64(words[9]))
    }

    /// Takes one from the hop limit in place; no checksum covers it.
    ///
    /// - Precondition: A header lies at the offset; its hop limit is not 0.
    @inline(__always)  // Once a packet.
    static func decrementHopLimit(_ frame: inout MutableRawSpan, at offset: Int) {
        let hopLimit = frame.bytes.loadBigEndian(at: offset &+ 7, as: UInt8.self)
        frame.storeBigEndian(hopLimit &- 1, at: offset &+ 7)
    }

    /// Writes a header of traffic class 0 and flow label 0.
    ///
    /// What follows the header has at most 65,535 bytes.
    ///
    /// - Precondition: 40 bytes fit at the offset.
    static func write(
        source: IPv6Address, destination: IPv6Address, nextHeader: UInt8,
        payloadByteCount: Int, hopLimit: UInt8, into output: inout MutableRawSpan, at offset: Int
    ) {
        let length = UInt32(UInt16(truncatingIfNeeded: payloadByteCount))
        output.storeBigEndian(UInt32(0x6000_0000), at: offset)
        output.storeBigEndian(
            length << 16 | UInt32(nextHeader) << 8 | UInt32(hopLimit), at: offset + 4)
        output.storeBigEndian(source, at: offset + 8)
        output.storeBigEndian(destination, at: offset + 24)
    }

    /// The hop limit of what the router itself sends (RFC 1700).
    static let defaultHopLimit: UInt8 = 64
}

extension MutableRawSpan {
    /// Writes an address, 16 bytes.
    ///
    /// - Precondition: It lies in the span.
    mutating func storeBigEndian(_ address: IPv6Address, at offset: Int) {
        storeBigEndian(address.high, at: offset)
        storeBigEndian(address.low, at: offset + 8)
    }
}

extension RawSpan {
    /// Reads an address, 16 bytes.
    ///
    /// - Precondition: It lies in the span.
    func loadIPv6Address(at offset: Int) -> IPv6Address {
        IPv6Address(
            high: loadBigEndian(at: offset, as: UInt64.self),
            low: loadBigEndian(at: offset + 8, as: UInt64.self))
    }
}
