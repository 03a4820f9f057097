internal import CRoost

/// An IPv6 address (RFC 4291).
public struct IPv6Address: NetworkAddress {
    /// The first 64 bits as a number in host order.
    public var high: UInt64
    /// The last 64 bits as a number in host order.
    public var low: UInt64

    /// An address from its halves in host order.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads an address in any form of RFC 4291; nil when the text is anything else.
    public init?(_ description: String) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        // SAFETY: all live for the call; the text ends with a zero.
        guard unsafe croost_parse_ipv6(description, &high, &low) != 0 else { return nil }
        self.init(high: high, low: low)
    }

    /// The canonical text (RFC 5952).
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(CROOST_ADDRESS_TEXT))
        // SAFETY: the room is as large as the longest address with its end.
        unsafe croost_print_ipv6(high, low, &text)
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// IPv6.
    public static var family: AddressFamily { .ipv6 }

    /// 128.
    public static var bitWidth: Int { 128 }

    /// The unspecified address, ::.
    public static var unspecified: IPv6Address { IPv6Address(high: 0, low: 0) }

    /// See ``NetworkAddress/bits(from:count:)``.
    @inlinable
    public func bits(from start: Int, count: Int) -> UInt32 {
        let upper =
            start < 64
            ? high << UInt64(start) | (low >> UInt64(64 - start)) : low << UInt64(start - 64)
        return UInt32(truncatingIfNeeded: upper >> UInt64(64 - count))
    }

    /// See ``NetworkAddress/masked(to:)``.
    @inlinable
    public func masked(to length: Int) -> IPv6Address {
        IPv6Address(
            high: high & ~(UInt64.max >> UInt64(min(length, 64))),
            low: low & ~(UInt64.max >> UInt64(max(length - 64, 0))))
    }

    /// See ``NetworkAddress/commonBitCount(with:)``.
    @inlinable
    public func commonBitCount(with other: IPv6Address) -> Int {
        high == other.high
            ? 64 + (low ^ other.low).leadingZeroBitCount : (high ^ other.high).leadingZeroBitCount
    }

    /// See ``NetworkAddress/halves``.
    @inlinable
    public var halves: (high: UInt64, low: UInt64) { (high, low) }

    /// By number.
    @inlinable
    public static func < (left: IPv6Address, right: IPv6Address) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}
