/// Why a message of ARP or neighbour discovery was not used.
enum NeighbourRefusal: UInt8, CaseIterable, Equatable, Sendable {
    /// The sender's link-layer address is a group's, or none.
    case senderLink
    /// The sender's link-layer address is the router's own: its own frame came back.
    case ownFrame
    /// The sender's address is none that a neighbour of the port can have.
    case senderAddress
    /// It is about another's address, and of a sender that is not known.
    case notForUs
    /// It answers what nobody asked, and is of a neighbour that is not known.
    case unasked
    /// It is of another protocol part: routers' messages and redirects.
    case otherKind

    /// The name in reports.
    var name: String {
        switch self {
        case .senderLink: "neighbour-sender-link"
        case .ownFrame: "neighbour-own-frame"
        case .senderAddress: "neighbour-sender-address"
        case .notForUs: "neighbour-not-for-us"
        case .unasked: "neighbour-unasked"
        case .otherKind: "neighbour-other-kind"
        }
    }
}

/// A port as the rules of ARP and neighbour discovery see it.
///
/// Its closures answer for the port, not for the router: another port's address is not the router's on
/// this link.
struct NeighbourLink<Address: NetworkAddress> {
    /// The port.
    let port: PortIndex
    /// The router's link-layer address on it.
    let mac: MACAddress
    /// Whether an address is the router's on the port.
    let owns: (Address) -> Bool
    /// Whether an address is one that neighbours of the port can have: in a subnet of the port, or in a
    /// route to its link.
    let isOnLink: (Address) -> Bool

    /// Why a sender's link-layer address cannot be; nil when it can.
    func refusal(of link: MACAddress) -> NeighbourRefusal? {
        if link.isMulticast || link.rawValue == 0 { return .senderLink }
        return link == mac ? .ownFrame : nil
    }
}

/// What a message of ARP leads to.
enum ARPVerdict: Equatable, Sendable {
    /// An answer is to be sent to the packet's target hardware address.
    case answer(ARPPacket)
    /// What it says was taken.
    case taken
    /// Another station claims an address of the router (RFC 5227, section 2.4): to be counted, and
    /// perhaps defended.
    case conflict(IPv4Address)
    /// It was not used.
    case ignored(NeighbourRefusal)
}

/// What a message of neighbour discovery leads to.
enum DiscoveryVerdict: Equatable, Sendable {
    /// An advertisement of an address of the router is to be sent to a station or group.
    case advertise(IPv6Address, to: IPv6Address, link: MACAddress)
    /// What it says was taken.
    case taken
    /// Another station claims an address of the router (RFC 4862, section 5.4.4).
    case conflict(IPv6Address)
    /// It was not used.
    case ignored(NeighbourRefusal)
}
