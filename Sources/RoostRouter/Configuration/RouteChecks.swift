/// What the routes of a namespace are checked against, to be looked up for each of many.
struct RouteChecks {
    /// The namespace's ports by name.
    let ports: [String: PortConfiguration]
    /// The ports' names, in words.
    let portNames: String
    /// The router's own addresses, with the names of their ports.
    private var own: [IPAddress: String] = [:]
    /// The links of ports, with the names of their ports.
    private var links: [IPPrefix: String] = [:]
    /// The addresses to which a link sends to all, with the link.
    private var broadcasts: [IPAddress: IPPrefix] = [:]
    private let namespace: String

    init(_ namespace: NamespaceConfiguration) {
        self.namespace = namespace.name
        ports = Dictionary(
            namespace.ports.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        portNames = ConfigurationName.list(namespace.ports.map(\.name))
        for port in namespace.ports {
            for address in port.addresses {
                own[address.address] = port.name
                let subnet = address.subnet
                if subnet.length < address.address.bitWidth { links[subnet] = port.name }
                guard let last = address.broadcast else { continue }
                for special in [subnet.address, .ipv4(last)] { broadcasts[special] = subnet }
            }
        }
    }

    /// Whether an address is one of the router's in the namespace.
    func owns(_ address: IPAddress) -> Bool { own[address] != nil }

    /// What keeps a route to a prefix from ever being used, in words; nil when nothing does.
    ///
    /// The routes that ports' addresses make come before all others.
    func reasonNeverUsed(_ prefix: IPPrefix) -> String? {
        guard !ports.isEmpty else {
            return "\(prefix) is in the namespace '\(namespace)', which has no port that a packet "
                + "could come in by: add one under [[port]], or leave the route out"
        }
        if let port = links[prefix] {
            return "\(prefix) is the link of port '\(port)', which is reached without a route: "
                + "leave the route out, or give a longer prefix"
        }
        guard prefix.length == prefix.address.bitWidth else { return nil }
        if let port = own[prefix.address] {
            return "\(prefix) is this router's own address on port '\(port)', and packets to it go "
                + "nowhere else: leave the route out"
        }
        return broadcasts[prefix.address].map {
            "\(prefix.address) stands for all on the link \($0), and is not forwarded to: leave "
                + "the route out"
        }
    }
}

/// The routes of one prefix, to find those that another keeps from ever being used.
///
/// The one of the lowest metric holds until all its ports are down.
struct RoutesOfPrefix {
    /// A route that another keeps from being used.
    struct Shadowed {
        /// Its place among those of the namespace.
        let index: Int
        /// What is wrong with its metric, and what to do.
        let reason: String
    }

    private struct Entry {
        let index: Int
        let metric: UInt32
        /// Where it leads; empty when it forwards nothing, so that no port takes it away.
        let hops: Set<NextHopConfiguration>
    }

    private var entries: [Entry] = []

    /// The place of the route of a metric among those of the namespace.
    func index(ofMetric metric: UInt32) -> Int? { entries.first { $0.metric == metric }?.index }

    mutating func add(_ route: RouteConfiguration, at index: Int) {
        var hops: Set<NextHopConfiguration> = []
        if case .forward(let all) = route.action {
            hops = Set(all.map { NextHopConfiguration($0.gateway, port: $0.port) })
        }
        entries.append(Entry(index: index, metric: route.metric, hops: hops))
    }

    /// The first route that leads nowhere that one of a lower metric does not.
    func neverUsed() -> Shadowed? {
        firstShadowed { hops, lower in hops.isSubset(of: lower) }.map { entry, other in
            let why =
                other.hops.isEmpty ? "holds always" : "leads to the same next hops and comes first"
            return Shadowed(
                index: entry.index,
                reason: "is \(entry.metric): route \(other.index + 1) to the same prefix has "
                    + "\(other.metric) and \(why), so that this one is never used; leave one out")
        }
    }

    /// The first route by ports alone whose going down takes those of lower metrics away too.
    func sharesPorts() -> Shadowed? {
        firstShadowed { hops, lower in
            Set(hops.map(\.port)).isSubset(of: Set(lower.map(\.port)))
        }.map { entry, other in
            Shadowed(
                index: entry.index,
                reason: "is \(entry.metric): route \(other.index + 1) to the same prefix has "
                    + "\(other.metric) and holds as long as the port that both go by is up; to "
                    + "share the flows, give one route both next-hops")
        }
    }

    private func firstShadowed(
        _ isShadowed: (_ hops: Set<NextHopConfiguration>, _ lower: Set<NextHopConfiguration>) ->
            Bool
    ) -> (Entry, by: Entry)? {
        guard entries.count > 1 else { return nil }
        var lower: Set<NextHopConfiguration> = []
        var last: Entry?
        for entry in entries.sorted(by: { $0.metric < $1.metric }) {
            if let last {
                if last.hops.isEmpty { return (entry, last) }
                if !entry.hops.isEmpty, isShadowed(entry.hops, lower) { return (entry, last) }
            }
            lower.formUnion(entry.hops)
            last = entry
        }
        return nil
    }
}
