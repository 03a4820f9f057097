/// The routes of a namespace, both families, and what they lead to.
///
/// The processor's alone.
final class NamespaceTables {
    /// What its routes lead to.
    var groups: PathGroups
    /// Its routes of IPv4.
    var ipv4: RouteTable<IPv4Address>
    /// Its routes of IPv6.
    var ipv6: RouteTable<IPv6Address>

    /// No routes.
    init(_ namespace: NamespaceIndex, prefixLimit: Int) {
        groups = PathGroups(namespace: namespace)
        ipv4 = RouteTable(namespace: namespace, prefixLimit: prefixLimit)
        ipv6 = RouteTable(namespace: namespace, prefixLimit: prefixLimit)
    }

    /// Every next hop of every route, each as often as routes have it.
    var nextHops: [NextHop] {
        hops(of: ipv4) + hops(of: ipv6)
    }

    /// A route as callers know it.
    func route<Address: TrieAddress>(
        _ prefix: Prefix<Address>, _ value: RouteValue
    ) -> Route<Address> {
        Route(
            prefix, metric: value.metric, origin: value.origin,
            nextHops: groups.members(of: value.group))
    }

    private func hops<Address: TrieAddress>(of table: RouteTable<Address>) -> [NextHop] {
        var hops: [NextHop] = []
        table.trie.forEach(under: .all) { prefix, _ in
            for value in table.routes(at: prefix) {
                hops += groups.members(of: value.group)
            }
            return true
        }
        return hops
    }
}
