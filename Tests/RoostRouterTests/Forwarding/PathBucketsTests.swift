import TestSupport
import Testing

@testable import RoostRouter

@Suite("Equal paths")
struct PathBucketsTests {
    private func members(_ weights: [UInt8]) -> [NextHop] {
        weights.enumerated().map {
            NextHop(DestinationHandle(rawValue: UInt32($0.offset) + 1), weight: $0.element)
        }
    }

    private func destinations(_ buckets: PathBuckets) -> [UInt32] {
        (0..<PathBuckets.count).map { buckets.destination($0).rawValue }
    }

    @Test("NET-13: when a next hop goes only its flows move", arguments: [2, 3, 7, 16, 63, 64])
    func removal(count: Int) {
        let all = members(Array(repeating: 1, count: count))
        let before = PathBuckets(all, keeping: nil)
        for gone in all where count > 2 {
            let after = PathBuckets(all.filter { $0 != gone }, keeping: before)
            for (old, new) in zip(destinations(before), destinations(after)) {
                #expect(new != gone.destination.rawValue)
                #expect(old == gone.destination.rawValue || old == new)
            }
        }
    }

    @Test(
        "NET-13: when a next hop comes it takes no more than its share",
        arguments: [2, 3, 7, 16, 63])
    func addition(count: Int) {
        let before = PathBuckets(members(Array(repeating: 1, count: count)), keeping: nil)
        let after = PathBuckets(members(Array(repeating: 1, count: count + 1)), keeping: before)
        let moved = zip(destinations(before), destinations(after)).filter { $0 != $1 }
        #expect(moved.allSatisfy { $0.1 == UInt32(count) + 1 })
        #expect(moved.count <= PathBuckets.count / (count + 1) + 1)
    }

    @Test(
        "each next hop has the share of its weight, and one bucket at least",
        arguments: [
            [1, 1], [1, 1, 1], [255, 1], [1, 2, 3, 4], Array(repeating: 1, count: 64),
            [255] + Array(repeating: 1, count: 63),
        ] as [[UInt8]])
    func shares(weights: [UInt8]) {
        let buckets = PathBuckets(members(weights), keeping: nil)
        let total = weights.reduce(0) { $0 + Int($1) }
        var spare = 0
        for (place, weight) in weights.enumerated() {
            let has = destinations(buckets).count { $0 == UInt32(place) + 1 }
            let due = Double(PathBuckets.count * Int(weight)) / Double(total)
            #expect(has >= 1)
            // The small ones that have one bucket in spite of their weight take it from the large.
            spare += due < 1 ? 1 : 0
            #expect(Double(has) > due - 1 - Double(spare + weights.count { $0 == 1 }))
            #expect(Double(has) < max(due, 1) + 1)
        }
    }

    @Test("NET-13: flows spread over equal paths, and otherwise under another key")
    func spread() throws {
        let namespace = NamespaceIndex(rawValue: 0)
        var tables = try ForwardingTables(quiescence: try Quiescence(readerLimit: 1))
        try tables.addNamespace(namespace)
        let prefix = try #require(IPv4Prefix("10.0.0.0/8"))
        let change = try tables.add(Route(prefix, nextHops: hops(1, 2, 3, 4)), in: namespace)
        let paths = tables.reader.paths(of: change.after, in: namespace)
        #expect(paths.single == nil)
        let first = FlowHasher(key: SipHashKey(low: 1, high: 2))
        let second = FlowHasher(key: SipHashKey(low: 3, high: 4))
        var counts = [0, 0, 0, 0]
        var same = 0
        for flow in 0..<4_000 as Range<UInt32> {
            func destination(_ hasher: FlowHasher) -> UInt32 {
                let hash = hasher.hash(
                    source: (0, 0x0A00_0001), destination: (0, 0x0A00_0002),
                    transportProtocol: 6, ports: flow << 16 | 443)
                return tables.reader.destination(of: paths, flowHash: hash).rawValue
            }
            counts[Int(destination(first)) - 1] += 1
            #expect(destination(first) == destination(first))
            same += destination(first) == destination(second) ? 1 : 0
        }
        // 1,000 each, with a deviation of 27 for a fair hash: six of them.
        #expect(counts.allSatisfy { abs($0 - 1_000) < 165 })
        #expect(abs(same - 1_000) < 165)
    }

    @Test("NET-13: flows of a route stay where they are when one of its next hops goes")
    func stability() throws {
        let namespace = NamespaceIndex(rawValue: 0)
        var tables = try ForwardingTables(quiescence: try Quiescence(readerLimit: 1))
        try tables.addNamespace(namespace)
        let prefix = try #require(IPv4Prefix("10.0.0.0/8"))
        func flows(_ tables: borrowing ForwardingTables) -> [UInt32] {
            let reader = tables.reader
            let paths = reader.paths(
                of: reader.lookup(prefix.address, in: namespace), in: namespace)
            return (0..<128 as Range<UInt64>).map {
                reader.destination(of: paths, flowHash: $0 << 57).rawValue
            }
        }
        _ = try tables.add(Route(prefix, nextHops: hops(1, 2, 3, 4, 5)), in: namespace)
        // Another route of the four that stay: its buckets are laid out afresh.
        let other = try #require(IPv4Prefix("11.0.0.0/8"))
        _ = try tables.add(Route(other, nextHops: hops(1, 2, 3, 5)), in: namespace)
        let before = flows(tables)
        _ = try tables.remove(prefix, nextHop: DestinationHandle(rawValue: 4), in: namespace)
        let after = flows(tables)
        for (old, new) in zip(before, after) { #expect(old == 4 || old == new) }
        #expect(!after.contains(4) && Set(after).count == 4)
    }
}
