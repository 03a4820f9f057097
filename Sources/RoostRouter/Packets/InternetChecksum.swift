internal import RoostMemory

/// The checksum of IPv4, ICMP, UDP and TCP (RFC 1071): the complement of the one's complement sum of
/// 16-bit words.
struct InternetChecksum: BitwiseCopyable, Sendable {
    /// The sum of 16-bit words, its carries not yet added: a few thousand additions fit.
    private var sum: UInt64 = 0

    /// The checksum of nothing yet.
    init() {}

    /// The sum with its carries, 0 to 0xFFFF; 0xFFFF over bytes that include a right checksum.
    var folded: UInt16 { Self.fold(sum) }

    /// What the checksum field must hold for what was added with the field as 0.
    var value: UInt16 { ~folded }

    /// Adds a 16-bit word.
    mutating func add(_ word: UInt16) {
        sum &+= UInt64(word)
    }

    /// Adds two 16-bit words.
    mutating func add(_ words: UInt32) {
        sum &+= UInt64(words)
    }

    /// Adds four 16-bit words.
    mutating func add(_ words: UInt64) {
        sum &+= words >> 32 &+ words & 0xFFFF_FFFF
    }

    /// Adds bytes; an odd number of them only as the last ones.
    mutating func add(_ bytes: RawSpan) {
        sum &+= UInt64(bytes.onesComplementSum)
    }

    /// Adds what TCP, UDP and ICMP cover of an IPv4 header (RFC 9293, section 3.1).
    ///
    /// The length is that of the transport's header and data, at most 65,535 bytes.
    mutating func addPseudoHeader(
        _ source: IPv4Address, _ destination: IPv4Address, protocolNumber: UInt8, byteCount: Int
    ) {
        add(source.rawValue)
        add(destination.rawValue)
        add(UInt32(protocolNumber))
        add(UInt32(truncatingIfNeeded: byteCount))
    }

    /// Adds what upper layers cover of an IPv6 header (RFC 8200, section 8.1).
    mutating func addPseudoHeader(
        _ source: IPv6Address, _ destination: IPv6Address, protocolNumber: UInt8, byteCount: Int
    ) {
        add(source.high)
        add(source.low)
        add(destination.high)
        add(destination.low)
        add(UInt32(protocolNumber))
        add(UInt32(truncatingIfNeeded: byteCount))
    }

    /// A checksum after one 16-bit word under it has changed (RFC 1624, equation 3).
    ///
    /// It equals the checksum computed anew unless everything under it becomes zero, which no
    /// header with a version does.
    @inline(__always)  // Once a packet.
    static func updated(
        _ checksum: UInt16, replacing old: UInt16, with new: UInt16
    ) -> UInt16 {
        let sum = UInt32(~checksum) &+ UInt32(~old) &+ UInt32(new)
        let folded = sum >> 16 &+ sum & 0xFFFF
        return ~UInt16(truncatingIfNeeded: folded >> 16 &+ folded)
    }

    /// Adds the carries of a sum of 16-bit or 32-bit words to it.
    @inline(__always)  // Once a packet.
    static func fold(_ sum: UInt64) -> UInt16 {
        let half = sum >> 32 &+ sum & 0xFFFF_FFFF
        let third = half >> 16 &+ half & 0xFFFF
        let fourth = third >> 16 &+ third & 0xFFFF
        return UInt16(truncatingIfNeeded: fourth >> 16 &+ fourth)
    }
}
