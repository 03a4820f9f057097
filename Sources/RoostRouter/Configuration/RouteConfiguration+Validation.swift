extension RouteConfiguration {
    /// Checks a route and its next hops.
    func check(
        _ place: ConfigurationFault.Place, _ checks: RouteChecks
    ) throws(ConfigurationFault) {
        try RouterConfiguration.check(place, "metric", metric, Self.metrics)
        if let reason = Self.reasonNotToRoute(prefix) {
            throw ConfigurationFault(place, "prefix", "\(prefix) \(reason)")
        }
        if let reason = checks.reasonNeverUsed(prefix) {
            throw ConfigurationFault(place, "prefix", reason)
        }
        guard case .forward(let nextHops) = action else { return }
        guard !nextHops.isEmpty else {
            throw ConfigurationFault(
                place, "next-hops", "there is none: give via or port, or an action")
        }
        guard nextHops.count <= Self.nextHopLimit else {
            throw ConfigurationFault(
                place, "next-hops", "are \(nextHops.count): give at most \(Self.nextHopLimit)")
        }
        var seen: Set<NextHopConfiguration> = []
        for nextHop in nextHops {
            try nextHop.check(place, family: prefix.family, checks)
            var unweighted = nextHop
            unweighted.weight = 1
            guard seen.insert(unweighted).inserted else {
                throw ConfigurationFault(
                    place, "next-hops", "\(nextHop) is there twice: give it a weight instead")
            }
        }
    }

    /// What is never forwarded to, and why.
    private static let unrouted: [(IPPrefix, String)] = [
        ("0.0.0.0/8", "names nobody"), ("127.0.0.0/8", "is loopback"),
        ("224.0.0.0/4", "is multicast"), ("240.0.0.0/4", "is reserved"),
        ("::/128", "names nobody"), ("::1/128", "is loopback"),
        ("fe80::/10", "is link-local"), ("ff00::/8", "is multicast"),
    ].compactMap { text, reason in IPPrefix(text).map { ($0, reason) } }

    /// What keeps a prefix from being routed, in words.
    private static func reasonNotToRoute(_ prefix: IPPrefix) -> String? {
        guard prefix.length > 0 else { return nil }
        for (range, reason) in unrouted where range.contains(prefix) {
            return "\(reason), which no router forwards: leave the route out"
        }
        return nil
    }
}

extension NextHopConfiguration: CustomStringConvertible {
    /// `via 192.0.2.1 port left`.
    public var description: String {
        (gateway.map { "via \($0) " } ?? "") + "port \(port)"
    }

    fileprivate func check(
        _ place: ConfigurationFault.Place, family: AddressFamily, _ checks: RouteChecks
    ) throws(ConfigurationFault) {
        try RouterConfiguration.check(place, "weight", weight, Self.weights)
        guard let port = checks.ports[port] else {
            throw ConfigurationFault(
                place, "port",
                "there is no port '\(port)' in the namespace: give one of \(checks.portNames)")
        }
        guard let gateway else {
            // IPv6 asks from the link-local address that every port has.
            guard family == .ipv4, !port.addresses.contains(where: { $0.address.family == .ipv4 })
            else { return }
            throw ConfigurationFault(
                place, "port",
                "'\(port.name)' has no IPv4 address to ask for those on its link from: give it one, "
                    + "if only of the length 32")
        }
        guard gateway.family == family else {
            throw ConfigurationFault(
                place, "via", "\(gateway) is not of the prefix's family: give an address that is")
        }
        if let reason = gateway.reasonNotToBeAHost {
            throw ConfigurationFault(
                place, "via", "\(gateway) \(reason): give the address of a router")
        }
        guard !checks.owns(gateway) else {
            throw ConfigurationFault(
                place, "via", "\(gateway) is this router's own: give that of the next router")
        }
        guard !gateway.isLinkLocalIPv6 else { return }
        guard let subnet = port.addresses.first(where: { $0.subnet.contains(gateway) }) else {
            throw ConfigurationFault(
                place, "via",
                "\(gateway) is on no link of port '\(port.name)': give an address of \(port.links)")
        }
        guard case .ipv4(let address) = gateway, let broadcast = subnet.broadcast,
            address == broadcast || address == broadcast.masked(to: subnet.prefixLength)
        else { return }
        throw ConfigurationFault(
            place, "via",
            "\(gateway) is no host of \(subnet.subnet): give the next router's own address")
    }
}

extension PortConfiguration {
    /// The prefixes of the port's link, in words.
    fileprivate var links: String {
        addresses.isEmpty
            ? "its link, after giving it addresses"
            : addresses.map { "\($0.subnet)" }.joined(separator: ", ")
    }
}
