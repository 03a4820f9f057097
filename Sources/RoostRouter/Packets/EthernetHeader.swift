internal import RoostMemory

/// The header of an Ethernet II frame with up to two VLAN tags (IEEE 802.1Q, 802.1ad).
///
///     destination 6 · source 6 · [0x8100 or 0x88A8 2 · tag 2] × 0…2 · EtherType 2 · payload
///
/// A third tag is left to be read as an unknown EtherType, and so is an IEEE 802.3 length.
struct EthernetHeader: BitwiseCopyable, Equatable, Sendable {
    /// How many bytes a header without tags has.
    static let byteCount = 14
    /// How many bytes a tag adds.
    static let tagByteCount = 4
    /// How many tags are read: a provider's and a customer's.
    static let tagLimit = 2

    /// Whom the frame is for.
    let destination: MACAddress
    /// Who sent it.
    let source: MACAddress
    /// What it carries, behind all tags read.
    private(set) var etherType: UInt16
    /// How many tags it has, 0 to 2.
    private(set) var tagCount = 0
    /// The first tag: priority 3 bits, drop eligibility 1, VLAN 12; 0 without.
    private(set) var outerTag: UInt16 = 0
    /// The second tag; 0 without.
    private(set) var innerTag: UInt16 = 0

    /// Where the payload begins in the frame: 14, 18 or 22.
    var payloadOffset: Int { Self.byteCount &+ tagCount &* Self.tagByteCount }

    /// The VLAN of the outer tag, 0 to 4095; nil without a tag.
    var vlan: UInt16? { tagCount == 0 ? nil : outerTag & 0xFFF }

    /// Reads the header at the start of a frame.
    ///
    /// - Throws: `PacketError.truncated`.
    @inline(__always)  // Once a packet: the caller keeps the fields it uses in registers.
    init(_ frame: RawSpan) throws(PacketError) {
        guard frame.byteCount >= Self.byteCount else { throw .truncated }
        destination = MACAddress(rawValue: frame.loadBigEndian(at: 0, as: UInt64.self) >> 16)
        let rest = frame.loadBigEndian(at: 6, as: UInt64.self)
        source = MACAddress(rawValue: rest >> 16)
        etherType = UInt16(truncatingIfNeeded: rest)
        if etherType == EtherType.vlan || etherType == EtherType.providerVLAN {
            try readTags(frame)
        }
    }

    private mutating func readTags(_ frame: RawSpan) throws(PacketError) {
        while tagCount < Self.tagLimit,
            etherType == EtherType.vlan || etherType == EtherType.providerVLAN
        {
            guard frame.byteCount >= payloadOffset + Self.tagByteCount else { throw .truncated }
            let tagged = frame.loadBigEndian(at: payloadOffset, as: UInt32.self)
            let tag = UInt16(truncatingIfNeeded: tagged >> 16)
            if tagCount == 0 { outerTag = tag } else { innerTag = tag }
            etherType = UInt16(truncatingIfNeeded: tagged)
            tagCount += 1
        }
    }

    /// Gives a frame new ends; tags and EtherType stay.
    ///
    /// - Precondition: The frame has a header.
    @inline(__always)  // Once a packet.
    static func rewrite(
        _ frame: inout MutableRawSpan, destination: MACAddress, source: MACAddress
    ) {
        precondition(frame.byteCount >= Self.byteCount)
        frame.storeBigEndian(destination.rawValue << 16 | source.rawValue >> 32, at: 0)
        frame.storeBigEndian(UInt32(truncatingIfNeeded: source.rawValue), at: 8)
    }

    /// Writes a header without tags.
    ///
    /// - Precondition: It fits at the offset.
    static func write(
        destination: MACAddress, source: MACAddress, etherType: UInt16,
        into frame: inout MutableRawSpan, at offset: Int = 0
    ) {
        frame.storeBigEndian(destination.rawValue << 16 | source.rawValue >> 32, at: offset)
        frame.storeBigEndian(UInt32(truncatingIfNeeded: source.rawValue), at: offset + 8)
        frame.storeBigEndian(etherType, at: offset + 12)
    }
}
