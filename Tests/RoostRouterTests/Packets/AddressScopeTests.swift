import Testing

@testable import RoostRouter

@Suite("Addresses that may be forwarded")
struct AddressScopeTests {
    @Test(
        "NET-13: what may not be forwarded is known by its address",
        arguments: [
            // address, as source, as destination
            ("0.0.0.0", false, false), ("0.255.255.255", false, false), ("1.0.0.0", true, true),
            ("126.255.255.255", true, true), ("127.0.0.1", false, false),
            ("128.0.0.0", true, true), ("169.253.255.255", true, true),
            ("169.254.0.1", false, false), ("169.255.0.0", true, true),
            ("192.168.0.1", true, true), ("223.255.255.255", true, true),
            ("224.0.0.1", false, false), ("224.0.0.255", false, false),
            ("224.0.1.0", false, true), ("239.255.255.255", false, true),
            ("240.0.0.0", false, false), ("255.255.255.255", false, false),
        ])
    func ipv4(text: String, source: Bool, destination: Bool) throws {
        let address = try #require(IPv4Address(text))
        #expect(address.isForwardableSource == source)
        #expect(address.isForwardableDestination == destination)
    }

    @Test(
        "NET-13: what may not be forwarded is known by its address over IPv6",
        arguments: [
            ("::", false, false), ("::1", false, false), ("::2", true, true),
            ("1::", true, true), ("2001:db8::1", true, true), ("fe7f:ffff::1", true, true),
            ("fe80::1", false, false), ("febf:ffff::1", false, false),
            ("fec0::1", true, true), ("feff::1", true, true), ("ff00::1", false, false),
            ("ff01::1", false, false), ("ff02::1", false, false), ("ff03::1", false, true),
            ("ff05::2", false, true), ("ff1e::1", false, true),
        ])
    func ipv6(text: String, source: Bool, destination: Bool) throws {
        let address = try #require(IPv6Address(text))
        #expect(address.isForwardableSource == source)
        #expect(address.isForwardableDestination == destination)
    }

    @Test("NET-13: groups have the link's and the owner's addresses that RFC 2464 and 4291 give")
    func groups() throws {
        let address = try #require(IPv6Address("4037::01:800:200e:8c6c"))
        let group = try #require(IPv6Address("ff02::1:ff0e:8c6c"))
        #expect(address.solicitedNodeGroup == group)
        #expect(MACAddress(group: group) == MACAddress("33:33:ff:0e:8c:6c"))
        let multicast = try #require(IPv4Address("239.129.2.3"))
        #expect(MACAddress(group: multicast) == MACAddress("01:00:5e:01:02:03"))
        let hardware = try #require(MACAddress("34:56:78:9a:bc:de"))
        #expect(
            IPv6Address(prefix: 0xFE80 << 48, interface: hardware)
                == IPv6Address("fe80::3656:78ff:fe9a:bcde"))
    }
}
