extension NamespaceConfiguration {
    /// Checks all but the names.
    func check() throws(ConfigurationFault) {
        try limits.check(.namespace(name))
        for port in ports { try port.check() }
        try checkAddresses()
        var seen: [Metric: Int] = [:]
        for (index, route) in routes.enumerated() {
            let place = ConfigurationFault.Place.route(namespace: name, index: index)
            try route.check(place, among: ports)
            let key = Metric(prefix: route.prefix, value: route.metric)
            if let other = seen[key] {
                throw ConfigurationFault(
                    place, "prefix",
                    "\(route.prefix) has the metric \(route.metric) in route \(other + 1) already: "
                        + "give them different metrics, or one route several next hops")
            }
            seen[key] = index
        }
    }

    private struct Metric: Hashable {
        let prefix: IPPrefix
        let value: UInt32
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
    func check(_ place: ConfigurationFault.Place) throws(ConfigurationFault) {
        try RouterConfiguration.check(place, "destinations", destinations, Self.entryCounts)
        try RouterConfiguration.check(place, "exceptions", exceptions, Self.entryCounts)
        try RouterConfiguration.check(place, "neighbours", neighbours, Self.entryCounts)
        try RouterConfiguration.check(place, "pending-frames", pendingFrames, Self.rates)
        try RouterConfiguration.check(
            place, "icmp-errors-per-second", icmpErrorsPerSecond, Self.rates)
        try RouterConfiguration.check(place, "icmp-error-burst", icmpErrorBurst, Self.rates)
    }
}
