/// A link-layer address of Ethernet (IEEE 802, 48 bits).
public struct MACAddress: BitwiseCopyable, Hashable, Sendable, LosslessStringConvertible {
    /// The six octets as a number, the first sent in bits 47 to 40; the upper bits are 0.
    public var rawValue: UInt64

    /// An address from the low 48 bits of a number.
    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue & 0xFFFF_FFFF_FFFF
    }

    /// Reads six octets in hexadecimal with colons; nil when the text is anything else.
    public init?(_ description: String) {
        let octets = description.split(separator: ":", omittingEmptySubsequences: false)
        guard octets.count == 6 else { return nil }
        var value: UInt64 = 0
        for octet in octets {
            guard octet.utf8.count == 2, octet.allSatisfy(\.isHexDigit),
                let number = UInt64(octet, radix: 16)
            else { return nil }
            value = value << 8 | number
        }
        rawValue = value
    }

    /// Six octets in hexadecimal with colons.
    public var description: String {
        (0..<6).map { index in
            let octet = String(rawValue >> UInt64(40 - index * 8) & 0xFF, radix: 16)
            return octet.utf8.count == 1 ? "0" + octet : octet
        }.joined(separator: ":")
    }

    /// ff:ff:ff:ff:ff:ff.
    public static var broadcast: MACAddress { MACAddress(rawValue: .max) }

    /// Whether frames to it are for a group: the first octet's lowest bit.
    @inlinable
    public var isMulticast: Bool { rawValue & 0x0100_0000_0000 != 0 }
}
