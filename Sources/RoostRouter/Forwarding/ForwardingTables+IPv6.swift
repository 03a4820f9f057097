/// Routes of IPv6.
extension ForwardingTables {
    /// Adds a route; next hops of a prefix and metric that are there already share the flows with them.
    ///
    /// - Returns: What that changed.
    /// - Throws: `RouterError` of kind `exists`, `notFound` (the namespace), `invalidValue` or `limit`;
    ///   then nothing is changed.
    public mutating func add(
        _ route: Route<IPv6Address>, in namespace: NamespaceIndex
    ) throws(RouterError) -> RouteChange<IPv6Address> {
        try change(namespace) { (tables, pool) throws(RouterError) in
            try tables.ipv6.put(route, .join, groups: &tables.groups, pool: &pool)
        }
    }

    /// Adds a route in the place of the one of the same prefix and metric, if there is one.
    ///
    /// - Returns: What that changed.
    /// - Throws: `RouterError` of kind `notFound` (the namespace), `invalidValue` or `limit`; then
    ///   nothing is changed.
    public mutating func replace(
        _ route: Route<IPv6Address>, in namespace: NamespaceIndex
    ) throws(RouterError) -> RouteChange<IPv6Address> {
        try change(namespace) { (tables, pool) throws(RouterError) in
            try tables.ipv6.put(route, .replace, groups: &tables.groups, pool: &pool)
        }
    }

    /// Removes a route, or one of its next hops.
    ///
    /// - Parameters:
    ///   - prefix: Its prefix.
    ///   - metric: Its metric.
    ///   - nextHop: The next hop to remove, nil to remove all.
    ///   - namespace: Whose route.
    /// - Returns: What that changed.
    /// - Throws: `RouterError` of kind `notFound` or `limit`; then nothing is changed.
    public mutating func remove(
        _ prefix: Prefix<IPv6Address>, metric: UInt32 = 0, nextHop: DestinationHandle? = nil,
        in namespace: NamespaceIndex
    ) throws(RouterError) -> RouteChange<IPv6Address> {
        try change(namespace) { (tables, pool) throws(RouterError) in
            try tables.ipv6.remove(
                prefix, metric: metric, nextHop: nextHop, groups: &tables.groups, pool: &pool)
        }
    }

    /// The routes to exactly a prefix, the best first.
    public func routes(
        at prefix: Prefix<IPv6Address>, in namespace: NamespaceIndex
    ) throws(RouterError) -> [Route<IPv6Address>] {
        let tables = try tables(of: namespace)
        return tables.ipv6.routes(at: prefix).map { tables.route(prefix, $0) }
    }

    /// Visits the routes to prefixes under one: by address, shorter ones first, then by metric.
    ///
    /// - Parameters:
    ///   - prefix: What contains their prefixes.
    ///   - namespace: Whose routes.
    ///   - body: Answers whether to go on.
    /// - Throws: `RouterError` of kind `notFound`.
    public func forEachRoute(
        under prefix: Prefix<IPv6Address>, in namespace: NamespaceIndex,
        _ body: (Route<IPv6Address>) -> Bool
    ) throws(RouterError) {
        let tables = try tables(of: namespace)
        tables.ipv6.trie.forEach(under: prefix) { prefix, _ in
            tables.ipv6.routes(at: prefix).allSatisfy { body(tables.route(prefix, $0)) }
        }
    }

    /// The longest prefix with a route that an address lies in.
    public func longestPrefix(
        of address: IPv6Address, in namespace: NamespaceIndex
    ) throws(RouterError) -> Prefix<IPv6Address>? {
        try tables(of: namespace).ipv6.trie.longestMatch(address)?.prefix
    }

    /// The longest prefix with a route that contains another, longer one.
    public func coveringPrefix(
        of prefix: Prefix<IPv6Address>, in namespace: NamespaceIndex
    ) throws(RouterError) -> Prefix<IPv6Address>? {
        try tables(of: namespace).ipv6.trie.covering(prefix)?.prefix
    }
}
