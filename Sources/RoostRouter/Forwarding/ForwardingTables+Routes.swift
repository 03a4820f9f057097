/// A family whose routes the tables keep.
protocol RoutedAddress: TrieAddress {
    /// The routes of this family.
    static func routes(of tables: NamespaceTables) -> RouteTable<Self>

    /// Changes the routes of this family and what they lead to.
    static func change<Result>(
        _ tables: NamespaceTables,
        _ body: (inout RouteTable<Self>, inout PathGroups) throws(RouterError) -> Result
    ) throws(RouterError) -> Result
}

extension IPv4Address: RoutedAddress {
    static func routes(of tables: NamespaceTables) -> RouteTable<IPv4Address> { tables.ipv4 }

    static func change<Result>(
        _ tables: NamespaceTables,
        _ body: (inout RouteTable<IPv4Address>, inout PathGroups) throws(RouterError) -> Result
    ) throws(RouterError) -> Result {
        try body(&tables.ipv4, &tables.groups)
    }
}

extension IPv6Address: RoutedAddress {
    static func routes(of tables: NamespaceTables) -> RouteTable<IPv6Address> { tables.ipv6 }

    static func change<Result>(
        _ tables: NamespaceTables,
        _ body: (inout RouteTable<IPv6Address>, inout PathGroups) throws(RouterError) -> Result
    ) throws(RouterError) -> Result {
        try body(&tables.ipv6, &tables.groups)
    }
}

/// Routes, of either family.
extension ForwardingTables {
    /// Adds a route, or changes the one of the same prefix and metric.
    ///
    /// - Parameters:
    ///   - route: The route.
    ///   - union: What becomes of the next hops that are there already.
    ///   - namespace: Whose route.
    /// - Returns: What that changed.
    /// - Throws: `RouterError` of kind `exists` when all next hops to join are there already, `notFound` (the
    ///   namespace), `invalidValue` or `limit`; then nothing is changed.
    mutating func put<Address: RoutedAddress>(
        _ route: Route<Address>, _ union: RouteTable<Address>.Union, in namespace: NamespaceIndex
    ) throws(RouterError) -> RouteChange<Address> {
        try change(namespace) { (tables, pool) throws(RouterError) in
            try Address.change(tables) { (routes, groups) throws(RouterError) in
                try routes.put(route, union, groups: &groups, pool: &pool)
            }
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
    mutating func take<Address: RoutedAddress>(
        _ prefix: Prefix<Address>, metric: UInt32, nextHop: DestinationHandle?,
        in namespace: NamespaceIndex
    ) throws(RouterError) -> RouteChange<Address> {
        try change(namespace) { (tables, pool) throws(RouterError) in
            try Address.change(tables) { (routes, groups) throws(RouterError) in
                try routes.remove(
                    prefix, metric: metric, nextHop: nextHop, groups: &groups, pool: &pool)
            }
        }
    }

    /// The routes to exactly a prefix, the best first.
    func routes<Address: RoutedAddress>(
        at prefix: Prefix<Address>, in namespace: NamespaceIndex
    ) throws(RouterError) -> [Route<Address>] {
        let tables = try tables(of: namespace)
        return Address.routes(of: tables).routes(at: prefix).map { tables.route(prefix, $0) }
    }

    /// Visits the routes to prefixes under one: by address, shorter ones first, then by metric.
    ///
    /// - Parameters:
    ///   - prefix: Under which.
    ///   - namespace: Whose.
    ///   - body: Answers whether to go on.
    /// - Throws: `RouterError` of kind `notFound` (the namespace).
    func forEachRoute<Address: RoutedAddress>(
        under prefix: Prefix<Address>, in namespace: NamespaceIndex,
        _ body: (Route<Address>) -> Bool
    ) throws(RouterError) {
        let tables = try tables(of: namespace)
        let routes = Address.routes(of: tables)
        routes.trie.forEach(under: prefix) { prefix, _ in
            routes.routes(at: prefix).allSatisfy { body(tables.route(prefix, $0)) }
        }
    }

    /// The longest prefix with a route that an address lies in.
    func longestPrefix<Address: RoutedAddress>(
        of address: Address, in namespace: NamespaceIndex
    ) throws(RouterError) -> Prefix<Address>? {
        Address.routes(of: try tables(of: namespace)).trie.longestMatch(address)?.prefix
    }
}

/// What other modules change routes by.
extension ForwardingTables {
    /// Adds a route of IPv4; next hops of a prefix and metric that are there already share the flows with
    /// its own.
    ///
    /// - Returns: What that changed.
    /// - Throws: `RouterError` of kind `exists`, `notFound` (the namespace), `invalidValue` or `limit`;
    ///   then nothing is changed.
    public mutating func add(
        _ route: Route<IPv4Address>, in namespace: NamespaceIndex
    ) throws(RouterError) -> RouteChange<IPv4Address> {
        try put(route, .join, in: namespace)
    }

    /// Adds a route of IPv6, as of IPv4.
    ///
    /// - Returns: What that changed.
    /// - Throws: `RouterError`, as for IPv4.
    public mutating func add(
        _ route: Route<IPv6Address>, in namespace: NamespaceIndex
    ) throws(RouterError) -> RouteChange<IPv6Address> {
        try put(route, .join, in: namespace)
    }

    /// Removes a route of IPv4, or one of its next hops.
    ///
    /// - Parameters:
    ///   - prefix: Its prefix.
    ///   - metric: Its metric.
    ///   - nextHop: The next hop to remove, nil to remove all.
    ///   - namespace: Whose route.
    /// - Returns: What that changed.
    /// - Throws: `RouterError` of kind `notFound` or `limit`; then nothing is changed.
    public mutating func remove(
        _ prefix: IPv4Prefix, metric: UInt32 = 0, nextHop: DestinationHandle? = nil,
        in namespace: NamespaceIndex
    ) throws(RouterError) -> RouteChange<IPv4Address> {
        try take(prefix, metric: metric, nextHop: nextHop, in: namespace)
    }

    /// Removes a route of IPv6, or one of its next hops, as of IPv4.
    ///
    /// - Parameters:
    ///   - prefix: Its prefix.
    ///   - metric: Its metric.
    ///   - nextHop: The next hop to remove, nil to remove all.
    ///   - namespace: Whose route.
    /// - Returns: What that changed.
    /// - Throws: `RouterError`, as for IPv4.
    public mutating func remove(
        _ prefix: IPv6Prefix, metric: UInt32 = 0, nextHop: DestinationHandle? = nil,
        in namespace: NamespaceIndex
    ) throws(RouterError) -> RouteChange<IPv6Address> {
        try take(prefix, metric: metric, nextHop: nextHop, in: namespace)
    }
}
