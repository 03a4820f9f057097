import Testing

@testable import RoostRouter

@Suite("A packet in a line")
struct PacketSummaryTests {
    private func line(_ bytes: [UInt8], showsLink: Bool = false) -> String {
        PacketSummary(unsafe bytes.span.bytes, showsLink: showsLink).description
    }

    @Test(
        "a captured packet is described in tcpdump's words",
        arguments: [
            ("arp-ping", 0, "ARP, Request who-has 192.0.2.254 tell 192.0.2.1"),
            ("arp-ping", 1, "ARP, Reply 192.0.2.254 is-at 02:00:00:00:01:fe"),
            (
                "nd-ping6", 0,
                "IP6 2001:db8:1::1 > ff02::1:ff00:fe: ICMP6, neighbor solicitation, who has "
                    + "2001:db8:1::fe, length 32 (hlim 255)"
            ),
            (
                "redirect", 1,
                "IP 192.0.2.254 > 192.0.2.1: ICMP redirect to host 192.0.2.253 about 192.0.2.1 > "
                    + "203.0.113.129, length 92 (ttl 64, tos 192)"
            ),
            (
                "too-big", 1,
                "IP 192.0.2.254 > 192.0.2.1: ICMP unreachable - need to frag (mtu 1300) about "
                    + "192.0.2.1 > 198.51.100.1, length 556 (ttl 64, tos 192)"
            ),
            (
                "too-big", 3,
                "IP6 2001:db8:1::fe > 2001:db8:1::1: ICMP6, packet too big, mtu 1300 about "
                    + "2001:db8:1::1 > 2001:db8:2::1, length 1240 (hlim 64)"
            ),
            (
                "tcp-udp", 2,
                "IP 192.0.2.1.37760 > 198.51.100.1.8080: Flags [S], seq 3233816076, win 64240, "
                    + "length 0 (ttl 64, DF)"
            ),
            (
                "fragments-behind", 1,
                "IP 192.0.2.1 > 198.51.100.1: ICMP (ttl 63, frag 3485:200@1280+)"
            ),
            (
                "options6", 0,
                "IP6 2001:db8:1::1.40571 > 2001:db8:2::1.9: UDP, length 7 (hlim 64, hop-by-hop, "
                    + "router alert)"
            ),
            (
                "vlan", 2,
                "vlan 7, vlan 9, IP 203.0.113.1 > 203.0.113.2: ICMP echo request, id 1, seq 1, "
                    + "length 14 (ttl 64)"
            ),
            (
                "link-up", 0,
                "IP6 fe80::ff:fe00:a > ff02::16: ICMP6, multicast listener report v2, length 48 "
                    + "(hlim 1, hop-by-hop, router alert)"
            ),
        ] as [(String, Int, String)])
    func captured(name: String, index: Int, expected: String) throws {
        let text = line(try Capture(name).frames[index])
        #expect(text == expected)
    }

    @Test("what is wrong with a packet is said")
    func wrong() throws {
        var bytes = try Capture("tcp-udp").frames[0]
        #expect(line(Array(bytes[..<10])) == "truncated, length 10")
        #expect(line(Array(bytes[..<40])) == "IP, bad total length, length 26")
        bytes[60] ^= 1
        #expect(line(bytes).contains("bad checksum"))
        bytes[24] ^= 1
        #expect(line(bytes) == "IP, bad checksum, length 60")
        bytes[12] = 0x12
        #expect(
            line(bytes, showsLink: true)
                == "02:00:00:00:00:0a > 02:00:00:00:01:fe, ethertype 0x1200, length 60")
    }
}
