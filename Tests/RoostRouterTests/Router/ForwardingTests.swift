import Testing

@testable import RoostRouter

@Suite("Forwarding from port to port")
struct ForwardingTests {
    @Test("NET-13: a packet waits for its neighbour, and then the next ones go at once")
    func forward() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        let frame = TestFrames.udp(from: "10.0.1.2", to: "10.0.2.2", host: 0, port: 0)
        try rig.send(frame, fromHost: 0)
        let delivered = try rig.answerARP(of: "10.0.2.2", atHost: 1)
        #expect(delivered.count == 1)
        let first = try ParsedFrame(try #require(delivered.first))
        #expect(first.link.destination == RouterRig.mac(ofHost: 1))
        #expect(first.link.source == RouterRig.mac(ofPort: 1))
        #expect(first.ipv4?.timeToLive == 63)
        try rig.send(frame, fromHost: 0)
        #expect(rig.frames(atHost: 1) == delivered)
        #expect(rig.count(.askedForNeighbour, ofPort: 0) == 1)
        #expect(rig.count(.forwarded, ofPort: 0) == 1)
    }

    @Test("NET-13: packets by a gateway go to its link-layer address")
    func gateway() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        try rig.send(
            TestFrames.udp(from: "10.0.1.2", to: "192.0.2.7", host: 0, port: 0), fromHost: 0)
        let delivered = try rig.answerARP(of: "10.0.2.254", atHost: 1)
        let packet = try ParsedFrame(try #require(delivered.first))
        #expect(packet.ipv4?.destination == IPv4Address("192.0.2.7"))
        #expect(packet.link.destination == RouterRig.mac(ofHost: 1))
    }

    @Test("NET-13: IPv6 is forwarded after a solicitation")
    func forward6() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        let frame = TestFrames.udp6(
            from: "2001:db8:1::2", to: "2001:db8:2::2", host: 0, port: 0)
        try rig.send(frame, fromHost: 0)
        let asked = try ParsedFrame(try #require(rig.frames(atHost: 1).first))
        #expect(asked.neighbour?.target == IPv6Address("2001:db8:2::2"))
        let asker = try #require(asked.ipv6?.source)
        try rig.send(
            TestFrames.advertisement(of: "2001:db8:2::2", host: 1, port: 1, to: asker),
            fromHost: 1)
        let packet = try ParsedFrame(try #require(rig.frames(atHost: 1).first))
        #expect(packet.ipv6?.hopLimit == 63)
        #expect(packet.link.destination == RouterRig.mac(ofHost: 1))
    }

    @Test("NET-13: the router answers for its own addresses, by ARP and to echo requests")
    func ownAddress() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        try rig.send(
            TestFrames.arpRequest(for: "10.0.1.1", from: "10.0.1.2", host: 0), fromHost: 0)
        let answer = try ParsedFrame(try #require(rig.frames(atHost: 0).first))
        #expect(answer.arp?.senderHardware == RouterRig.mac(ofPort: 0))
        // The far address answers from itself.
        try rig.send(
            TestFrames.echo(from: "10.0.1.2", to: "10.0.2.1", host: 0, port: 0), fromHost: 0)
        let reply = try ParsedFrame(try #require(rig.frames(atHost: 0).first))
        #expect(reply.ipv4?.source == IPv4Address("10.0.2.1"))
        #expect(reply.icmp?.type == ICMPMessage.Kind.echoReply)
    }

    @Test("NET-13: fragments of a packet that is too long arrive whole")
    func fragments() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks(mtu: 576))
        let frame = TestFrames.udp(
            from: "10.0.1.2", to: "10.0.2.2", host: 0, port: 0, payload: 1_400)
        try rig.send(
            TestFrames.udp(from: "10.0.1.2", to: "10.0.2.2", host: 0, port: 0), fromHost: 0)
        _ = try rig.answerARP(of: "10.0.2.2", atHost: 1)
        try rig.send(frame, fromHost: 0)
        let pieces = try rig.frames(atHost: 1).map { try ParsedFrame($0) }
        #expect(pieces.count == 3)
        #expect(pieces.allSatisfy { ($0.ipv4?.totalByteCount ?? 0) <= 576 })
        #expect(pieces.compactMap(\.ipv4).reduce(0) { $0 + $1.payloadByteCount } == 1_408)
        #expect(rig.count(.fragmented, ofPort: 0) == 1)
    }

    @Test(
        "NET-13: what a router must not forward is dropped and counted",
        arguments: [
            ("127.0.0.1", "10.0.2.2", PacketCounter.martianSource),
            ("224.0.0.1", "10.0.2.2", .martianSource),
            ("10.0.1.2", "127.0.0.1", .martianDestination),
            ("10.0.1.2", "240.0.0.1", .martianDestination), ("10.0.1.2", "224.0.0.5", .multicast),
            ("10.0.1.2", "255.255.255.255", .broadcast), ("10.0.1.2", "10.0.2.255", .broadcast),
        ])
    func refused(source: String, destination: String, counter: PacketCounter) throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        try rig.send(
            TestFrames.udp(from: source, to: destination, host: 0, port: 0), fromHost: 0)
        #expect(rig.count(counter, ofPort: 0) == 1)
        #expect(rig.frames(atHost: 0).isEmpty)
        #expect(rig.frames(atHost: 1).isEmpty)
    }

    @Test(
        "NET-13: the way back to a source is checked as a port is told",
        arguments: [
            (ReversePathMode.strict, "10.0.2.9", false), (.strict, "203.0.113.1", false),
            (.strict, "10.0.1.9", true), (.loose, "10.0.2.9", true), (.loose, "203.0.113.1", false),
            (.off, "203.0.113.1", true),
        ])
    func reversePath(mode: ReversePathMode, source: String, isForwarded: Bool) throws {
        var rig = try RouterRig(RouterLayouts.twoLinks(reversePath: mode))
        try rig.send(
            TestFrames.udp(from: source, to: "10.0.2.2", host: 0, port: 0), fromHost: 0)
        #expect(rig.count(.reversePath, ofPort: 0) == (isForwarded ? 0 : 1))
        #expect(rig.count(.askedForNeighbour, ofPort: 0) == (isForwarded ? 1 : 0))
    }

    @Test("NET-8: namespaces with the same addresses see nothing of each other")
    func namespaces() throws {
        var rig = try RouterRig(RouterLayouts.twins())
        let frame = TestFrames.udp(from: "10.0.1.2", to: "10.128.0.2", host: 0, port: 0)
        try rig.send(frame, fromHost: 0)
        #expect(try rig.answerARP(of: "10.128.0.2", atHost: 1).count == 1)
        #expect(rig.frames(atHost: 2).isEmpty)
        #expect(rig.frames(atHost: 3).isEmpty)
        let other = TestFrames.udp(from: "10.0.1.2", to: "10.128.0.2", host: 2, port: 2)
        try rig.send(other, fromHost: 2)
        // It asks anew: what the other namespace knows is not known here.
        #expect(try rig.answerARP(of: "10.128.0.2", atHost: 3).count == 1)
        #expect(rig.frames(atHost: 1).isEmpty)
    }
}
