import Testing

@testable import RoostRouter

@Suite("Ports that go and come")
struct PortChangeTests {
    private let frame = TestFrames.udp(from: "10.0.1.2", to: "10.0.2.2", host: 0, port: 0)

    /// A router that knows the host behind the right port.
    private func rig() throws -> RouterRig {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        for (number, address) in [(0, "10.0.1"), (1, "10.0.2")] {
            try rig.send(
                TestFrames.arpRequest(for: "\(address).1", from: "\(address).2", host: number),
                fromHost: number)
            _ = rig.frames(atHost: number)
        }
        return rig
    }

    @Test("NET-7: a port that is down carries nothing, its routes give way, and it comes back")
    func down() throws {
        var rig = try rig()
        try rig.send(frame, fromHost: 0)
        #expect(rig.frames(atHost: 1).count == 1)
        let right = rig.index(ofPort: 1)
        rig.control { $0.takeDown(right) }
        try rig.send(frame, fromHost: 0)
        #expect(rig.frames(atHost: 1).isEmpty)
        #expect(rig.count(.noRoute, ofPort: 0) == 1)
        // Nor does it give anything, be it ARP.
        try rig.send(
            TestFrames.udp(from: "10.0.2.2", to: "10.0.1.2", host: 1, port: 1), fromHost: 1)
        try rig.send(
            TestFrames.arpRequest(for: "10.0.2.1", from: "10.0.2.9", host: 1), fromHost: 1)
        #expect(rig.count(.portDown, ofPort: 1) == 2)
        #expect(rig.frames(atHost: 1).isEmpty)
        // The other link is as it was.
        try rig.send(
            TestFrames.echo(from: "10.0.1.2", to: "10.0.1.1", host: 0, port: 0), fromHost: 0)
        #expect(!rig.frames(atHost: 0).isEmpty)
        try rig.control { try $0.takeUp(right) }
        try rig.send(frame, fromHost: 0)
        #expect(try rig.answerARP(of: "10.0.2.2", atHost: 1).count == 1)
    }

    @Test("NET-7, NET-17: a removed port is gone although a packet still holds its entry")
    func removed() throws {
        var rig = try rig()
        // It waits for an address that nobody has.
        try rig.send(
            TestFrames.udp(from: "10.0.1.2", to: "10.0.2.77", host: 0, port: 0), fromHost: 0)
        let right = rig.index(ofPort: 1)
        let held = rig.processor.view.destinations.holders(limit: 100) { $0.kind == .queuedPacket }
        #expect(held.count == 1)
        _ = rig.frames(atHost: 1)
        rig.control { $0.remove(right) }
        #expect(rig.processor.view.ports.word(right).exists == false)
        rig.wait(1_000)
        // Nothing refers to it any more, so its place is free again.
        let hasGone = rig.processor.destinations.hasGone(right)
        #expect(hasGone)
        #expect(rig.processor.farewells.isEmpty)
        try rig.send(frame, fromHost: 0)
        #expect(rig.frames(atHost: 1).isEmpty)
        #expect(
            rig.processor.view.destinations.holders(limit: 100) { $0.kind == .queuedPacket }.isEmpty
        )
    }

    @Test("NET-7: a note of a port that has gone says nothing of the next one in its place")
    func goneBefore() throws {
        var rig = try rig()
        let right = rig.index(ofPort: 1)
        let (other, _) = try MemoryPort.pair()
        rig.control { $0.directory.noteGone(other, at: right) }
        rig.wait(100)
        try rig.send(frame, fromHost: 0)
        #expect(rig.frames(atHost: 1).count == 1)
    }

    @Test("NET-7: a port whose device is gone is removed by itself")
    func gone() throws {
        var rig = try rig()
        let right = rig.index(ofPort: 1)
        let port = try #require(rig.processor.directory.port(right))
        rig.control { $0.directory.noteGone(port, at: right) }
        rig.wait(100)
        #expect(rig.processor.outbox.port(right) == nil)
        try rig.send(frame, fromHost: 0)
        #expect(rig.count(.noRoute, ofPort: 0) == 1)
    }
}
