/// What a neighbour is found by: the port it is behind, and its address there.
struct NeighbourKey: BitwiseCopyable, Hashable, Sendable {
    /// The port.
    var port: PortIndex
    /// The family of the address.
    var family: AddressFamily
    /// The address's upper half in host order; 0 for IPv4.
    var high: UInt64
    /// The address's lower half in host order.
    var low: UInt64

    /// A neighbour of IPv4.
    init(_ port: PortIndex, _ address: IPv4Address) {
        self.init(port, .ipv4, high: 0, low: UInt64(address.rawValue))
    }

    /// A neighbour of IPv6.
    init(_ port: PortIndex, _ address: IPv6Address) {
        self.init(port, .ipv6, high: address.high, low: address.low)
    }

    /// A neighbour by the halves of its address.
    init(_ port: PortIndex, _ family: AddressFamily, high: UInt64, low: UInt64) {
        self.port = port
        self.family = family
        self.high = high
        self.low = low
    }

    /// The address, of a neighbour of IPv4.
    var ipv4: IPv4Address { IPv4Address(high: high, low: low) }

    /// The address, of a neighbour of IPv6.
    var ipv6: IPv6Address { IPv6Address(high: high, low: low) }

    /// The key in the index: the port in the scope's lower 16 bits, the family above.
    var indexKey: IndexKey {
        IndexKey(
            scope: UInt32(port.rawValue) | UInt32(family.rawValue) << 16, high: high, low: low)
    }
}
