/// An address of either family.
public enum IPAddress: Hashable, Sendable, LosslessStringConvertible {
    /// An address of IPv4.
    case ipv4(IPv4Address)
    /// An address of IPv6.
    case ipv6(IPv6Address)

    /// Reads an address of either family; nil when the text is anything else.
    public init?(_ description: String) {
        if let address = IPv4Address(description) {
            self = .ipv4(address)
        } else if let address = IPv6Address(description) {
            self = .ipv6(address)
        } else {
            return nil
        }
    }

    /// The address in its family's form.
    public var description: String {
        switch self {
        case .ipv4(let address): address.description
        case .ipv6(let address): address.description
        }
    }

    /// Which family it is of.
    public var family: AddressFamily {
        switch self {
        case .ipv4: .ipv4
        case .ipv6: .ipv6
        }
    }

    /// How many bits an address of its family has.
    public var bitWidth: Int {
        switch self {
        case .ipv4: IPv4Address.bitWidth
        case .ipv6: IPv6Address.bitWidth
        }
    }
}

extension IPAddress: Comparable {
    /// IPv4 before IPv6, then by number.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        switch (left, right) {
        case (.ipv4(let left), .ipv4(let right)): left < right
        case (.ipv6(let left), .ipv6(let right)): left < right
        default: left.family.rawValue < right.family.rawValue
        }
    }
}

extension IPAddress {
    /// Whether it is an IPv6 address of link-local scope (RFC 4291, section 2.5.6), which names
    /// somebody on one port only.
    package var isLinkLocalIPv6: Bool {
        guard case .ipv6(let address) = self else { return false }
        return address.high >> 54 == 0xFE80 >> 6
    }

    /// What keeps it from naming one host, in words; nil when nothing does.
    package var reasonNotToBeAHost: String? {
        switch self {
        case .ipv4(let address):
            switch address.rawValue >> 24 {
            case 0: "is of 0.0.0.0/8, which names nobody"
            case 127: "is a loopback address"
            case 224..<240: "is a multicast address"
            case 240...: "is of 240.0.0.0/4, which is reserved"
            default: nil
            }
        case .ipv6(let address):
            if address == .unspecified {
                "names nobody"
            } else if address == IPv6Address(high: 0, low: 1) {
                "is the loopback address"
            } else if address.high >> 56 == 0xFF {
                "is a multicast address"
            } else if address.high == 0, address.low >> 32 == 0xFFFF {
                "is an IPv4 address mapped into IPv6, which is not sent"
            } else {
                nil
            }
        }
    }
}
