import RoostMemory
import Testing

@testable import RoostRouter

@Suite("Packets that take another way")
struct OddPacketTests {
    @Test("NET-13: a packet that is too long is cut although its next hop is still asked for")
    func unresolvedFragments() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks(mtu: 576))
        try rig.send(
            TestFrames.udp(from: "10.0.1.2", to: "10.0.2.2", host: 0, port: 0, payload: 1_000),
            fromHost: 0)
        let pieces = try rig.answerARP(of: "10.0.2.2", atHost: 1)
        #expect(pieces.count == 2)
        #expect(pieces.allSatisfy { $0.count <= 576 + EthernetHeader.byteCount })
    }

    @Test("NET-13: a whole batch of packets that are too long goes out in fragments")
    func manyFragments() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks(mtu: 576))
        try rig.send(
            TestFrames.arpRequest(for: "10.0.2.1", from: "10.0.2.2", host: 1), fromHost: 1)
        _ = rig.frames(atHost: 1)
        let frame = TestFrames.udp(
            from: "10.0.1.2", to: "10.0.2.2", host: 0, port: 0, payload: 1_400)
        try rig.send(Array(repeating: frame, count: FrameBatch.capacity), fromHost: 0)
        #expect(rig.count(.fragmented, ofPort: 0) == UInt64(FrameBatch.capacity))
        #expect(rig.count(.fragmentFailed, ofPort: 0) == 0)
        #expect(rig.frames(atHost: 1).count == 3 * FrameBatch.capacity)
    }

    @Test(
        "NET-13: two addresses in one subnet, one of them a smaller subnet's last, are both answered"
    )
    func sharedSubnet() throws {
        var namespace = NamespaceConfiguration(name: "main")
        namespace.ports = [
            RouterLayouts.port(
                "left", ["10.0.1.1/24", "10.0.1.3/24", "10.0.1.7/24", "10.0.1.6/29"])
        ]
        var rig = try RouterRig(RouterConfiguration(namespaces: [namespace]))
        for address in ["10.0.1.1", "10.0.1.3", "10.0.1.7", "10.0.1.6"] {
            try rig.send(
                TestFrames.arpRequest(for: address, from: "10.0.1.99", host: 0), fromHost: 0)
            try rig.send(
                TestFrames.echo(from: "10.0.1.99", to: address, host: 0, port: 0), fromHost: 0)
            #expect(rig.frames(atHost: 0).count == 2)
        }
        let left = rig.index(ofPort: 0)
        rig.control { $0.takeDown(left) }
        try rig.control { try $0.takeUp(left) }
        try rig.send(
            TestFrames.arpRequest(for: "10.0.1.3", from: "10.0.1.99", host: 0), fromHost: 0)
        #expect(rig.frames(atHost: 0).count == 1)
    }

    @Test("NET-13: nobody is answered in the name of another link's host")
    func answersNobodyElse() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks(reversePath: .strict))
        try rig.send(
            TestFrames.arpRequest(for: "10.0.2.1", from: "10.0.2.2", host: 1), fromHost: 1)
        _ = rig.frames(atHost: 1)
        try rig.send(
            TestFrames.echo(from: "10.0.2.2", to: "10.0.1.1", host: 0, port: 0), fromHost: 0)
        #expect(rig.count(.reversePath, ofPort: 0) == 1)
        #expect(rig.frames(atHost: 1).isEmpty)
    }

    @Test("NET-8: a link-local address is the router's on its own link only")
    func otherLinksAddress() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        for number in 0..<2 {
            let own = try #require(
                rig.processor.outbox.port(rig.index(ofPort: number))?.linkLocal)
            try rig.send(
                TestFrames.udp6(
                    from: "2001:db8:1::2", to: own.description, host: 0, port: 0), fromHost: 0)
            // What is answered asks for the sender first.
            #expect(rig.frames(atHost: 0).count == (number == 0 ? 1 : 0))
        }
    }

    @Test("any number of a record may be asked for", arguments: [0, 1, 1 << 40, UInt64.max])
    func anyRecord(number: UInt64) throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        let found = rig.control { processor in
            processor.traces.records(
                of: [.packets], after: number, limit: 10, now: processor.now)
        }
        #expect(found.records.isEmpty)
        #expect(found.lost == 0)
    }

    @Test("NET-16: many namespaces have their whole shares at once")
    func manyNamespaces() throws {
        let rig = try RouterRig(
            RouterConfiguration(
                namespaces: (0..<100).map { number in
                    NamespaceConfiguration(
                        name: "tenant\(number)",
                        ports: [RouterLayouts.port("port\(number)", ["10.0.1.1/24"])])
                }))
        let shares = NamespaceLimits()
        let limits = rig.processor.neighbours.limits
        #expect(limits.entries >= 100 * shares.neighbours)
        #expect(limits.frames >= 100 * shares.pendingFrames)
        #expect(rig.processor.destinations.limits.entryCount >= 100 * shares.destinations)
    }

    @Test(
        "NET-13: who has the router's own address, or says what nobody asked, is counted",
        arguments: [
            ("10.0.1.1", PacketCounter.addressConflict), ("10.0.1.66", .refusedNeighbour),
        ])
    func oddNeighbours(sender: String, counter: PacketCounter) throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        // A reply to a question that the host itself made up.
        let address = try #require(IPv4Address("10.0.1.1"))
        let question = ARPPacket.request(
            for: try #require(IPv4Address(sender)), from: address,
            hardware: RouterRig.mac(ofPort: 0))
        try rig.send(
            TestFrames.arpReply(of: sender, host: 0, to: question), fromHost: 0)
        #expect(rig.count(counter, ofPort: 0) == 1)
        #expect(rig.frames(atHost: 0).isEmpty)
    }
}
