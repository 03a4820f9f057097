/// An address of a port, and how long the prefix is that its neighbours share.
public struct InterfaceAddress: Hashable, Sendable, LosslessStringConvertible {
    /// The port's own address.
    public let address: IPAddress
    /// How many bits the addresses on the port's link share, 0 to the family's width.
    public let prefixLength: Int

    /// An address on a link.
    ///
    /// - Precondition: The length is 0 to the family's width.
    public init(_ address: IPAddress, prefixLength: Int) {
        precondition(prefixLength >= 0 && prefixLength <= address.bitWidth)
        self.address = address
        self.prefixLength = prefixLength
    }

    /// Reads `address/length`; nil when the text is anything else.
    public init?(_ description: String) {
        guard let slash = description.lastIndex(of: "/"),
            let address = IPAddress(String(description[..<slash])),
            let length = Int(description[description.index(after: slash)...]),
            length >= 0, length <= address.bitWidth
        else { return nil }
        self.init(address, prefixLength: length)
    }

    /// `address/length`.
    public var description: String { "\(address)/\(prefixLength)" }

    /// The addresses on the port's link.
    public var subnet: IPPrefix { IPPrefix(address, length: prefixLength) }

    /// The address to which IPv4 sends to all on the link: the subnet's last, where the subnet has
    /// more than two addresses (RFC 3021).
    public var broadcast: IPv4Address? {
        guard case .ipv4(let address) = address, prefixLength < 31 else { return nil }
        return IPv4Address(
            rawValue: address.rawValue | UInt32.max >> UInt32(truncatingIfNeeded: prefixLength))
    }
}
