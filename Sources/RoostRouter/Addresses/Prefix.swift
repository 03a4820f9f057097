/// All addresses of a family that begin with the same bits.
public struct Prefix<Address: NetworkAddress>: BitwiseCopyable, Hashable, Sendable,
    LosslessStringConvertible
{
    /// The lowest address of the prefix: bits past ``length`` are 0.
    public let address: Address
    /// How many bits all its addresses share, 0 to the family's width.
    public let length: Int

    /// The prefix of a length that an address lies in.
    ///
    /// - Precondition: The length is 0 to the family's width.
    @inlinable
    public init(_ address: Address, length: Int) {
        precondition(length >= 0 && length <= Address.bitWidth)
        self.address = address.masked(to: length)
        self.length = length
    }

    /// Reads `address/length`; nil when the text is anything else, or has bits past its length.
    public init?(_ description: String) {
        guard let slash = description.lastIndex(of: "/"),
            let address = Address(String(description[..<slash])),
            let length = Int(description[description.index(after: slash)...]),
            length >= 0, length <= Address.bitWidth, address.masked(to: length) == address
        else { return nil }
        self.init(address, length: length)
    }

    /// `address/length`.
    public var description: String { "\(address)/\(length)" }

    /// Whether an address lies in the prefix.
    @inlinable
    public func contains(_ other: Address) -> Bool {
        address.commonBitCount(with: other) >= length
    }

    /// Whether every address of another prefix lies in this one.
    @inlinable
    public func contains(_ other: Prefix) -> Bool {
        other.length >= length && contains(other.address)
    }

    /// All addresses of the family.
    public static var all: Prefix { Prefix(.unspecified, length: 0) }
}

/// A prefix of IPv4.
public typealias IPv4Prefix = Prefix<IPv4Address>
/// A prefix of IPv6.
public typealias IPv6Prefix = Prefix<IPv6Address>
