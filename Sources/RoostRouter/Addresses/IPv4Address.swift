internal import CRoost

/// An IPv4 address (RFC 791).
public struct IPv4Address: NetworkAddress {
    /// The address as a number in host order: 192.0.2.1 is 0xC000_0201.
    public var rawValue: UInt32

    /// An address from its number in host order.
    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// See ``NetworkAddress/init(high:low:)``.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        rawValue = UInt32(truncatingIfNeeded: low)
    }

    /// Reads four decimal numbers with dots; nil when the text is anything else.
    public init?(_ description: String) {
        var address: UInt32 = 0
        // SAFETY: both live for the call; the text ends with a zero.
        guard unsafe croost_parse_ipv4(description, &address) != 0 else { return nil }
        rawValue = address
    }

    /// Four decimal numbers with dots.
    public var description: String {
        "\(rawValue >> 24).\(rawValue >> 16 & 0xFF).\(rawValue >> 8 & 0xFF).\(rawValue & 0xFF)"
    }

    /// IPv4.
    public static var family: AddressFamily { .ipv4 }

    /// 32.
    public static var bitWidth: Int { 32 }

    /// 0.0.0.0.
    public static var unspecified: IPv4Address { IPv4Address(rawValue: 0) }

    /// 255.255.255.255, the limited broadcast (RFC 1122, section 3.2.1.3).
    public static var limitedBroadcast: IPv4Address { IPv4Address(rawValue: .max) }

    /// See ``NetworkAddress/bits(from:count:)``.
    @inlinable
    public func bits(from start: Int, count: Int) -> UInt32 {
        // The smart shift gives 0 past the end.
        (rawValue << UInt32(truncatingIfNeeded: start)) >> UInt32(truncatingIfNeeded: 32 &- count)
    }

    /// See ``NetworkAddress/masked(to:)``.
    @inlinable
    public func masked(to length: Int) -> IPv4Address {
        IPv4Address(rawValue: rawValue & ~(UInt32.max >> UInt32(truncatingIfNeeded: length)))
    }

    /// See ``NetworkAddress/commonBitCount(with:)``.
    @inlinable
    public func commonBitCount(with other: IPv4Address) -> Int {
        (rawValue ^ other.rawValue).leadingZeroBitCount
    }

    /// See ``NetworkAddress/halves``.
    @inlinable
    public var halves: (high: UInt64, low: UInt64) { (0, UInt64(rawValue)) }

    /// By number.
    @inlinable
    public static func < (left: IPv4Address, right: IPv4Address) -> Bool {
        left.rawValue < right.rawValue
    }
}
