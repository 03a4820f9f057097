import TestSupport
import Testing

@testable import RoostRouter

@Suite("Exceptions behind routes that change")
struct ExceptionRoutingTests {
    private static let namespace = ExceptionRig.first

    /// The next hops that packets to an address have, as workers find them.
    private static func nextHops(
        to address: IPv4Address, _ tables: borrowing ForwardingTables
    ) throws -> Set<DestinationHandle> {
        let group = tables.reader.lookup(address, in: namespace)
        guard !group.isNone else { return [] }
        return Set(try tables.nextHops(of: group, in: namespace).map(\.destination))
    }

    /// Changes a route at random, and answers next hops that were lost by it.
    private static func change(
        _ tables: inout ForwardingTables, among nextHops: [DestinationHandle],
        using random: inout SeededRandom
    ) throws -> (prefix: IPv4Prefix, lost: [DestinationHandle])? {
        let address = IPv4Address.make(UInt64.random(in: 0..<256, using: &random))
        let length = IPv4Address.lengths.randomElement(using: &random) ?? 0
        let prefix = Prefix(address, length: length)
        let metric = UInt32.random(in: 1...2, using: &random)
        let count = Int.random(in: 1...3, using: &random)
        let route = Route(
            prefix, metric: metric,
            nextHops: nextHops.shuffled(using: &random).prefix(count).map { NextHop($0) })
        let change: RouteChange<IPv4Address>
        if Bool.random(using: &random) {
            change = try tables.put(route, .replace, in: namespace)
        } else if try !tables.routes(at: prefix, in: namespace).filter({ $0.metric == metric })
            .isEmpty
        {
            change = try tables.remove(prefix, metric: metric, in: namespace)
        } else {
            return nil
        }
        guard change.changesForwarding else { return nil }
        let before = (try? tables.nextHops(of: change.before, in: namespace)) ?? []
        let after = (try? tables.nextHops(of: change.after, in: namespace)) ?? []
        let kept = Set(after.map(\.destination))
        return (
            prefix, (before + change.removed).map(\.destination).filter { !kept.contains($0) }
        )
    }

    @Test(
        "NET-15: what the forwarding tables say of a change finds exactly the exceptions that go",
        arguments: [UInt64(1), 2, 3])
    func routes(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let rig = try ExceptionRig()
        var tables = try ForwardingTables(quiescence: rig.quiescence)
        try tables.addNamespace(Self.namespace)
        let nextHops = (0..<6 as Range<UInt16>).map { rig.nextHop(port: $0 % 2 + 1) }
        var removed = 0
        for _ in 0..<600 {
            for _ in 0..<20 {
                let address = IPv4Address.make(UInt64.random(in: 0..<256, using: &random))
                let ways = try Self.nextHops(to: address, tables)
                    .sorted { $0.rawValue < $1.rawValue }
                guard let nextHop = ways.randomElement(using: &random) else { continue }
                _ = rig.learnMTU(1400, of: ExceptionPlace(nextHop: nextHop, address: address))
            }
            let before = rig.exceptions.places(in: Self.namespace, limit: .max)
            if let change = try Self.change(&tables, among: nextHops, using: &random) {
                let done = rig.exceptions.routeChanged(
                    change.prefix, lost: change.lost, in: Self.namespace, of: &rig.table,
                    now: rig.now
                ) { address in
                    (try? tables.longestPrefix(of: address, in: Self.namespace))??.length ?? 0
                }
                removed += done.removed
            }
            let expected = try before.filter {
                let address = IPv4Address(rawValue: UInt32($0.low))
                return try Self.nextHops(to: address, tables).contains($0.nextHop)
            }
            #expect(rig.exceptions.places(in: Self.namespace, limit: .max) == expected)
            tables.reclaim()
            rig.collectAhead()
        }
        #expect(removed > 100)
    }
}
