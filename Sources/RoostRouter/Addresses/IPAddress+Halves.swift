extension IPAddress {
    /// An address by its halves in host order.
    init(_ family: AddressFamily, _ high: UInt64, _ low: UInt64) {
        switch family {
        case .ipv4: self = .ipv4(IPv4Address(high: high, low: low))
        case .ipv6: self = .ipv6(IPv6Address(high: high, low: low))
        }
    }

    /// The address as two halves in host order, see ``NetworkAddress/halves``.
    var halves: (high: UInt64, low: UInt64) {
        switch self {
        case .ipv4(let address): address.halves
        case .ipv6(let address): address.halves
        }
    }
}
