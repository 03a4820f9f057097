import TestSupport
import Testing

@testable import RoostRouter

@Suite("Routes")
struct RouteTests {
    private let namespace = NamespaceIndex(rawValue: 3)

    private func tables() throws -> ForwardingTables {
        var tables = try ForwardingTables(quiescence: try Quiescence(readerLimit: 1))
        try tables.addNamespace(namespace)
        return tables
    }

    @Test("NET-13: the route of the lowest metric is used, and the next one when it goes")
    func metrics() throws {
        var tables = try tables()
        let prefix = try #require(IPv4Prefix("192.0.2.0/24"))
        let address = prefix.address
        for (metric, hop) in [(20, 2), (10, 1), (30, 3)] as [(UInt32, UInt32)] {
            _ = try tables.add(Route(prefix, metric: metric, nextHops: hops(hop)), in: namespace)
        }
        #expect(try tables.routes(at: prefix, in: namespace).map(\.metric) == [10, 20, 30])
        #expect(tables.reader.destinations(of: address, in: namespace) == [1])
        let unseen = try tables.remove(prefix, metric: 20, in: namespace)
        #expect(!unseen.changesForwarding && unseen.removed == hops(2))
        let seen = try tables.remove(prefix, metric: 10, in: namespace)
        #expect(seen.changesForwarding && seen.removed == hops(1))
        #expect(tables.reader.destinations(of: address, in: namespace) == [3])
        _ = try tables.remove(prefix, metric: 30, in: namespace)
        #expect(tables.reader.lookup(address, in: namespace).isNone)
    }

    @Test("NET-13: next hops of one metric share the flows")
    func equalCost() throws {
        var tables = try tables()
        let prefix = try #require(IPv6Prefix("2001:db8::/32"))
        _ = try tables.add(Route(prefix, nextHops: hops(1)), in: namespace)
        let joined = try tables.add(Route(prefix, nextHops: hops(1, 2)), in: namespace)
        #expect(joined.added == hops(2) && joined.removed.isEmpty)
        #expect(throws: RouterError.self) {
            _ = try tables.add(Route(prefix, nextHops: hops(2)), in: namespace)
        }
        #expect(try tables.nextHops(of: joined.after, in: namespace) == hops(1, 2))
        let left = try tables.remove(
            prefix, nextHop: DestinationHandle(rawValue: 1), in: namespace)
        #expect(left.removed == hops(1) && left.before == joined.after)
        #expect(try tables.nextHops(of: left.after, in: namespace) == hops(2))
    }

    @Test("NET-15: a change says what addresses of its prefix found and find")
    func changes() throws {
        var tables = try tables()
        let covering = try tables.add(
            Route(try #require(IPv4Prefix("0.0.0.0/0")), nextHops: hops(9)), in: namespace)
        #expect(covering.before.isNone && covering.added == hops(9))
        let prefix = try #require(IPv4Prefix("198.51.100.0/25"))
        let added = try tables.add(Route(prefix, nextHops: hops(4)), in: namespace)
        #expect(added.before == covering.after && added.after != added.before)
        // The same way as before: no packet goes elsewhere.
        let same = try tables.put(Route(prefix, nextHops: hops(9)), .replace, in: namespace)
        #expect(same.after == covering.after && same.added == hops(9) && same.removed == hops(4))
        let removed = try tables.remove(prefix, in: namespace)
        #expect(!removed.changesForwarding && removed.after == covering.after)
    }

    @Test("routes are listed by address, shorter prefixes first")
    func list() throws {
        var tables = try tables()
        let texts = ["10.0.0.0/8", "10.0.0.0/16", "10.0.128.0/17", "10.1.0.0/16", "192.0.2.1/32"]
        for text in texts.reversed() {
            let prefix = try #require(IPv4Prefix(text))
            _ = try tables.add(Route(prefix, origin: 4, nextHops: hops(1)), in: namespace)
        }
        var listed: [String] = []
        try tables.forEachRoute(under: IPv4Prefix.all, in: namespace) { route in
            listed.append(route.prefix.description)
            #expect(route.origin == 4 && route.nextHops == hops(1))
            return true
        }
        #expect(listed == texts)
        let host = try #require(IPv4Address("10.0.200.1"))
        #expect(try tables.longestPrefix(of: host, in: namespace)?.description == texts[2])
        let inner = try #require(IPv4Prefix(texts[2]))
        #expect(
            try tables.tables(of: namespace).ipv4.trie.covering(inner)?.prefix.description
                == texts[1])
    }

    @Test(
        "routes that cannot be are refused and change nothing",
        arguments: [
            [], hops(0), hops(1, 1), hops(1 << 31),
            [NextHop(DestinationHandle(rawValue: 1), weight: 0)],
            (1...65).map { NextHop(DestinationHandle(rawValue: $0)) },
        ] as [[NextHop]])
    func refusal(nextHops: [NextHop]) throws {
        var tables = try tables()
        let prefix = try #require(IPv4Prefix("10.0.0.0/8"))
        let before = tables.usage
        #expect(throws: RouterError.self) {
            _ = try tables.add(Route(prefix, nextHops: nextHops), in: namespace)
        }
        #expect(tables.usage == before)
        #expect(throws: RouterError.self) { _ = try tables.remove(prefix, in: namespace) }
        #expect(throws: RouterError.self) {
            _ = try tables.add(
                Route(prefix, nextHops: hops(1)), in: NamespaceIndex(rawValue: 99))
        }
    }

    @Test("NET-16: a namespace has as many prefixes and sets of next hops as its limits say")
    func limits() throws {
        let quiescence = try Quiescence(readerLimit: 1)
        var tables = try ForwardingTables(quiescence: quiescence)
        try tables.addNamespace(namespace, prefixLimit: 2)
        let other = NamespaceIndex(rawValue: 4)
        try tables.addNamespace(other)
        for (index, text) in ["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"].enumerated() {
            let route = Route(try #require(IPv4Prefix(text)), nextHops: hops(1))
            if index < 2 {
                _ = try tables.add(route, in: namespace)
            } else {
                #expect(throws: RouterError.self) { _ = try tables.add(route, in: namespace) }
                _ = try tables.add(route, in: other)
            }
        }
        var pool = try TriePool(quiescence: quiescence, limits: ForwardingLimits())
        var groups = PathGroups(namespace: namespace)
        for hop in 1...UInt32(PathGroups.groupLimit) {
            _ = try groups.use(hops(hop), replacing: .none, pool: &pool)
        }
        #expect(throws: RouterError.self) {
            _ = try groups.use(hops(70_000), replacing: .none, pool: &pool)
        }
        let shared = try groups.use(hops(5), replacing: .none, pool: &pool)
        #expect(groups.members(of: shared) == hops(5))
    }
}
