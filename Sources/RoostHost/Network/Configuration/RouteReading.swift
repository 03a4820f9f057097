internal import RoostRouter

/// A table `[[route]]`.
enum RouteReading {
    static let keys = [
        "namespace", "prefix", "via", "port", "weight", "next-hops", "action", "metric",
    ]

    /// The links of a namespace's ports, to find the one that a gateway is on.
    struct Links {
        private let ports: [IPPrefix: String]
        /// The lengths that there are, of each family.
        private let lengths: [AddressFamily: Set<Int>]
        /// Some of the links, in words.
        fileprivate let names: String

        init(_ all: [PortConfiguration]) {
            let subnets = all.flatMap { port in port.addresses.map { ($0.subnet, port.name) } }
            ports = Dictionary(subnets, uniquingKeysWith: { first, _ in first })
            lengths = Dictionary(grouping: subnets.map(\.0), by: \.family)
                .mapValues { Set($0.map(\.length)) }
            names = subnets.prefix(8).map { "\($0.0)" }.joined(separator: ", ")
        }

        /// The port on whose link an address is.
        fileprivate func port(towards address: IPAddress) -> String? {
            let found = (lengths[address.family] ?? []).compactMap { length in
                ports[IPPrefix(address, length: length)]
            }
            return found.first
        }
    }

    static func route(
        _ table: ConfigurationTable, among ports: Links
    ) throws(HostError) -> RouteConfiguration {
        let prefix = try prefix(table)
        var route = RouteConfiguration(prefix, try action(table, ports))
        let metrics =
            Int(
                RouteConfiguration.metrics.lowerBound)...Int(
                RouteConfiguration.metrics.upperBound)
        if let metric = try table.integer("metric", metrics) {
            route.metric = UInt32(clamping: metric)
        }
        return route
    }

    private static func prefix(_ table: ConfigurationTable) throws(HostError) -> IPPrefix {
        let text = try table.requiredString("prefix", "one such as \"0.0.0.0/0\"")
        if let prefix = IPPrefix(text) { return prefix }
        guard let address = InterfaceAddress(text) else {
            throw table.refusal(
                "prefix", "'\(text)' is no prefix: give one such as 192.0.2.0/24 or 2001:db8::/32")
        }
        throw table.refusal(
            "prefix",
            "'\(text)' has bits past its length: give \(address.subnet), or a longer prefix")
    }

    private static func action(
        _ table: ConfigurationTable, _ ports: Links
    ) throws(HostError) -> RouteConfiguration.Action {
        let single = ["via", "port", "weight"].first { table.has($0) }
        guard let action = try table.string("action") else {
            guard table.has("next-hops") else {
                return .forward([try nextHop(table, ports)])
            }
            if let single {
                throw table.refusal(
                    single, "there are next-hops too: give it within them, or leave them out")
            }
            var nextHops: [NextHopConfiguration] = []
            for inner in try table.inlineTables("next-hops", keys: ["via", "port", "weight"]) {
                nextHops.append(try nextHop(inner, ports))
            }
            return .forward(nextHops)
        }
        if let key = single ?? (table.has("next-hops") ? "next-hops" : nil) {
            throw table.refusal(
                key, "the action '\(action)' sends packets nowhere: leave this out, or the action")
        }
        switch action {
        case "blackhole": return .blackhole
        case "unreachable": return .unreachable
        case "prohibit": return .prohibit
        default:
            throw table.refusal(
                "action",
                "is '\(action)': give blackhole, unreachable or prohibit, or via to forward")
        }
    }

    private static func nextHop(
        _ table: ConfigurationTable, _ ports: Links
    ) throws(HostError) -> NextHopConfiguration {
        var gateway: IPAddress?
        if let text = try table.string("via") {
            guard let address = IPAddress(text) else {
                throw table.refusal(
                    "via", "'\(text)' is no address: give that of a router, without a length")
            }
            gateway = address
        }
        var nextHop = NextHopConfiguration(gateway, port: try port(table, gateway, ports))
        nextHop.weight = try table.integer("weight", NextHopConfiguration.weights) ?? 1
        return nextHop
    }

    /// The port that is named, or the one on whose link the gateway is.
    private static func port(
        _ table: ConfigurationTable, _ gateway: IPAddress?, _ ports: Links
    ) throws(HostError) -> String {
        if let name = try table.string("port") { return name }
        guard let gateway else {
            throw table.refusal(
                "via", "is missing: give the next router's address, a port, or an action")
        }
        if gateway.isLinkLocalIPv6 {
            throw table.refusal(
                "port", "is missing: \(gateway) is link-local, so say on which port's link it is")
        }
        guard let port = ports.port(towards: gateway) else {
            throw table.refusal(
                "via",
                "\(gateway) is on no port's link: give an address of "
                    + (ports.names.isEmpty ? "one, after giving ports addresses" : ports.names))
        }
        return port
    }
}
