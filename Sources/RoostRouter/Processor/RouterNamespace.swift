/// One namespace of the router: its name, its ports and the destinations that its routes lead to.
struct RouterNamespace {
    let index: NamespaceIndex
    let name: String
    /// Where destinations go whose port is removed.
    let loopback: PortIndex
    /// Its ports by name.
    var ports: [String: PortIndex] = [:]
    /// Packets of the router's own, by whether their next hop was resolved.
    var ownPackets: (resolved: UInt64, unresolved: UInt64) = (0, 0)
    /// The next hops in use, each one entry however many routes lead there.
    private(set) var nextHops: [NextHopKey: NextHopUse] = [:]
    /// Which next hop an entry is of.
    private(set) var keys: [DestinationHandle: NextHopKey] = [:]
    /// Next hops that no route led to at some time since ``takeUnused()``.
    private var unused: Set<NextHopKey> = []

    init(index: NamespaceIndex, name: String, loopback: PortIndex) {
        self.index = index
        self.name = name
        self.loopback = loopback
    }

    /// Takes up a next hop that no route leads to yet.
    mutating func add(_ key: NextHopKey, _ destination: DestinationHandle) {
        nextHops[key] = NextHopUse(destination: destination)
        keys[destination] = key
        unused.insert(key)
    }

    /// Counts routes that lead to a next hop, or no longer do.
    mutating func count(_ difference: Int, of destination: DestinationHandle) {
        guard let key = keys[destination], var use = nextHops[key] else { return }
        use.routeCount += difference
        nextHops[key] = use
        if use.routeCount == 0 { unused.insert(key) }
    }

    /// Takes out the next hops that no route leads to.
    ///
    /// - Returns: Their entries.
    mutating func takeUnused() -> [DestinationHandle] {
        guard !unused.isEmpty else { return [] }
        var taken: [DestinationHandle] = []
        for key in unused {
            guard let use = nextHops[key], use.routeCount == 0 else { continue }
            nextHops[key] = nil
            keys[use.destination] = nil
            taken.append(use.destination)
        }
        unused.removeAll()
        return taken
    }
}

/// What tells one next hop from another.
struct NextHopKey: Hashable, Sendable {
    /// What becomes of packets that come here.
    enum Kind: Hashable, Sendable {
        /// They are sent on: to a gateway, or to their own destinations when there is none.
        case forward(gateway: IPAddress?)
        /// They are the router's.
        case local
        /// They are for all on a subnet.
        case broadcast
        /// They are dropped.
        case blackhole
        /// They are refused with an error.
        case unreachable, prohibit
    }

    let kind: Kind
    let family: AddressFamily
    let port: PortIndex
}

/// A next hop in use.
struct NextHopUse: Sendable {
    let destination: DestinationHandle
    /// How many routes lead there.
    var routeCount = 0
}

/// A route by one next hop that is out of the tables while its port is down.
enum WithdrawnRoute: Sendable {
    case ipv4(Part<IPv4Address>)
    case ipv6(Part<IPv6Address>)

    struct Part<Address: NetworkAddress>: Sendable {
        let prefix: Prefix<Address>
        let metric: UInt32
        let origin: UInt8
        let key: NextHopKey
        let weight: UInt8
    }
}

/// Where a route comes from, as the tables keep it.
enum RouteOrigin: UInt8 {
    case connected = 0
    case local = 1
    case broadcast = 2
    case configured = 3
}
