/// A router and the hosts on its links: what a laboratory lays out.
struct NetworkPlan: Sendable {
    /// A link between the router and one host, whose device there is `eth0`.
    struct Link: Sendable {
        /// The name of the host and of the router's port.
        let name: String
        /// The router's addresses, with the lengths of their prefixes.
        var router: [String]
        /// The host's addresses, the first of each family the usual one.
        var host: [String]
        /// The longest packet on the link.
        var mtu = 1500
        /// How the router checks sources: `off`, `loose` or `strict`.
        var reversePath = "off"
        /// The router's namespace, where it has several.
        var namespace: String?
    }

    /// A route of the router besides those to its links.
    struct Route: Sendable {
        let prefix: String
        /// The next router; `nil` with an action.
        var via: String?
        /// `blackhole`, `unreachable` or `prohibit`.
        var action: String?
        /// The router's namespace, where it has several.
        var namespace: String?
    }

    var links: [Link]
    var routes: [Route] = []

    /// Two links, and nothing else.
    static func pair(leftMTU: Int = 1500, rightMTU: Int = 1500) -> NetworkPlan {
        NetworkPlan(links: [
            Link(
                name: "left", router: ["192.0.2.1/25", "2001:db8:1::1/64"],
                host: ["192.0.2.2/25", "2001:db8:1::2/64"], mtu: leftMTU),
            Link(
                name: "right", router: ["192.0.2.129/25", "2001:db8:2::1/64"],
                host: ["192.0.2.130/25", "2001:db8:2::2/64"], mtu: rightMTU),
        ])
    }

    /// The configuration file of `roost net up`.
    ///
    /// - Parameter place: Of a host's name the network namespace it is.
    /// - Returns: The file's text.
    func configuration(_ place: (String) -> String) -> String {
        let namespaces = Set((links.map(\.namespace) + routes.map(\.namespace)).compactMap { $0 })
        let named = namespaces.sorted().map { "[[namespace]]\nname = \"\($0)\"\n" }
        let ports = links.map { link in
            """
            [[port]]
            name = "\(link.name)"
            kind = "tap"
            device = "eth0"
            network-namespace = "\(place(link.name))"
            mtu = \(link.mtu)
            addresses = [\(link.router.map { "\"\($0)\"" }.joined(separator: ", "))]
            reverse-path = "\(link.reversePath)"
            \(link.namespace.map { "namespace = \"\($0)\"\n" } ?? "")
            """
        }
        let others = routes.map { route in
            let way =
                route.via.map { "via = \"\($0)\"" } ?? "action = \"\(route.action ?? "")\""
            return """
                [[route]]
                prefix = "\(route.prefix)"
                \(way)
                \(route.namespace.map { "namespace = \"\($0)\"\n" } ?? "")
                """
        }
        return (named + ports + others).joined(separator: "\n")
    }
}
