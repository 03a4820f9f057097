import Testing

@testable import RoostRouter

@Suite("Ports that are changed by hand")
struct PortCommandTests {
    /// A change, on a router whose right port was changed so before, and what is said of it.
    private func result(
        _ change: PortChange, after before: [PortChange] = []
    ) throws -> PortChangeResult {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        let right = rig.index(ofPort: 1)
        for change in before { _ = try rig.control { try $0.change(right, change) } }
        return try rig.control { try $0.change(right, change) }
    }

    @Test("what goes down says so, with the routes that go")
    func down() throws {
        let result = try result(.down)
        #expect(result.port == "right")
        #expect(result.namespace == "main")
        #expect((result.before, result.after) == (.up, .down))
        #expect(result.isChanged)
        // Its links, addresses and broadcasts of both families, and the route by its gateway.
        #expect(result.routeCount == 8)
    }

    @Test("what is so already is not changed")
    func already() throws {
        #expect(try result(.up).isChanged == false)
        let down = try result(.down, after: [.down])
        #expect((down.before, down.after, down.isChanged) == (.down, .down, false))
        #expect(down.routeCount == 0)
    }

    @Test("what its device took down stays down by hand")
    func held() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        let right = rig.index(ofPort: 1)
        rig.control { $0.takeDown(right) }
        let result = try rig.control { try $0.change(right, .down) }
        #expect((result.before, result.after, result.isChanged) == (.down, .down, true))
    }

    @Test("what comes up again says how many routes are there again")
    func up() throws {
        let result = try result(.up, after: [.down])
        #expect((result.before, result.after, result.isChanged) == (.down, .up, true))
        #expect(result.routeCount == 8)
    }

    @Test(
        "what is removed is no more, and is not found again",
        arguments: [[], [PortChange.down]])
    func removed(_ before: [PortChange]) throws {
        let result = try result(.remove, after: before)
        #expect(result.after == nil)
        #expect(result.isChanged)
        let again = #expect(throws: RouterError.self) {
            try self.result(.remove, after: before + [.remove])
        }
        #expect(again?.kind == .notFound)
    }

    @Test("a port that is not there is refused with those that are")
    func absent() throws {
        let rig = try RouterRig(RouterLayouts.twoLinks())
        let error = #expect(throws: RouterError.self) {
            _ = try rig.processor.port(named: "middle")
        }
        #expect(error?.description == "there is no port 'middle': give one of left, right")
    }
}
