import Testing

@testable import RoostRouter

@Suite("What senders are told")
struct SenderErrorTests {
    private func error(_ rig: inout RouterRig) throws -> (type: UInt8, code: UInt8, rest: UInt32) {
        let parsed = try ParsedFrame(try #require(rig.frames(atHost: 0).first))
        #expect(parsed.ipv4?.source == IPv4Address("10.0.1.1"))
        #expect(parsed.ipv4?.destination == IPv4Address("10.0.1.2"))
        let message = try #require(parsed.icmp)
        return (message.type, message.code, message.rest)
    }

    /// A rig that knows the host behind the left port.
    private func rig(mtu: Int = 1_500) throws -> RouterRig {
        var rig = try RouterRig(RouterLayouts.twoLinks(mtu: mtu))
        try rig.send(
            TestFrames.arpRequest(for: "10.0.1.1", from: "10.0.1.2", host: 0), fromHost: 0)
        _ = rig.frames(atHost: 0)
        return rig
    }

    @Test(
        "NET-13: time exceeded, no route and too big, each from the address nearest to the sender")
    func errors() throws {
        var rig = try rig(mtu: 576)
        try rig.send(
            TestFrames.udp(from: "10.0.1.2", to: "10.0.2.2", host: 0, port: 0, timeToLive: 1),
            fromHost: 0)
        #expect(try error(&rig) == (11, 0, 0))
        try rig.send(
            TestFrames.udp(from: "10.0.1.2", to: "198.51.100.1", host: 0, port: 0), fromHost: 0)
        #expect(try error(&rig) == (3, 0, 0))
        try rig.send(
            TestFrames.udp(
                from: "10.0.1.2", to: "10.0.2.2", host: 0, port: 0, payload: 1_000,
                dontFragment: true), fromHost: 0)
        #expect(try error(&rig) == (3, 4, 576))
    }

    @Test("NET-13: an address that does not answer is reported after three tries, and then at once")
    func unreachable() throws {
        var rig = try rig()
        let frame = TestFrames.udp(from: "10.0.1.2", to: "10.0.2.66", host: 0, port: 0)
        try rig.send(frame, fromHost: 0)
        rig.wait(2_000)
        #expect(rig.frames(atHost: 0).isEmpty)
        rig.wait(2_000)
        #expect(rig.frames(atHost: 1).count == 3)
        #expect(try error(&rig) == (3, 1, 0))
        // The failure is kept: the worker itself refuses the next packet, and nobody is asked.
        try rig.send(frame, fromHost: 0)
        #expect(rig.count(.unreachable, ofPort: 0) == 1)
        #expect(try error(&rig) == (3, 1, 0))
        #expect(rig.frames(atHost: 1).isEmpty)
    }

    @Test("NET-13: errors to one sender are limited, and too-big messages are not the first to go")
    func limits() throws {
        var rig = try rig(mtu: 576)
        for _ in 0..<40 {
            try rig.send(
                TestFrames.udp(from: "10.0.1.2", to: "198.51.100.1", host: 0, port: 0), fromHost: 0)
        }
        let told = rig.frames(atHost: 0).count
        #expect(told >= 1 && told <= 6)
        rig.wait(5_000)
        try rig.send(
            TestFrames.udp(from: "10.0.1.2", to: "198.51.100.1", host: 0, port: 0), fromHost: 0)
        #expect(rig.frames(atHost: 0).count == 1)
    }

    @Test("NET-13: a sender on the next hop's own subnet is redirected, less and less often")
    func redirects() throws {
        var rig = try RouterRig(RouterLayouts.twoLinks())
        for (address, host) in [("10.0.2.2", 1), ("10.0.2.254", 1)] {
            try rig.send(
                TestFrames.arpRequest(for: "10.0.2.1", from: address, host: host), fromHost: host)
        }
        _ = rig.frames(atHost: 1)
        let frame = TestFrames.udp(from: "10.0.2.2", to: "192.0.2.7", host: 1, port: 1)
        try rig.send(frame, fromHost: 1)
        let frames = try rig.frames(atHost: 1).map { try ParsedFrame($0) }
        let redirect = frames.compactMap(\.icmp).first { $0.type == ICMPMessage.Kind.redirect }
        #expect(redirect?.rest == IPv4Address("10.0.2.254")?.rawValue)
        #expect(frames.contains { $0.ipv4?.destination == IPv4Address("192.0.2.7") })
        // The packet went on all the same, and so do the next ones.
        for _ in 0..<50 { try rig.send(frame, fromHost: 1) }
        let later = try rig.frames(atHost: 1).map { try ParsedFrame($0) }
        #expect(later.filter { $0.icmp?.type == ICMPMessage.Kind.redirect }.count <= 9)
        #expect(later.filter { $0.ipv4?.destination == IPv4Address("192.0.2.7") }.count == 50)
    }
}
