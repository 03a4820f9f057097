@testable import RoostMemory
@testable import RoostRouter
import RoostSystem
import Synchronization
import SystemPackage
import Testing

/// A router of one port as far as a kernel's ping needs one: neighbours, and echo to own addresses.
private struct PingedRouter: ~Copyable {
    static let port = PortIndex(rawValue: 1)
    static let mac = MACAddress(rawValue: 0x0200_0000_FFFF)
    static let own4 = IPv4Address(rawValue: 0x0A09_0001)
    static let own6 = IPv6Address(high: 0xFD09 << 48, low: 1)

    /// Builds the frames that follow from events.
    struct Sink: NeighbourSink, ~Copyable {
        var output: FrameBatch
        var sent = 0
        var unreachable = 0

        mutating func build(_ write: (inout MutableRawSpan) -> Int) {
            guard let slot = output.appendSlot(byteCount: output.frameLimit) else { return }
            var room = output.mutableFrame(slot)
            let count = write(&room)
            output.setByteCount(count, of: slot)
        }

        mutating func solicit(_ key: NeighbourKey, to link: MACAddress?) {
            build { room in
                key.family == .ipv4
                    ? NeighbourProtocol.writeSolicitation(
                        of: key, to: link, from: own4, mac: mac, into: &room)
                    : NeighbourProtocol.writeSolicitation(
                        of: key, to: link, from: own6, mac: mac, into: &room)
            }
        }

        mutating func transmit(
            _ frame: RawSpan, context: UInt64, to key: NeighbourKey, link: MACAddress
        ) {
            guard let slot = output.append(frame) else { return }
            var target = output.mutableFrame(slot)
            EthernetHeader.rewrite(&target, destination: link, source: mac)
            sent += 1
        }

        mutating func unreachable(_ frame: RawSpan, context: UInt64, to key: NeighbourKey) {
            unreachable += 1
        }

        mutating func dropped(_ context: UInt64, reason: NeighbourDrop) {}
    }

    var table: NeighbourTable
    var sink: Sink
    var input: FrameBatch
    var reply: [UInt8] = []
    /// Milliseconds, by turns of the loop.
    var now: UInt64 = 1_000

    init() throws {
        var table = try NeighbourTable(quiescence: try Quiescence(readerLimit: 1))
        try table.setQuota(NeighbourQuota(), of: NamespaceIndex(rawValue: 1))
        table.addPort(
            Self.port, namespace: NamespaceIndex(rawValue: 1), loopback: PortIndex(rawValue: 9))
        let sink = Sink(output: try FrameBatch())
        let input = try FrameBatch()
        self.table = table
        self.sink = sink
        self.input = input
    }

    /// Takes what has come to a port, and sends what follows.
    mutating func turn(_ tap: TAPPort) throws {
        try #require(tap.descriptor).waitUntilReadable(milliseconds: 5)
        now += 5
        input.removeAll()
        sink.output.removeAll()
        _ = tap.receive(into: &input, worker: 0)
        for slot in 0..<input.count {
            // What is no packet that this router knows is passed over.
            try? take(input.bytes(slot))
        }
        _ = table.tick(now: now, &sink)
        _ = tap.transmit(sink.output.slots, of: sink.output, worker: 0)
    }

    private mutating func take(_ bytes: [UInt8]) throws(PacketError) {
        // SAFETY: any bytes are bytes.
        let frame = unsafe bytes.span.bytes
        let ethernet = try EthernetHeader(frame)
        switch ethernet.etherType {
        case EtherType.arp:
            let packet = try ARPPacket(frame, at: ethernet.payloadOffset)
            let link = NeighbourLink<IPv4Address>(
                port: Self.port, mac: Self.mac, owns: { $0 == Self.own4 },
                isOnLink: { $0.rawValue >> 8 == Self.own4.rawValue >> 8 })
            if case .answer(let answer) = NeighbourProtocol.receive(
                packet, on: link, now: now, &table, &sink)
            {
                sink.build { answer.writeFrame(to: answer.targetHardware, into: &$0) }
            }
        case EtherType.ipv4:
            let header = try IPv4Header(frame, at: ethernet.payloadOffset)
            let message = try ICMPMessage(frame, header)
            guard header.destination == Self.own4, message.type == ICMPMessage.Kind.echoRequest
            else { return }
            var answer = [UInt8](
                repeating: 0, count: header.totalByteCount + ethernet.payloadOffset)
            var span = answer.mutableSpan
            // SAFETY: any bytes are bytes.
            var room = unsafe span.mutableBytes
            _ = message.writeEchoReply(
                frame, header, from: Self.own4, identification: 1, into: &room,
                at: EthernetHeader.byteCount)
            EthernetHeader.write(
                destination: .broadcast, source: Self.mac, etherType: EtherType.ipv4, into: &room)
            reply = answer
            send(to: NeighbourKey(Self.port, header.source))
        case EtherType.ipv6:
            try takeIPv6(bytes, ethernet)
        default: break
        }
    }

    private mutating func takeIPv6(
        _ bytes: [UInt8], _ ethernet: EthernetHeader
    ) throws(PacketError) {
        // SAFETY: any bytes are bytes.
        let frame = unsafe bytes.span.bytes
        let header = try IPv6Header(frame, at: ethernet.payloadOffset)
        let upper = try IPv6UpperLayer(frame, header)
        let icmp = try ICMPMessage(frame, header, upper)
        if icmp.type == ICMPMessage.Kind6.echoRequest && header.destination == Self.own6 {
            var answer = [UInt8](
                repeating: 0, count: IPv6Header.byteCount + icmp.end - icmp.offset + 14)
            var span = answer.mutableSpan
            // SAFETY: any bytes are bytes.
            var room = unsafe span.mutableBytes
            _ = icmp.writeEchoReply(
                frame, header, from: Self.own6, into: &room, at: EthernetHeader.byteCount)
            EthernetHeader.write(
                destination: .broadcast, source: Self.mac, etherType: EtherType.ipv6, into: &room)
            reply = answer
            send(to: NeighbourKey(Self.port, header.source))
            return
        }
        let message = try NeighbourMessage(frame, header, upper)
        let link = NeighbourLink<IPv6Address>(
            port: Self.port, mac: Self.mac, owns: { $0 == Self.own6 },
            isOnLink: { $0.isLinkLocal || $0.high == Self.own6.high })
        if case .advertise(let target, let destination, let sender) = NeighbourProtocol.receive(
            message, from: ethernet.source, on: link, now: now, &table, &sink)
        {
            sink.build {
                NeighbourProtocol.writeAdvertisement(
                    of: target, to: destination, link: sender, mac: Self.mac, into: &$0)
            }
        }
    }

    /// Sends what was built to a neighbour.
    mutating func send(to key: NeighbourKey) {
        let frame = reply
        // SAFETY: any bytes are bytes.
        _ = table.send(unsafe frame.span.bytes, to: key, context: 0, now: now, &sink)
    }
}

@Suite(
    "Neighbours and the kernel",
    .enabled(
        if: NetworkNamespace.isPossible,
        "needs root, /dev/net/tun and ip: network namespaces are made"))
struct NeighbourKernelTests {
    /// A namespace whose interface `tap` has addresses and the other end of the port.
    private func prepare() async throws -> (NetworkNamespace, TAPPort) {
        let namespace = try await NetworkNamespace()
        let port = try TAPInterface.open(
            TAPOptions(interface: "tap", networkNamespace: namespace.name))
        try await namespace.run("ip", "address", "add", "10.9.0.2/24", "dev", "tap")
        try await namespace.run("ip", "address", "add", "fd09::2/64", "dev", "tap", "nodad")
        return (namespace, port)
    }

    @Test(
        "NET-13, NET-14: the kernel resolves the router's address and its ping is answered",
        arguments: ["10.9.0.1", "fd09::1"])
    func ping(address: String) async throws {
        let (namespace, port) = try await prepare()
        let ended = Ended()
        async let served: Void = DedicatedThread.run(name: "router") {
            var router = try PingedRouter()
            while !ended.isSet { try router.turn(port) }
        }
        let status = try await namespace.run(
            "ping", "-c", "2", "-i", "0.2", "-W", "5", address, isRequired: false)
        let isKnown = try await namespace.run(
            "sh", "-c", "ip neigh show \(address) | grep -q 02:00:00:00:ff:ff", isRequired: false)
        ended.set()
        try await served
        #expect(status == 0)
        #expect(isKnown == 0)
    }

    @Test(
        "NET-13, NET-14: the router resolves the kernel's address, and sends what waited",
        arguments: [
            NeighbourKey(PortIndex(rawValue: 1), IPv4Address(rawValue: 0x0A09_0002)),
            NeighbourKey(PortIndex(rawValue: 1), IPv6Address(high: 0xFD09 << 48, low: 2)),
        ])
    func resolution(key: NeighbourKey) async throws {
        let (_, port) = try await prepare()
        try await DedicatedThread.run(name: "router") {
            var router = try PingedRouter()
            router.reply = [UInt8](repeating: 0, count: 60)
            router.send(to: key)
            // The question of `send` is written at once; later turns begin with an empty batch.
            _ = port.transmit(router.sink.output.slots, of: router.sink.output, worker: 0)
            for _ in 0..<1_000 where router.sink.sent == 0 && router.sink.unreachable == 0 {
                try router.turn(port)
            }
            let word = router.table.view.word(router.table.view.find(key))
            let sent = router.sink.sent
            #expect(sent == 1)
            #expect(word.isUsable)
            #expect(word.mac == port.hostAddress)
        }
    }

    @Test("NET-13: an address that nobody has is reported after three questions")
    func silence() async throws {
        let (_, port) = try await prepare()
        try await DedicatedThread.run(name: "router") {
            var router = try PingedRouter()
            router.reply = [UInt8](repeating: 0, count: 60)
            let key = NeighbourKey(PingedRouter.port, IPv4Address(rawValue: 0x0A09_0003))
            router.send(to: key)
            for _ in 0..<1_000 where router.sink.unreachable == 0 { try router.turn(port) }
            let unreachable = router.sink.unreachable
            let asked = router.table.statistics.solicitations
            #expect(unreachable == 1)
            #expect(asked == 3)
        }
    }
}

/// Set once, by another thread.
private final class Ended: Sendable {
    private let value = Atomic<Bool>(false)

    var isSet: Bool { value.load(ordering: .acquiring) }

    func set() { value.store(true, ordering: .releasing) }
}
