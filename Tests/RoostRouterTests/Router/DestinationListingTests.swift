import Testing

@testable import RoostRouter

@Suite("What destinations are for")
struct DestinationListingTests {
    @Test("every entry in use says which routes lead to it")
    func purposes() throws {
        let rig = try RouterRig(RouterLayouts.twoLinks())
        let rows = rig.processor.destinations(in: rig.processor.namespaces, limit: 100).rows
        #expect(!rows.isEmpty)
        for row in rows { #expect(!row.prefixes.isEmpty, "\(row)") }
        let link = rows.first { $0.kind == .link && $0.port == "left" }
        #expect(link?.prefixes.map(\.description) == ["10.0.1.0/24"])
        let gateway = rows.first { $0.kind == .nextHop }
        #expect(gateway?.prefixes.map(\.description) == ["192.0.2.0/24"])
        #expect(gateway?.gateway == IPAddress("10.0.2.254"))
        #expect(gateway?.routeCount == 1)
    }

    @Test("of many routes to one next hop the first are shown, and all are counted")
    func many() throws {
        var configuration = RouterLayouts.twoLinks()
        let gateway = NextHopConfiguration(IPAddress("10.0.2.254"), port: "right")
        configuration.namespaces[0].routes += (0..<100).compactMap { number in
            IPPrefix("172.16.\(number).0/24").map { RouteConfiguration($0, .forward([gateway])) }
        }
        let rig = try RouterRig(configuration)
        let rows = rig.processor.destinations(in: rig.processor.namespaces, limit: 100).rows
        let row = rows.first { $0.kind == .nextHop }
        #expect(row?.routeCount == 101)
        #expect(row?.prefixes.first?.description == "172.16.0.0/24")
        #expect((row?.prefixes.count ?? 0) < 10)
    }

    @Test("an exception is for its destination")
    func exception() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        // Nobody answers for it, which is kept.
        try rig.send(
            TestFrames.udp(from: "10.0.1.2", to: "10.0.2.77", host: 0, port: 0), fromHost: 0)
        rig.wait(5_000)
        let rows = rig.processor.destinations(in: rig.processor.namespaces, limit: 100).rows
        for row in rows where row.kind == .exception { #expect(row.address != nil, "\(row)") }
    }
}
