internal import RoostMemory

/// An IPv4 packet's header (RFC 791, section 3.1), where it lies in a frame.
///
///     version 4 bits · header length 4 · type of service 8 · total length 16
///     identification 16 · 0, don't fragment, more fragments · fragment offset 13
///     time to live 8 · protocol 8 · header checksum 16 · source 32 · destination 32 · options
struct IPv4Header: BitwiseCopyable, Equatable, Sendable {
    /// How many bytes a header without options has.
    static let minimumByteCount = 20
    /// How many bytes a header has at most.
    static let maximumByteCount = 60
    /// "Don't fragment" in the word of the fragment offset.
    static let dontFragmentBit: UInt16 = 0x4000
    /// "More fragments" in the word of the fragment offset.
    static let moreFragmentsBit: UInt16 = 0x2000

    /// Where the header begins in the frame.
    let offset: Int
    /// Where the packet ends in the frame: what lies behind is padding of the link.
    let end: Int
    private let lengths: UInt32
    private let fragment: UInt32
    private let life: UInt32
    /// Who sent it.
    let source: IPv4Address
    /// Whom it is for.
    let destination: IPv4Address

    /// 20 to 60, a multiple of 4.
    var headerByteCount: Int { Int(lengths >> 22 & 0x3C) }
    /// Header and payload, at most 65,535.
    var totalByteCount: Int { Int(lengths & 0xFFFF) }
    /// Where the payload begins in the frame.
    var payloadOffset: Int { offset &+ headerByteCount }
    /// How many bytes of payload are in the frame.
    var payloadByteCount: Int { end &- payloadOffset }
    /// Differentiated services and congestion notification, once precedence and type of service.
    var typeOfService: UInt8 { UInt8(truncatingIfNeeded: lengths >> 16) }
    /// What the fragments of a packet have in common.
    var identification: UInt16 { UInt16(truncatingIfNeeded: fragment >> 16) }
    /// Whether it must not be fragmented.
    var dontFragment: Bool { fragment & UInt32(Self.dontFragmentBit) != 0 }
    /// Whether it is a fragment other than the last.
    var moreFragments: Bool { fragment & UInt32(Self.moreFragmentsBit) != 0 }
    /// Where its payload begins in that of the whole packet: 0 to 65,528.
    var fragmentByteOffset: Int { Int(fragment & 0x1FFF) &* 8 }
    /// Whether it is a part of a packet.
    var isFragment: Bool { fragment & 0x3FFF != 0 }
    /// How many routers it may still pass, itself included.
    var timeToLive: UInt8 { UInt8(truncatingIfNeeded: life >> 24) }
    /// What it carries: a number of ``IPProtocol``.
    var protocolNumber: UInt8 { UInt8(truncatingIfNeeded: life >> 16) }
    /// The header's checksum as it stands.
    var checksum: UInt16 { UInt16(truncatingIfNeeded: life) }
    /// Whether there are options.
    var hasOptions: Bool { headerByteCount > Self.minimumByteCount }

    /// Reads a header and checks it as a router must (RFC 1812, section 5.2.2): version, header
    /// length, total length within the frame, checksum.
    ///
    /// - Throws: `PacketError` `truncated`, `version`, `headerLength`, `totalLength` or `checksum`.
    @inline(__always)  // Once a packet: the caller keeps the fields it uses in registers.
    init(_ frame: RawSpan, at offset: Int) throws(PacketError) {
        guard offset >= 0, offset <= frame.byteCount &- Self.minimumByteCount
        else { throw .truncated }
        let words = frame.loadWords(at: offset, as: BigEndianWords<5>.self)
        self.init(words, offset: offset, end: offset &+ Int(words[0] & 0xFFFF))
        guard words[0] >> 28 == 4 else { throw .version }
        guard headerByteCount >= Self.minimumByteCount else { throw .headerLength }
        guard totalByteCount >= headerByteCount, end <= frame.byteCount
        else { throw .totalLength }
        var sum = UInt64(words[0]) &+ UInt64(words[1]) &+ UInt64(words[2])
        sum &+= UInt64(words[3]) &+ UInt64(words[4])
        if hasOptions {
            sum &+= Self.optionSum(frame, from: offset, to: payloadOffset)
        }
        guard InternetChecksum.fold(sum) == 0xFFFF else { throw .checksum }
    }

    /// Reads the header that an ICMP error quotes: the packet may be cut, and its checksum is of no
    /// account.
    ///
    /// - Throws: `PacketError` `truncated`, `version` or `headerLength`.
    init(quotedIn frame: RawSpan, at offset: Int) throws(PacketError) {
        guard offset >= 0, offset <= frame.byteCount &- Self.minimumByteCount
        else { throw .truncated }
        let words = frame.loadWords(at: offset, as: BigEndianWords<5>.self)
        self.init(
            words, offset: offset, end: min(offset &+ Int(words[0] & 0xFFFF), frame.byteCount))
        guard words[0] >> 28 == 4 else { throw .version }
        guard headerByteCount >= Self.minimumByteCount, end >= payloadOffset
        else { throw .headerLength }
    }

    @inline(__always)  // Part of the above.
    private init(_ words: BigEndianWords<5>, offset: Int, end: Int) {
        self.offset = offset
        self.end = end
        lengths = words[0]
        fragment = words[1]
        life = words[2]
        source = IPv4Address(rawValue: words[3])
        destination = IPv4Address(rawValue: words[4])
    }

    /// Apart and static, so that a header without options need not lie in memory.
    private static func optionSum(
        _ frame: RawSpan, from offset: Int, to end: Int
    ) -> UInt64 {
        UInt64(frame.extracting(offset + minimumByteCount..<end).onesComplementSum)
    }

    /// Takes one from the time to live in place, and brings the checksum up to date.
    ///
    /// - Precondition: A header lies at the offset; its time to live is not 0.
    @inline(__always)  // Once a packet.
    static func decrementTimeToLive(_ frame: inout MutableRawSpan, at offset: Int) {
        let word = frame.bytes.loadBigEndian(at: offset &+ 8, as: UInt32.self)
        let old = UInt16(truncatingIfNeeded: word >> 16)
        let new = old &- 0x100
        let checksum = InternetChecksum.updated(
            UInt16(truncatingIfNeeded: word), replacing: old, with: new)
        frame.storeBigEndian(UInt32(new) << 16 | UInt32(checksum), at: offset &+ 8)
    }
}
