import RoostMemory
import Testing

@testable import RoostRouter

@Suite("Next hops that do not answer")
struct FailureTests {
    /// A destination behind the gateway, and one on the link; who has to answer for each.
    @Test(
        "NET-13: who does not answer is refused at once, until it answers",
        arguments: [("192.0.2.5", "10.0.2.254"), ("10.0.2.77", "10.0.2.77")])
    func recovers(destination: String, nextHop: String) throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        try rig.send(
            TestFrames.arpRequest(for: "10.0.1.1", from: "10.0.1.2", host: 0), fromHost: 0)
        let frame = TestFrames.udp(from: "10.0.1.2", to: destination, host: 0, port: 0)
        try rig.send(frame, fromHost: 0)
        rig.wait(3_500)
        _ = rig.frames(atHost: 0)
        let asked = rig.frames(atHost: 1).count
        #expect(asked == 3)
        try rig.send(frame, fromHost: 0)
        #expect(rig.count(.unreachable, ofPort: 0) == 1)
        #expect(rig.frames(atHost: 1).isEmpty)
        // It says who it is; no time goes by.
        try rig.send(
            TestFrames.arpRequest(for: "10.0.2.1", from: nextHop, host: 1), fromHost: 1)
        _ = rig.frames(atHost: 1)
        try rig.send(frame, fromHost: 0)
        #expect(rig.count(.unreachable, ofPort: 0) == 1)
        #expect(rig.frames(atHost: 1).count == 1)
    }

    @Test("NET-13: flows of a gateway that fails go by the others of its route")
    func others() throws {
        var configuration = RouterLayouts.twoLinks()
        let prefix = try #require(IPPrefix("198.51.100.0/24"))
        let gateways = ["10.0.2.253", "10.0.2.254"].compactMap { IPAddress($0) }
        let hops = gateways.map { NextHopConfiguration($0, port: "right") }
        configuration.namespaces[0].routes = [RouteConfiguration(prefix, .forward(hops))]
        var rig = try RouterRig(configuration)
        try rig.send(
            TestFrames.arpRequest(for: "10.0.2.1", from: "10.0.2.253", host: 1), fromHost: 1)
        let flows = (0..<40).map { number in
            TestFrames.udp(
                from: "10.0.1.2", to: "198.51.100.9", host: 0, port: 0,
                sourcePort: 5_000 + UInt16(number))
        }
        for flow in flows { try rig.send(flow, fromHost: 0) }
        rig.wait(3_500)
        let passed = rig.count(.forwarded, ofPort: 0)
        #expect((1..<40).contains(passed))
        _ = rig.frames(atHost: 1)
        for flow in flows { try rig.send(flow, fromHost: 0) }
        #expect(rig.count(.forwarded, ofPort: 0) == passed + 40)
        #expect(rig.frames(atHost: 1).count == 40)
    }

    @Test("NET-13: what is flushed is asked for again, be it the gateway of a route")
    func flushed() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        try rig.send(
            TestFrames.arpRequest(for: "10.0.2.1", from: "10.0.2.254", host: 1), fromHost: 1)
        let frame = TestFrames.udp(from: "10.0.1.2", to: "192.0.2.5", host: 0, port: 0)
        try rig.send(frame, fromHost: 0)
        #expect(rig.frames(atHost: 1).count == 2)
        let result = rig.control { $0.flush(FlushSelector(), in: $0.namespaces) }
        #expect(result == FlushResult(exceptions: 0, neighbours: 1))
        try rig.send(frame, fromHost: 0)
        #expect(try rig.answerARP(of: "10.0.2.254", atHost: 1).count == 1)
    }

    @Test("NET-13: a flush of a next hop ends its failure; one of another does not")
    func flushedFailure() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        let frame = TestFrames.udp(from: "10.0.1.2", to: "10.0.2.77", host: 0, port: 0)
        try rig.send(frame, fromHost: 0)
        rig.wait(3_500)
        var selector = FlushSelector()
        for (address, count) in [("10.0.2.78", 0), ("10.0.2.77", 1)] {
            selector.nextHop = IPAddress(address)
            let result = rig.control { $0.flush(selector, in: $0.namespaces) }
            #expect(result.exceptions == count)
        }
    }
}
