import RoostMemory
import Testing

@testable import RoostRouter

@Suite("What a trace reads of a frame")
struct PacketHeadersTests {
    private func headers(_ bytes: [UInt8]) -> PacketHeaders {
        PacketHeaders(unsafe bytes.span.bytes)
    }

    private func captured(_ name: String, _ number: Int) throws -> PacketHeaders {
        headers(try Capture(name).frames[number])
    }

    @Test(
        "a captured frame has its protocol by name, its ends and their ports",
        arguments: [
            ("arp-ping", 0, "arp", "192.0.2.1", "192.0.2.254"),
            ("nd-ping6", 0, "icmp6", "2001:db8:1::1", "ff02::1:ff00:fe"),
            ("redirect", 1, "icmp", "192.0.2.254", "192.0.2.1"),
            ("tcp-udp", 2, "tcp", "192.0.2.1", "198.51.100.1"),
            ("options6", 0, "udp", "2001:db8:1::1", "2001:db8:2::1"),
            ("vlan", 2, "icmp", "203.0.113.1", "203.0.113.2"),
            ("fragments-behind", 1, "icmp", "192.0.2.1", "198.51.100.1"),
        ] as [(String, Int, String, String, String)])
    func ends(
        _ name: String, _ number: Int, _ kind: String, _ source: String, _ destination: String
    ) throws {
        let read = try captured(name, number)
        #expect(read.protocolName == kind)
        #expect(read.source?.description == source)
        #expect(read.destination?.description == destination)
        let hasPorts = kind == "tcp" || kind == "udp"
        #expect((read.ports != nil) == hasPorts)
        let isICMP = kind.hasPrefix("icmp") && read.fragment == nil
        #expect((read.icmp != nil) == isICMP)
    }

    @Test("ports, messages, fragments and tags are told")
    func details() throws {
        #expect(
            try captured("tcp-udp", 2).ports
                == PacketHeaders.Ports(source: 37760, destination: 8080))
        let echo = try captured("vlan", 2)
        #expect(echo.vlan == 7)
        #expect(
            echo.icmp == PacketHeaders.ICMP(type: 8, code: 0, text: "echo request, id 1, seq 1"))
        #expect(
            try captured("fragments-behind", 1).fragment
                == PacketHeaders.Fragment(identification: 3485, byteOffset: 1280, isLast: false))
        #expect(try captured("arp-ping", 0).arp == .request)
        #expect(try captured("arp-ping", 1).arp == .reply)
        let solicitation = try captured("nd-ping6", 0).icmp
        #expect(solicitation?.text == "neighbor solicitation, who has 2001:db8:1::fe")
    }

    @Test("a frame that ends anywhere gives what was there before")
    func cut() throws {
        let whole = try Capture("tcp-udp").frames[2]
        for count in 0..<whole.count {
            let read = headers(Array(whole[..<count]))
            if count < EthernetHeader.byteCount { #expect(read == PacketHeaders()) }
        }
        #expect(headers([]).protocolName == nil)
    }

    @Test(
        "a protocol has its name of /etc/protocols",
        arguments: [
            (1, "icmp"), (2, "igmp"), (6, "tcp"), (17, "udp"), (47, "gre"), (50, "esp"),
            (51, "ah"), (58, "icmp6"), (89, "ospf"), (103, "pim"), (112, "vrrp"), (132, "sctp"),
            (253, "protocol 253"),
        ] as [(UInt8, String)])
    func names(_ number: UInt8, _ name: String) {
        #expect(PacketHeaders.name(ofProtocol: number) == name)
    }
}
