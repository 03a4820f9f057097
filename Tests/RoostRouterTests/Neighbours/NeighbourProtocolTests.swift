@testable import RoostMemory
@testable import RoostRouter
import Testing
import TestSupport

@Suite("ARP")
struct ARPRuleTests {
    private typealias Bench = NeighbourBench
    private static let mac = MACAddress(rawValue: 0x0200_0000_FFFF)
    private static let own = IPv4Address(rawValue: 0x0A00_00FE)

    private static var link: NeighbourLink<IPv4Address> {
        NeighbourLink(
            port: Bench.port, mac: mac, owns: { $0 == own },
            isOnLink: { IPv4Prefix(IPv4Address(rawValue: 0x0A00_0000), length: 24).contains($0) })
    }

    /// A packet of any fields.
    private static func packet(
        _ operation: UInt16, from sender: (MACAddress, String), to target: (MACAddress, String)
    ) throws -> ARPPacket {
        func octets(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64((count - 1 - $0) * 8)) }
        }
        let senderAddress = try #require(IPv4Address(sender.1))
        let targetAddress = try #require(IPv4Address(target.1))
        let bytes =
            octets(0x0001_0800_0604, 6) + octets(UInt64(operation), 2)
            + octets(sender.0.rawValue, 6) + octets(UInt64(senderAddress.rawValue), 4)
            + octets(target.0.rawValue, 6) + octets(UInt64(targetAddress.rawValue), 4)
        // SAFETY: any bytes are bytes.
        return try ARPPacket(unsafe bytes.span.bytes, at: 0)
    }

    private static let none = MACAddress(rawValue: 0)

    @Test("NET-13: a request for an own address is answered, and its sender learned")
    func request() throws {
        var bench = try Bench()
        let packet = try Self.packet(
            1, from: (Bench.link(1), "10.0.0.1"), to: (Self.none, "10.0.0.254"))
        let verdict = NeighbourProtocol.receive(
            packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
        #expect(verdict == .answer(packet.reply(hardware: Self.mac)))
        #expect(bench.phase(Bench.key(1)) == .stale)
        #expect(bench.word(Bench.key(1)).mac == Bench.link(1))
    }

    @Test("NET-13: a request for another's address is not answered, and only updates who is known")
    func foreignRequest() throws {
        var bench = try Bench()
        let packet = try Self.packet(
            1, from: (Bench.link(2), "10.0.0.1"), to: (Self.none, "10.0.0.9"))
        let unknown = NeighbourProtocol.receive(
            packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
        #expect(unknown == .ignored(.notForUs))
        #expect(bench.table.view.find(Bench.key(1)).isNone)
        bench.resolve(Bench.key(1), Bench.link(1))
        bench.now += 2_000
        let known = NeighbourProtocol.receive(
            packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
        #expect(known == .taken)
        #expect(bench.word(Bench.key(1)).mac == Bench.link(2))
        #expect(bench.phase(Bench.key(1)) == .stale)
    }

    @Test(
        "NET-13: a reply to our question makes the neighbour reachable, one that nobody asked none")
    func reply() throws {
        var bench = try Bench()
        let packet = try Self.packet(
            2, from: (Bench.link(1), "10.0.0.1"), to: (Self.mac, "10.0.0.254"))
        let unasked = NeighbourProtocol.receive(
            packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
        #expect(unasked == .ignored(.unasked))
        _ = bench.send(Bench.key(1), 1)
        let asked = NeighbourProtocol.receive(
            packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
        #expect(asked == .taken)
        #expect(bench.phase(Bench.key(1)) == .reachable)
    }

    @Test("a reply to somebody else confirms nothing: the neighbour asked for is stale")
    func foreignReply() throws {
        var bench = try Bench()
        _ = bench.send(Bench.key(1), 1)
        let packet = try Self.packet(
            2, from: (Bench.link(1), "10.0.0.1"), to: (Bench.link(7), "10.0.0.254"))
        _ = NeighbourProtocol.receive(
            packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
        #expect(bench.phase(Bench.key(1)) == .stale)
    }

    @Test("RFC 5227: a probe for an own address is answered, and teaches nothing")
    func probe() throws {
        var bench = try Bench()
        let packet = try Self.packet(
            1, from: (Bench.link(1), "0.0.0.0"), to: (Self.none, "10.0.0.254"))
        let verdict = NeighbourProtocol.receive(
            packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
        #expect(verdict == .answer(packet.reply(hardware: Self.mac)))
        #expect(bench.table.rows(of: nil, limit: 1).total == 0)
    }

    @Test("RFC 5227: who claims an own address is a conflict, whatever it says", arguments: [1, 2])
    func conflict(operation: UInt16) throws {
        var bench = try Bench()
        for target in ["10.0.0.254", "10.0.0.7"] {
            let packet = try Self.packet(
                operation, from: (Bench.link(1), "10.0.0.254"), to: (.broadcast, target))
            let verdict = NeighbourProtocol.receive(
                packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
            #expect(verdict == .conflict(Self.own))
        }
        #expect(bench.table.rows(of: nil, limit: 1).total == 0)
    }

    @Test(
        "a sender that cannot be is ignored, and learned nowhere",
        arguments: [
            (0xFFFF_FFFF_FFFF as UInt64, "10.0.0.1", NeighbourRefusal.senderLink),
            (0x0100_5E00_0001, "10.0.0.1", .senderLink), (0, "10.0.0.1", .senderLink),
            (0x0200_0000_FFFF, "10.0.0.1", .ownFrame),
            (0x0200_0000_0001, "224.0.0.1", .senderAddress),
            (0x0200_0000_0001, "127.0.0.1", .senderAddress),
            (0x0200_0000_0001, "255.255.255.255", .senderAddress),
        ], [1, 2] as [UInt16])
    func senders(
        sender: (mac: UInt64, address: String, refusal: NeighbourRefusal), operation: UInt16
    ) throws {
        var bench = try Bench()
        let packet = try Self.packet(
            operation, from: (MACAddress(rawValue: sender.mac), sender.address),
            to: (Self.mac, "10.0.0.254"))
        let verdict = NeighbourProtocol.receive(
            packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
        #expect(verdict == .ignored(sender.refusal))
        #expect(bench.table.rows(of: nil, limit: 1).total == 0)
    }

    @Test("a host that asks with an address of another link is answered, and not learned")
    func foreignSender() throws {
        var bench = try Bench()
        for (operation, isAnswered) in [(1 as UInt16, true), (2, false)] {
            let packet = try Self.packet(
                operation, from: (MACAddress(rawValue: 0x0200_0000_0001), "10.0.1.1"),
                to: (Self.mac, "10.0.0.254"))
            let verdict = NeighbourProtocol.receive(
                packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
            #expect(
                verdict
                    == (isAnswered
                        ? .answer(packet.reply(hardware: Self.mac)) : .ignored(.senderAddress)))
        }
        #expect(bench.table.rows(of: nil, limit: 1).total == 0)
    }

    @Test(
        "any packets leave the table within its bounds, and no own address in it",
        arguments: [1, 2, 3])
    func anything(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var bench = try Bench()
        for _ in 0..<20_000 {
            let sender = "10.0.\(Int.random(in: 0...1, using: &random)).\(random.next() % 256)"
            let packet = try Self.packet(
                UInt16.random(in: 1...2, using: &random),
                from: (MACAddress(rawValue: random.next() >> 16), sender),
                to: (Self.mac, Bool.random(using: &random) ? "10.0.0.254" : "10.0.0.3"))
            _ = NeighbourProtocol.receive(
                packet, on: Self.link, now: bench.now, &bench.table, &bench.sink)
            bench.now += 1
        }
        let rows = bench.table.rows(of: nil, limit: 10_000).rows
        #expect(!rows.isEmpty && rows.count <= 255)
        #expect(
            rows.allSatisfy { $0.key.ipv4 != Self.own && $0.key.ipv4.rawValue >> 8 == 0x0A_0000 })
        #expect(rows.allSatisfy { $0.link?.isMulticast == false })
    }
}

@Suite("Neighbour discovery")
struct DiscoveryRuleTests {
    private typealias Bench = NeighbourBench
    private static let mac = MACAddress(rawValue: 0x0200_0000_FFFF)
    private static let own = IPv6Address(high: 0x2001_0DB8_0000_0000, low: 0xFE)
    private static let host = IPv6Address(high: 0x2001_0DB8_0000_0000, low: 1)
    private static let key = NeighbourKey(Bench.port, host)

    private static var link: NeighbourLink<IPv6Address> {
        NeighbourLink(
            port: Bench.port, mac: mac, owns: { $0 == own },
            isOnLink: {
                $0.isLinkLocal
                    || IPv6Prefix(IPv6Address(high: 0x2001_0DB8 << 32, low: 0), length: 64)
                        .contains($0)
            })
    }

    /// The message of a frame.
    private static func parse(_ bytes: [UInt8]) throws -> NeighbourMessage {
        // SAFETY: any bytes are bytes.
        let frame = unsafe bytes.span.bytes
        let header = try IPv6Header(frame, at: EthernetHeader.byteCount)
        return try NeighbourMessage(frame, header, try IPv6UpperLayer(frame, header))
    }

    private static func frame(_ write: (inout MutableRawSpan) -> Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: NeighbourProtocol.frameByteCount)
        var span = bytes.mutableSpan
        // SAFETY: any bytes are bytes.
        var output = unsafe span.mutableBytes
        let count = write(&output)
        return Array(bytes.prefix(count))
    }

    private static func solicitation(
        from source: IPv6Address, link: MACAddress, of target: IPv6Address = own
    ) throws -> NeighbourMessage {
        try parse(
            frame { output in
                NeighbourProtocol.writeSolicitation(
                    of: NeighbourKey(Bench.port, target), to: nil, from: source, mac: link,
                    into: &output)
            })
    }

    private static func advertisement(
        of target: IPv6Address, link: MACAddress?, to destination: IPv6Address,
        isOverride: Bool = true, isRouter: Bool = false
    ) throws -> NeighbourMessage {
        try parse(
            frame { output in
                EthernetHeader.byteCount
                    + NeighbourMessage.writeAdvertisement(
                        of: target, hardware: link, to: destination, isOverride: isOverride,
                        isRouter: isRouter, into: &output, at: EthernetHeader.byteCount)
            })
    }

    private func receive(
        _ message: NeighbourMessage, _ bench: inout NeighbourBench,
        from source: MACAddress = NeighbourBench.link(1)
    ) -> DiscoveryVerdict {
        NeighbourProtocol.receive(
            message, from: source, on: Self.link, now: bench.now, &bench.table, &bench.sink)
    }

    @Test("NET-13: a solicitation of an own address is answered to its sender, who is learned")
    func solicitation() throws {
        var bench = try Bench()
        let message = try Self.solicitation(from: Self.host, link: Bench.link(1))
        let verdict = receive(message, &bench)
        #expect(verdict == .advertise(Self.own, to: Self.host, link: Bench.link(1)))
        #expect(bench.phase(Self.key) == .stale)
        #expect(bench.word(Self.key).mac == Bench.link(1))
    }

    @Test("NET-13: a solicitation of another's address is not answered and teaches nothing")
    func foreignSolicitation() throws {
        var bench = try Bench()
        let other = IPv6Address(high: Self.own.high, low: 0x99)
        let message = try Self.solicitation(from: Self.host, link: Bench.link(1), of: other)
        let verdict = receive(message, &bench)
        #expect(verdict == .ignored(.notForUs))
        #expect(bench.table.rows(of: nil, limit: 1).total == 0)
    }

    @Test("RFC 4862: who is about to take an own address is told with all others, and not learned")
    func duplicateDetection() throws {
        var bench = try Bench()
        let message = try Self.solicitation(from: .unspecified, link: Bench.link(1))
        let verdict = receive(message, &bench)
        #expect(
            verdict
                == .advertise(
                    Self.own, to: .allNodes, link: MACAddress(rawValue: 0x3333_0000_0001)))
        #expect(bench.table.rows(of: nil, limit: 1).total == 0)
        // An answer to all is not a solicited one.
        let answer = try Self.parse(
            Self.frame { output in
                NeighbourProtocol.writeAdvertisement(
                    of: Self.own, to: .allNodes, link: MACAddress(group: .allNodes), mac: Self.mac,
                    into: &output)
            })
        #expect(!answer.isSolicited && answer.isOverride && answer.isRouter)
        #expect(answer.targetLink == Self.mac)
    }

    @Test("NET-13: a solicited advertisement resolves; the router flag is kept")
    func advertisement() throws {
        var bench = try Bench()
        _ = bench.send(Self.key, 1)
        let message = try Self.advertisement(
            of: Self.host, link: Bench.link(1), to: Self.own, isRouter: true)
        let verdict = receive(message, &bench)
        #expect(verdict == .taken)
        #expect(bench.phase(Self.key) == .reachable)
        #expect(bench.word(Self.key).isRouter)
    }

    @Test("an advertisement without override does not change a known address")
    func noOverride() throws {
        var bench = try Bench()
        bench.resolve(Self.key, Bench.link(1))
        let message = try Self.advertisement(
            of: Self.host, link: Bench.link(2), to: Self.own, isOverride: false)
        _ = receive(message, &bench)
        #expect(bench.word(Self.key).mac == Bench.link(1))
        #expect(bench.phase(Self.key) == .stale)
    }

    @Test("RFC 9131: an unasked advertisement of a neighbour on the link makes it stale")
    func unsolicited() throws {
        var bench = try Bench()
        let message = try Self.advertisement(
            of: Self.host, link: Bench.link(1), to: .allNodes)
        let verdict = receive(message, &bench)
        #expect(verdict == .taken)
        #expect(bench.phase(Self.key) == .stale)
        let off = IPv6Address(high: 0x2001_0DB8_FFFF_0000, low: 1)
        let foreign = receive(
            try Self.advertisement(of: off, link: Bench.link(1), to: .allNodes), &bench)
        #expect(foreign == .ignored(.unasked))
        let bare = receive(
            try Self.advertisement(
                of: IPv6Address(high: Self.own.high, low: 7), link: nil, to: .allNodes), &bench)
        #expect(bare == .ignored(.unasked))
        #expect(bench.table.rows(of: nil, limit: 1).total == 1)
    }

    @Test("a solicited advertisement that nobody asked for makes no neighbour")
    func forgedAnswer() throws {
        var bench = try Bench()
        let verdict = receive(
            try Self.advertisement(of: Self.host, link: Bench.link(1), to: Self.own), &bench)
        #expect(verdict == .ignored(.unasked))
    }

    @Test("who claims an own address is a conflict")
    func conflict() throws {
        var bench = try Bench()
        let claimed = receive(
            try Self.advertisement(of: Self.own, link: Bench.link(1), to: .allNodes), &bench)
        #expect(claimed == .conflict(Self.own))
        let used = receive(
            try Self.solicitation(from: Self.own, link: Bench.link(1)), &bench)
        #expect(used == .conflict(Self.own))
    }

    @Test(
        "a link-layer address that cannot be is ignored",
        arguments: [
            (0xFFFF_FFFF_FFFF as UInt64, NeighbourRefusal.senderLink),
            (0x3333_0000_0001, .senderLink), (0, .senderLink), (0x0200_0000_FFFF, .ownFrame),
        ])
    func links(link: UInt64, refusal: NeighbourRefusal) throws {
        var bench = try Bench()
        let mac = MACAddress(rawValue: link)
        let asked = receive(try Self.solicitation(from: Self.host, link: mac), &bench)
        #expect(asked == .ignored(refusal))
        let told = receive(
            try Self.advertisement(of: Self.host, link: mac, to: .allNodes), &bench)
        #expect(told == .ignored(refusal))
        #expect(bench.table.rows(of: nil, limit: 1).total == 0)
    }

    @Test("a sender that is not on the link is not answered")
    func offLink() throws {
        var bench = try Bench()
        let off = IPv6Address(high: 0x2001_0DB8_FFFF_0000, low: 1)
        let verdict = receive(try Self.solicitation(from: off, link: Bench.link(1)), &bench)
        #expect(verdict == .ignored(.senderAddress))
    }

    @Test("a message that a router passed on is none", arguments: [0, 1, 64, 254])
    func hopLimit(limit: UInt8) {
        var bytes = Self.frame { output in
            NeighbourProtocol.writeSolicitation(
                of: NeighbourKey(Bench.port, Self.own), to: nil, from: Self.host,
                mac: Bench.link(1), into: &output)
        }
        bytes[EthernetHeader.byteCount + 7] = limit
        let error = #expect(throws: PacketError.self) { _ = try Self.parse(bytes) }
        #expect(error == .hopLimit)
    }

    @Test("the router listens to the groups of its addresses")
    func groups() throws {
        let addresses = [Self.own, IPv6Address(high: 0xFE80 << 48, low: 0x12_3456)]
        for text in ["ff02::1", "ff02::2", "ff02::1:ff00:fe", "ff02::1:ff12:3456"] {
            let group = try #require(IPv6Address(text))
            #expect(NeighbourProtocol.listens(to: group, addresses: addresses))
        }
        for text in ["ff02::1:ff00:ff", "ff02::3", "ff05::1", "2001:db8::fe"] {
            let group = try #require(IPv6Address(text))
            #expect(!NeighbourProtocol.listens(to: group, addresses: addresses))
        }
    }

    @Test("questions go to the group first and to a known neighbour itself")
    func questions() throws {
        let group = Self.frame { output in
            NeighbourProtocol.writeSolicitation(
                of: Self.key, to: nil, from: Self.own, mac: Self.mac, into: &output)
        }
        #expect(Array(group.prefix(6)) == [0x33, 0x33, 0xFF, 0, 0, 1])
        let single = Self.frame { output in
            NeighbourProtocol.writeSolicitation(
                of: Self.key, to: Bench.link(1), from: Self.own, mac: Self.mac, into: &output)
        }
        #expect(Array(single.prefix(6)) == [2, 0, 0, 0, 0, 1])
        #expect(try Self.parse(single).destination == Self.host)
        #expect(try Self.parse(single).sourceLink == Self.mac)
    }
}
