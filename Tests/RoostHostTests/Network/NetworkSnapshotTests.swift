import Foundation
import RoostHost
import RoostRouter
import Testing

/// How a router's control socket tells what the router is.
@Suite struct NetworkSnapshotTests {
    /// A router with everything that can be told.
    static let router: RouterSnapshot = {
        var port = PortSnapshot(
            index: PortIndex(rawValue: 1), name: "left", kind: "tap tap0 in left", state: .down,
            mac: MACAddress(rawValue: 0x0200_0000_0101), mtu: 1400,
            addresses: ["192.0.2.1/24", "2001:db8::1/64"].compactMap(InterfaceAddress.init),
            reversePath: .strict)
        port.receivedFrames = .max
        port.drops = [
            DropCount(reason: "no-route", count: .max), DropCount(reason: "ttl", count: 1),
        ]
        var statistics = RouterStatistics()
        statistics.inHit = 7
        statistics.overflow = 3
        let namespace = NamespaceSnapshot(
            name: "red", ports: [port], statistics: statistics,
            usage: [TableUsage(table: "destinations", used: 5, limit: 16, refused: 2)],
            holders: [
                HolderSnapshot(
                    kind: "route", holder: "192.0.2.0/24", port: "left", count: 2,
                    oldest: .milliseconds(2500))
            ])
        // The first line of the trace that was published with the collector's pace.
        let pass = CollectorPass(
            namespace: "red", total: 75_469, delayed: 74_109, workPerformed: 74_250, freed: 141,
            expires: .milliseconds(600), elapsed: .microseconds(8001))
        return RouterSnapshot(
            uptime: .seconds(90), workerCount: 2, namespaces: [namespace], collector: [pass])
    }()

    @Test func `a snapshot passes through JSON as it was`() throws {
        let told = NetworkSnapshot(Self.router, name: "edge", processID: 42)
        let bytes = try JSONEncoder().encode(told)
        #expect(try JSONDecoder().decode(NetworkSnapshot.self, from: bytes) == told)
        let port = try #require(told.namespaces.first?.ports.first)
        #expect(port.state == "down")
        #expect(port.mac == "02:00:00:00:01:01")
        #expect(port.addresses == ["192.0.2.1/24", "2001:db8::1/64"])
        #expect(port.dropCount == .max)
        #expect(port.drops.map(\.reason) == ["no-route", "ttl"])
        #expect(told.uptimeSeconds == 90)
        #expect(told.namespaces.first?.holders.first?.oldestSeconds == 2.5)
    }

    @Test func `statistics have the names that operators know, and keys as all documents have`()
        throws
    {
        let told = NetworkSnapshot(Self.router, name: "edge", processID: 42)
        let statistics = try #require(told.namespaces.first?.statistics)
        let names = [
            "entries", "in_hit", "in_slow_tot", "in_slow_mc", "in_no_route", "in_brd",
            "in_martian_dst", "in_martian_src", "out_hit", "out_slow_tot", "gc_total",
            "gc_ignored", "gc_goal_miss", "gc_dst_overflow",
        ]
        #expect(statistics.named.map(\.name) == names)
        let json = try JSONSerialization.jsonObject(with: JSONEncoder().encode(statistics))
        let counts = try #require(json as? [String: UInt64])
        #expect(counts.count == names.count)
        #expect(counts.keys.allSatisfy { key in key.allSatisfy(\.isLetter) }, "\(counts.keys)")
        #expect(counts["inHit"] == 7)
        #expect(counts["overflow"] == 3)
        let named = Dictionary(uniqueKeysWithValues: statistics.named.map { ($0.name, $0.count) })
        #expect(named["in_hit"] == 7)
        #expect(named["gc_dst_overflow"] == 3)
    }

    @Test func `NET-6: a pass of the collector is told under the names of its trace line`() throws {
        let told = NetworkSnapshot(Self.router, name: "edge", processID: 42)
        let pass = try #require(told.collector.first)
        #expect(
            pass.line == "dst_total: 75469 delayed: 74109 work_perf: 74250 freed: 141 "
                + "expires: 600 ms elapsed: 8001 us")
        let json = try JSONSerialization.jsonObject(with: JSONEncoder().encode(pass))
        let keys = try #require(json as? [String: Any]).keys
        #expect(
            keys.sorted() == [
                "delayed", "elapsedMicroseconds", "expiresMilliseconds", "freed", "namespace",
                "total", "workPerformed",
            ])
    }
}
