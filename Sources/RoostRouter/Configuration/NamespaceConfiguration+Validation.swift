extension NamespaceConfiguration {
    /// Checks all but the names.
    func check() throws(ConfigurationFault) {
        try limits.check(name)
        for port in ports { try port.check() }
        try checkAddresses()
        try checkRoutes()
    }

    private func checkRoutes() throws(ConfigurationFault) {
        let checks = RouteChecks(self)
        var seen: [IPPrefix: RoutesOfPrefix] = [:]
        for (index, route) in routes.enumerated() {
            let place = ConfigurationFault.Place.route(namespace: name, index: index)
            try route.check(place, checks)
            if let other = seen[route.prefix]?.index(ofMetric: route.metric) {
                throw ConfigurationFault(
                    place, "prefix",
                    "\(route.prefix) has the metric \(route.metric) in route \(other + 1) already: "
                        + "give them different metrics, or one route several next hops")
            }
            seen[route.prefix, default: RoutesOfPrefix()].add(route, at: index)
        }
        // The first in the file, whatever the order of the prefixes.
        let unused = seen.values.compactMap { $0.neverUsed() }
        if let first = unused.min(by: { $0.index < $1.index }) { throw fault(first) }
    }

    /// What may be meant otherwise in its routes.
    var notes: [ConfigurationFault] {
        var seen: [IPPrefix: RoutesOfPrefix] = [:]
        for (index, route) in routes.enumerated() {
            seen[route.prefix, default: RoutesOfPrefix()].add(route, at: index)
        }
        return seen.values.compactMap { $0.sharesPorts() }.sorted { $0.index < $1.index }
            .map(fault)
    }

    private func fault(_ shadowed: RoutesOfPrefix.Shadowed) -> ConfigurationFault {
        ConfigurationFault(
            .route(namespace: name, index: shadowed.index), "metric", shadowed.reason)
    }

    /// An address of a port, with the port's place.
    private struct PlacedAddress {
        let port: Int
        let address: InterfaceAddress
    }

    /// An address is one port's, and a link's prefix too, except those that every link has.
    private func checkAddresses() throws(ConfigurationFault) {
        var placed: [PlacedAddress] = []
        for (index, port) in ports.enumerated() {
            var linkLocal: Set<IPAddress> = []
            for address in port.addresses {
                guard address.address.isLinkLocalIPv6 else {
                    placed.append(PlacedAddress(port: index, address: address))
                    continue
                }
                guard linkLocal.insert(address.address).inserted else {
                    throw twice(address, index, index)
                }
            }
        }
        var owners: [IPAddress: Int] = [:]
        for one in placed {
            if let owner = owners[one.address.address] { throw twice(one.address, owner, one.port) }
            owners[one.address.address] = one.port
        }
        // In this order a prefix comes after all that contain it, and those are the stack.
        var stack: [PlacedAddress] = []
        for one in placed.sorted(by: { $0.address.subnet < $1.address.subnet }) {
            while let top = stack.last, !top.address.subnet.contains(one.address.subnet) {
                stack.removeLast()
            }
            if let other = stack.first(where: { $0.port != one.port }) {
                throw overlap(one, other)
            }
            stack.append(one)
        }
    }

    private func twice(_ address: InterfaceAddress, _ owner: Int, _ port: Int) -> ConfigurationFault
    {
        ConfigurationFault(
            .port(ports[port].name), "addresses",
            "\(address.address) is an address of port '\(ports[owner].name)' already")
    }

    private func overlap(_ one: PlacedAddress, _ other: PlacedAddress) -> ConfigurationFault {
        let (first, second) = one.port < other.port ? (one, other) : (other, one)
        return ConfigurationFault(
            .port(ports[second.port].name), "addresses",
            "\(second.address) overlaps with \(first.address) of port "
                + "'\(ports[first.port].name)': a prefix is on one link; use others, or another "
                + "namespace")
    }
}

extension NamespaceLimits {
    /// What all namespaces of a router may have together.
    private static let ceilings: [(key: String, share: @Sendable (Self) -> Int, most: Int)] = [
        ("destinations", { $0.destinations }, QuotaLimits.ceiling),
        ("exceptions", { $0.exceptions }, QuotaLimits.ceiling),
        ("neighbours", { $0.neighbours }, NeighbourLimits.mostEntries),
        ("pending-frames", { $0.pendingFrames }, NeighbourLimits.mostFrames),
    ]

    func check(_ namespace: String) throws(ConfigurationFault) {
        let place = ConfigurationFault.Place.limits(namespace)
        try RouterConfiguration.check(place, "destinations", destinations, Self.entryCounts)
        try RouterConfiguration.check(place, "exceptions", exceptions, Self.entryCounts)
        try RouterConfiguration.check(place, "neighbours", neighbours, Self.entryCounts)
        try RouterConfiguration.check(place, "pending-frames", pendingFrames, Self.rates)
        try RouterConfiguration.check(
            place, "icmp-errors-per-second", icmpErrorsPerSecond, Self.rates)
        try RouterConfiguration.check(place, "icmp-error-burst", icmpErrorBurst, Self.rates)
    }

    /// Checks that the shares of all namespaces are there at once, since none takes from another.
    static func check(_ namespaces: [NamespaceConfiguration]) throws(ConfigurationFault) {
        for (key, share, most) in ceilings {
            var promised = 0
            for namespace in namespaces {
                let share = share(namespace.limits)
                guard share <= most - promised else {
                    let others =
                        promised == 0 ? "" : ", of which the namespaces before have \(promised)"
                    throw ConfigurationFault(
                        .limits(namespace.name), key,
                        "is \(share): all namespaces together may have \(most)\(others); give a "
                            + "smaller one here or there")
                }
                promised += share
            }
        }
    }
}
