/// A prefix of either family.
public enum IPPrefix: Hashable, Sendable, LosslessStringConvertible {
    /// A prefix of IPv4.
    case ipv4(IPv4Prefix)
    /// A prefix of IPv6.
    case ipv6(IPv6Prefix)

    /// Reads `address/length`; nil when the text is anything else, or has bits past its length.
    public init?(_ description: String) {
        if let prefix = IPv4Prefix(description) {
            self = .ipv4(prefix)
        } else if let prefix = IPv6Prefix(description) {
            self = .ipv6(prefix)
        } else {
            return nil
        }
    }

    /// The prefix of a length that an address lies in.
    ///
    /// - Precondition: The length is 0 to the family's width.
    public init(_ address: IPAddress, length: Int) {
        switch address {
        case .ipv4(let address): self = .ipv4(IPv4Prefix(address, length: length))
        case .ipv6(let address): self = .ipv6(IPv6Prefix(address, length: length))
        }
    }

    /// `address/length`.
    public var description: String {
        switch self {
        case .ipv4(let prefix): prefix.description
        case .ipv6(let prefix): prefix.description
        }
    }

    /// Which family it is of.
    public var family: AddressFamily {
        switch self {
        case .ipv4: .ipv4
        case .ipv6: .ipv6
        }
    }

    /// Its lowest address.
    public var address: IPAddress {
        switch self {
        case .ipv4(let prefix): .ipv4(prefix.address)
        case .ipv6(let prefix): .ipv6(prefix.address)
        }
    }

    /// How many bits all its addresses share.
    public var length: Int {
        switch self {
        case .ipv4(let prefix): prefix.length
        case .ipv6(let prefix): prefix.length
        }
    }

    /// Whether an address lies in the prefix; one of the other family never does.
    public func contains(_ address: IPAddress) -> Bool {
        switch (self, address) {
        case (.ipv4(let prefix), .ipv4(let address)): prefix.contains(address)
        case (.ipv6(let prefix), .ipv6(let address)): prefix.contains(address)
        default: false
        }
    }

    /// Whether every address of another prefix lies in this one.
    public func contains(_ other: IPPrefix) -> Bool {
        other.length >= length && contains(other.address)
    }

    /// Whether an address lies in both.
    public func overlaps(_ other: IPPrefix) -> Bool { contains(other) || other.contains(self) }
}

extension IPPrefix: Comparable {
    /// By lowest address, then the shorter first.
    public static func < (left: IPPrefix, right: IPPrefix) -> Bool {
        (left.address, left.length) < (right.address, right.length)
    }
}
