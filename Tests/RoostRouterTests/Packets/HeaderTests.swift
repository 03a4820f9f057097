import RoostMemory
import Testing

@testable import RoostRouter

@Suite("Headers at their edges")
struct HeaderTests {
    /// A right packet with 4 bytes of payload, then changed, with its checksum made right.
    private func ipv4(_ change: (inout [UInt8]) -> Void) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 24)
        bytes.withSpan {
            IPv4Header.write(
                source: IPv4Address(rawValue: 0xC000_0201),
                destination: IPv4Address(rawValue: 0xC633_6401), protocolNumber: IPProtocol.udp,
                totalByteCount: 24, into: &$0, at: 0)
        }
        change(&bytes)
        let length = Int(bytes[0] & 15) * 4
        if length >= 20, length <= bytes.count {
            bytes.withSpan { IPv4Header.finishChecksum(&$0, at: 0, headerByteCount: length) }
        }
        return bytes
    }

    @Test(
        "NET-13: an IPv4 header is refused for each rule it breaks",
        arguments: [
            (0, 0x45, nil), (0, 0x55, PacketError.version), (0, 0x65, .version),
            (0, 0x44, .headerLength), (0, 0x40, .headerLength), (0, 0x47, .totalLength),
            (3, 19, .totalLength), (3, 20, nil), (3, 24, nil), (3, 25, .totalLength),
            (2, 1, .totalLength),
        ] as [(Int, UInt8, PacketError?)])
    func ipv4Rules(place: Int, value: UInt8, expected: PacketError?) throws {
        let bytes = try ipv4 { $0[place] = value }
        let failure = bytes.failure { frame throws(PacketError) in
            _ = try IPv4Header(frame, at: 0)
        }
        #expect(failure == expected)
    }

    @Test(
        "NET-13: no offset traps",
        arguments: [Int.min, -1, 0, 1, 23, 24, 25, Int.max - 19, Int.max])
    func offsets(offset: Int) throws {
        let bytes = try ipv4 { _ in }
        let failure = bytes.failure { frame throws(PacketError) in
            _ = try IPv4Header(frame, at: offset)
        }
        #expect(failure == (offset == 0 ? nil : offset == 1 ? .version : .truncated))
        let ipv6 = bytes.failure { frame throws(PacketError) in
            _ = try IPv6Header(frame, at: offset)
        }
        let arp = bytes.failure { frame throws(PacketError) in
            _ = try ARPPacket(frame, at: offset)
        }
        #expect(ipv6 == .truncated)
        #expect(arp == .truncated)
    }

    @Test("NET-13: a checksum of all ones stands for one of zero")
    func negativeZero() throws {
        // The other words add up to 0xFFFF when the identification is what the checksum was.
        var bytes = try ipv4 { _ in }
        bytes.replaceSubrange(4..<6, with: bytes[10..<12])
        bytes.replaceSubrange(10..<12, with: [0, 0])
        let zero = bytes.failure { frame throws(PacketError) in _ = try IPv4Header(frame, at: 0) }
        bytes.replaceSubrange(10..<12, with: [0xFF, 0xFF])
        let ones = bytes.failure { frame throws(PacketError) in _ = try IPv4Header(frame, at: 0) }
        #expect(zero == nil)
        #expect(ones == nil)
        bytes[11] = 0xFE
        let wrong = bytes.failure { frame throws(PacketError) in _ = try IPv4Header(frame, at: 0) }
        #expect(wrong == .checksum)
    }

    @Test(
        "NET-13: source routes, router alerts and malformed options of IPv4 are found",
        arguments: [
            ([1, 1, 1, 1], false, false, nil), ([0, 131, 3, 4], false, false, nil),
            ([131, 3, 4, 0], true, false, nil), ([1, 137, 3, 4], true, false, nil),
            ([148, 4, 0, 0], false, true, nil), ([7, 3, 4, 0], false, false, nil),
            ([131, 5, 4, 0], false, false, 20), ([1, 131, 1, 0], false, false, 21),
            ([1, 1, 1, 148], false, false, 23), ([7, 0, 0, 0], false, false, 20),
        ] as [([UInt8], Bool, Bool, UInt8?)])
    func options(_ list: [UInt8], route: Bool, alert: Bool, malformedAt: UInt8?) throws {
        let bytes = try ipv4 {
            $0[0] = 0x46
            $0.replaceSubrange(20..<24, with: list)
        }
        let frame = unsafe bytes.span.bytes
        let options = IPv4Options(frame, try IPv4Header(frame, at: 0))
        #expect(options.hasSourceRoute == route)
        #expect(options.hasRouterAlert == alert)
        #expect(options.malformedAt == malformedAt)
    }

    @Test("NET-13: tags are read up to two, and an unfinished one is refused")
    func tags() throws {
        let frames = try Capture("vlan").frames
        let links = try frames.map { try ParsedFrame($0).link }
        #expect(links.map(\.tagCount) == [1, 1, 2])
        #expect(links.map(\.vlan) == [5, 5, 7])
        #expect(links[1].outerTag >> 13 == 3)
        #expect(links[2].innerTag == 9)
        #expect(links.map(\.etherType) == [EtherType.arp, EtherType.ipv4, EtherType.ipv4])
        #expect(links.map(\.payloadOffset) == [18, 18, 22])
        for (count, expected) in [(14, PacketError.truncated), (18, .truncated), (22, nil)] {
            let failure = Array(frames[2][..<count]).failure { frame throws(PacketError) in
                _ = try EthernetHeader(frame)
            }
            #expect(failure == expected)
        }
        var third = frames[2]
        third.replaceSubrange(20..<22, with: [0x81, 0x00])
        #expect(try ParsedFrame(third).link.etherType == EtherType.vlan)
    }

    @Test("NET-13: a frame gets new ends and keeps the rest", arguments: Capture.names)
    func rewriting(name: String) throws {
        let destination = try #require(MACAddress("02:11:22:33:44:55"))
        let source = try #require(MACAddress("06:aa:bb:cc:dd:ee"))
        for bytes in try Capture(name).frames {
            var changed = bytes
            changed.withSpan {
                EthernetHeader.rewrite(&$0, destination: destination, source: source)
            }
            let link = try ParsedFrame(changed).link
            #expect(link.destination == destination && link.source == source)
            #expect(changed[12...] == bytes[12...])
        }
    }

    @Test("a write past the room is our own mistake")
    func room() async {
        await #expect(processExitsWith: .failure) {
            var room = [UInt8](repeating: 0, count: 41)
            room.withSpan {
                let request = ARPPacket.request(
                    for: .unspecified, from: .unspecified, hardware: .broadcast)
                _ = request.writeFrame(to: .broadcast, into: &$0)
            }
        }
        await #expect(processExitsWith: .failure) {
            var room = [UInt8](repeating: 0, count: 13)
            room.withSpan {
                EthernetHeader.rewrite(&$0, destination: .broadcast, source: .broadcast)
            }
        }
    }
}
