/// A port as the processor knows it: what it is, and which addresses of it are the router's.
struct PortEntry: Sendable {
    let index: PortIndex
    let namespace: NamespaceIndex
    /// How it was asked for; addresses and MTU are its.
    let configuration: PortConfiguration
    /// Where it is, for people: `tap tap1 in web`.
    let place: String
    let mac: MACAddress
    /// The router's addresses of IPv4 here.
    let addresses4: [OwnAddress<IPv4Address>]
    /// The router's addresses of IPv6 here; the link-local one is the last.
    let addresses6: [OwnAddress<IPv6Address>]
    let linkLocal: IPv6Address
    var isUp = true
    /// Whether somebody took it down by hand, so that its device does not take it up.
    var isHeldDown = false
    /// The routes by it, while it is down.
    var withdrawn: [WithdrawnRoute] = []

    /// One of the router's addresses and the subnet that it is in.
    struct OwnAddress<Address: NetworkAddress>: Sendable, Equatable {
        let address: Address
        let subnet: Prefix<Address>
    }

    /// A port that was opened.
    init(
        _ configuration: PortConfiguration, _ index: PortIndex, in namespace: NamespaceIndex,
        place: String, mac: MACAddress
    ) {
        self.index = index
        self.namespace = namespace
        self.configuration = configuration
        self.place = place
        self.mac = mac
        var four: [OwnAddress<IPv4Address>] = []
        var six: [OwnAddress<IPv6Address>] = []
        for address in configuration.addresses {
            switch address.address {
            case .ipv4(let own):
                four.append(
                    OwnAddress(address: own, subnet: Prefix(own, length: address.prefixLength)))
            case .ipv6(let own):
                six.append(
                    OwnAddress(address: own, subnet: Prefix(own, length: address.prefixLength)))
            }
        }
        addresses4 = four
        // A link-local address that was given stands for the one made of the MAC address.
        let given = six.first { $0.address.isLinkLocal }?.address
        linkLocal = given ?? IPv6Address(prefix: 0xFE80 << 48, interface: mac)
        if given == nil {
            six.append(OwnAddress(address: linkLocal, subnet: Prefix(linkLocal, length: 64)))
        }
        addresses6 = six
    }

    /// Whether an address is the router's here.
    func owns(_ address: IPv4Address) -> Bool { addresses4.contains { $0.address == address } }
    /// Whether an address is the router's here.
    func owns(_ address: IPv6Address) -> Bool { addresses6.contains { $0.address == address } }

    /// The router's address towards another one: of its subnet if there is one.
    func source(towards other: IPv4Address) -> IPv4Address? {
        (addresses4.first { $0.subnet.contains(other) } ?? addresses4.first)?.address
    }

    /// The router's address towards another one: of its subnet if there is one; the link-local one for
    /// what is on the link.
    func source(towards other: IPv6Address) -> IPv6Address {
        if other.isLinkLocal || other.isMulticast { return linkLocal }
        return addresses6.first { $0.subnet.contains(other) }?.address ?? wideAddress6 ?? linkLocal
    }

    /// An address of IPv6 that is known beyond the link, if there is one.
    var wideAddress6: IPv6Address? { addresses6.first { !$0.address.isLinkLocal }?.address }
}
