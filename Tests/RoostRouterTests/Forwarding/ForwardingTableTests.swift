import RoostMemory
import TestSupport
import Testing

@testable import RoostRouter

/// The tables of a family in one namespace, and the oracle beside them.
struct CheckedTable<Address: SampledAddress>: ~Copyable {
    let quiescence: Quiescence
    var pool: TriePool
    var groups = PathGroups(namespace: NamespaceIndex(rawValue: 7))
    var table = RouteTable<Address>(namespace: NamespaceIndex(rawValue: 7), prefixLimit: 1 << 20)
    var oracle = RouteOracle<Address>()

    init() throws {
        let quiescence = try Quiescence(readerLimit: 4)
        let pool = try TriePool(quiescence: quiescence, limits: ForwardingLimits())
        self.quiescence = quiescence
        self.pool = pool
    }

    mutating func set(_ prefix: Prefix<Address>, to destination: UInt32) throws {
        let hop = NextHop(DestinationHandle(rawValue: destination))
        _ = try table.put(
            Route(prefix, nextHops: [hop]), .replace, groups: &groups, pool: &pool)
        oracle.set(prefix, to: destination)
    }

    mutating func remove(_ prefix: Prefix<Address>) throws {
        _ = try table.remove(prefix, metric: 0, nextHop: nil, groups: &groups, pool: &pool)
        oracle.remove(prefix)
    }

    func lookup(_ address: Address) -> UInt32 {
        let namespace = NamespaceIndex(rawValue: 7)
        let group = PathGroupIndex(rawValue: pool.memory.find(address, in: namespace))
        let paths = pool.memory.paths(of: group, in: namespace)
        return pool.memory.destination(of: paths, flowHash: 0).rawValue
    }

    /// The first address whose answer is not the oracle's.
    func difference(at addresses: [Address]) -> String? {
        addresses.first { lookup($0) != oracle.destination(of: $0) }
            .map { "\($0): \(lookup($0)), not \(oracle.destination(of: $0))" }
    }
}

@Suite("Forwarding tables")
struct ForwardingTableTests {
    @Test(
        "NET-13: IPv4 lookups are the oracle's after every update",
        arguments: 1...8 as ClosedRange<UInt64>)
    func ipv4(seed: UInt64) throws {
        try check(IPv4Address.self, seed: seed, steps: 300)
    }

    @Test(
        "NET-13: IPv6 lookups are the oracle's after every update",
        arguments: 1...8 as ClosedRange<UInt64>)
    func ipv6(seed: UInt64) throws {
        try check(IPv6Address.self, seed: seed, steps: 300)
    }

    /// Few next hops, so that neighbours are often equal; then many.
    private func check<Address: SampledAddress>(
        _ family: Address.Type, seed: UInt64, steps: Int
    ) throws {
        var random = SeededRandom(seed: seed)
        var table = try CheckedTable<Address>()
        let destinations: UInt32 = seed.isMultiple(of: 2) ? 3 : 4095
        for step in 0..<steps {
            let prefix: Prefix<Address>
            let removes = Int.random(in: 0..<steps, using: &random) < step
            if removes, let gone = table.oracle.routes.randomElement(using: &random) {
                prefix = gone.prefix
                try table.remove(prefix)
            } else {
                prefix = Address.samplePrefix(&random)
                try table.set(prefix, to: UInt32.random(in: 1...destinations, using: &random))
            }
            var probes = Address.edges(of: prefix)
            for route in table.oracle.routes {
                probes += Address.edges(of: route.prefix)
            }
            for _ in 0..<16 { probes.append(Address.sample(&random)) }
            let difference = table.difference(at: probes)
            try #require(difference == nil, "after step \(step), \(prefix)")
        }
        for route in table.oracle.routes { try table.remove(route.prefix) }
        table.pool.reclaim()
        let usage = table.pool.usage
        #expect(usage.nodeBytes == 0 && usage.leafBytes == 0 && usage.deferredBlocks == 0)
        #expect(table.groups.count == 0)
    }

    @Test(
        "NET-13: many addresses at once, and bits counted by hand, find what one does",
        arguments: [0, 1, 15, 16, 17, 64, 100])
    func batches(count: Int) throws {
        var random = SeededRandom(seed: 41)
        var table = try CheckedTable<IPv4Address>()
        var wide = try CheckedTable<IPv6Address>()
        for hop in 1...300 as ClosedRange<UInt32> {
            try table.set(IPv4Address.samplePrefix(&random), to: hop)
            try wide.set(IPv6Address.samplePrefix(&random), to: hop)
        }
        let namespace = NamespaceIndex(rawValue: 7)
        let narrow = (0..<count).map { _ in IPv4Address.sample(&random) }
        let long = (0..<count).map { _ in IPv6Address.sample(&random) }
        var found = Array(repeating: UInt16(0), count: count + 1)
        var results = found.mutableSpan
        table.pool.memory.lookup(narrow.span, in: namespace, into: &results)
        #expect(found == narrow.map { table.pool.memory.lookup($0, in: namespace).rawValue } + [0])
        results = found.mutableSpan
        wide.pool.memory.lookup(long.span, in: namespace, into: &results)
        #expect(found == long.map { wide.pool.memory.lookup($0, in: namespace).rawValue } + [0])
        let root = table.pool.memory.roots.acquire(7 * TrieWord.rootStride)
        for address in narrow {
            let plain = table.pool.memory.findPortably(address, from: root)
            #expect(
                plain == table.pool.memory.find(address, from: root, by: ProcessorBitCounter.self))
        }
    }

    @Test("NET-13: a full table's direct part answers as the trie does")
    func full() throws {
        var random = SeededRandom(seed: 43)
        var table = try CheckedTable<IPv4Address>()
        // Checked against the trie, which the list above checks: a list of so many takes too long.
        for step in 0..<66_500 as Range<UInt32> {
            let address = IPv4Address(rawValue: UInt32(truncatingIfNeeded: random.next()))
            let hop = NextHop(DestinationHandle(rawValue: step % 4095 + 1))
            let route = Route(Prefix(address, length: 16 + Int(step % 14)), nextHops: [hop])
            _ = try table.table.put(route, .replace, groups: &table.groups, pool: &table.pool)
            guard step % 50 == 0 || step > 65_400 else { continue }
            for probe in IPv4Address.edges(of: route.prefix) {
                let group = table.table.trie.longestMatch(probe)?.value.group ?? .none
                let namespace = NamespaceIndex(rawValue: 7)
                try #require(table.pool.memory.lookup(probe, in: namespace) == group)
            }
        }
        let root = table.pool.memory.roots.acquire(7 * TrieWord.rootStride)
        #expect(root & TrieWord.orderMask == 18)
    }

    @Test(
        "NET-13: tables that grow through every size of direct part and shrink stay right",
        arguments: [(21, 5_000), (22, 9_000)])
    func growth(seed: UInt64, count: Int) throws {
        var random = SeededRandom(seed: seed)
        var table = try CheckedTable<IPv4Address>()
        while table.oracle.routes.count < count {
            let prefix = IPv4Address.samplePrefix(&random)
            try table.set(prefix, to: UInt32.random(in: 1...50, using: &random))
            guard table.oracle.routes.count % 64 == 0 || table.oracle.routes.count < 140 else {
                continue
            }
            try #require(table.difference(at: IPv4Address.edges(of: prefix)) == nil)
        }
        // Compiled one by one and in another order, it is the same trie.
        var fresh = try CheckedTable<IPv4Address>()
        for route in table.oracle.routes.shuffled(using: &random) {
            try fresh.set(route.prefix, to: route.destination)
        }
        table.pool.reclaim()
        fresh.pool.reclaim()
        #expect(table.pool.usage.nodeBytes == fresh.pool.usage.nodeBytes)
        for route in table.oracle.routes.shuffled(using: &random) {
            try table.remove(route.prefix)
            guard table.oracle.routes.count % 64 == 0 || table.oracle.routes.count < 140 else {
                continue
            }
            try #require(table.difference(at: IPv4Address.edges(of: route.prefix)) == nil)
        }
        table.pool.reclaim()
        #expect(table.pool.usage.nodeBytes == 0)
    }
}
