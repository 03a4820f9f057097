/// A family whose routes the tables keep: the same operations for both.
protocol RoutedAddress: NetworkAddress {
    static func add(
        _ route: Route<Self>, in namespace: NamespaceIndex, to tables: inout ForwardingTables
    ) throws(RouterError) -> RouteChange<Self>

    static func remove(
        _ prefix: Prefix<Self>, metric: UInt32, nextHop: DestinationHandle,
        in namespace: NamespaceIndex, from tables: inout ForwardingTables
    ) throws(RouterError) -> RouteChange<Self>

    static func forEachRoute(
        in namespace: NamespaceIndex, of tables: borrowing ForwardingTables,
        _ body: (Route<Self>) -> Bool
    ) throws(RouterError)

    static func longestPrefix(
        of address: Self, in namespace: NamespaceIndex, of tables: borrowing ForwardingTables
    ) -> Int

    static func changed(
        _ prefix: Prefix<Self>, lost: [DestinationHandle], in namespace: NamespaceIndex,
        _ exceptions: inout ExceptionTable, of table: inout DestinationTable, now: UInt64,
        matchLength: (Self) -> Int
    )
}

extension IPv4Address: RoutedAddress {
    static func add(
        _ route: Route<IPv4Address>, in namespace: NamespaceIndex, to tables: inout ForwardingTables
    ) throws(RouterError) -> RouteChange<IPv4Address> {
        try tables.add(route, in: namespace)
    }

    static func remove(
        _ prefix: Prefix<IPv4Address>, metric: UInt32, nextHop: DestinationHandle,
        in namespace: NamespaceIndex, from tables: inout ForwardingTables
    ) throws(RouterError) -> RouteChange<IPv4Address> {
        try tables.remove(prefix, metric: metric, nextHop: nextHop, in: namespace)
    }

    static func forEachRoute(
        in namespace: NamespaceIndex, of tables: borrowing ForwardingTables,
        _ body: (Route<IPv4Address>) -> Bool
    ) throws(RouterError) {
        try tables.forEachRoute(under: .all, in: namespace, body)
    }

    static func longestPrefix(
        of address: IPv4Address, in namespace: NamespaceIndex, of tables: borrowing ForwardingTables
    ) -> Int {
        // It throws for a namespace that is none only.
        (try? tables.longestPrefix(of: address, in: namespace))??.length ?? 0
    }

    static func changed(
        _ prefix: Prefix<IPv4Address>, lost: [DestinationHandle], in namespace: NamespaceIndex,
        _ exceptions: inout ExceptionTable, of table: inout DestinationTable, now: UInt64,
        matchLength: (IPv4Address) -> Int
    ) {
        _ = exceptions.routeChanged(
            prefix, lost: lost, in: namespace, of: &table, now: now, matchLength: matchLength)
    }
}

extension IPv6Address: RoutedAddress {
    static func add(
        _ route: Route<IPv6Address>, in namespace: NamespaceIndex, to tables: inout ForwardingTables
    ) throws(RouterError) -> RouteChange<IPv6Address> {
        try tables.add(route, in: namespace)
    }

    static func remove(
        _ prefix: Prefix<IPv6Address>, metric: UInt32, nextHop: DestinationHandle,
        in namespace: NamespaceIndex, from tables: inout ForwardingTables
    ) throws(RouterError) -> RouteChange<IPv6Address> {
        try tables.remove(prefix, metric: metric, nextHop: nextHop, in: namespace)
    }

    static func forEachRoute(
        in namespace: NamespaceIndex, of tables: borrowing ForwardingTables,
        _ body: (Route<IPv6Address>) -> Bool
    ) throws(RouterError) {
        try tables.forEachRoute(under: .all, in: namespace, body)
    }

    static func longestPrefix(
        of address: IPv6Address, in namespace: NamespaceIndex, of tables: borrowing ForwardingTables
    ) -> Int {
        // It throws for a namespace that is none only.
        (try? tables.longestPrefix(of: address, in: namespace))??.length ?? 0
    }

    static func changed(
        _ prefix: Prefix<IPv6Address>, lost: [DestinationHandle], in namespace: NamespaceIndex,
        _ exceptions: inout ExceptionTable, of table: inout DestinationTable, now: UInt64,
        matchLength: (IPv6Address) -> Int
    ) {
        _ = exceptions.routeChanged(
            prefix, lost: lost, in: namespace, of: &table, now: now, matchLength: matchLength)
    }
}
