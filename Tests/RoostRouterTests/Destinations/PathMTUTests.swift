import Testing

@testable import RoostRouter

@Suite("Path MTU rules")
struct PathMTUTests {
    private static func learned(
        _ mtu: UInt32, packet: UInt16 = 1500, header: UInt16 = 20, current: UInt16 = 1500,
        isLocked: Bool = false, _ family: AddressFamily
    ) -> PathMTU.Value? {
        PathMTU.learned(
            from: PathMTU.Report(
                mtu: mtu, packetByteCount: packet, headerByteCount: header),
            current: PathMTU.Value(byteCount: current, isLocked: isLocked), family: family)
    }

    @Test(
        "NET-13: an IPv4 report lowers to what it says, and to 552 locked below that",
        arguments: [
            (UInt32(1499), UInt16(1499), false), (1400, 1400, false), (552, 552, false),
            (551, 552, true), (68, 552, true),
        ])
    func ipv4(mtu: UInt32, byteCount: UInt16, isLocked: Bool) {
        #expect(
            Self.learned(mtu, .ipv4) == PathMTU.Value(byteCount: byteCount, isLocked: isLocked))
    }

    @Test(
        "NET-13: a report that says nothing is taken for the plateau below the packet",
        arguments: [
            // mtu, packet, current, expected
            (UInt32(0), UInt16(1500), UInt16(9000), UInt16(1492)),
            (67, 9000, 9000, 8166), (9001, 9000, 9000, 8166), (.max, 9000, 9000, 8166),
            (1500, 1500, 1500, 1492),
            // The header counted twice: 1492 + 20 is a packet of 1492, whose plateau is 576.
            (0, 1512, 1500, 576),
            (0, 65535, 65535, 32000), (0, 577, 9000, 576), (67, 1492, 9000, 576),
        ])
    func plateaus(mtu: UInt32, packet: UInt16, current: UInt16, expected: UInt16) {
        #expect(
            Self.learned(mtu, packet: packet, current: current, .ipv4)?.byteCount == expected)
    }

    @Test("NET-13: a packet below the least plateau locks at the floor")
    func tiny() {
        #expect(
            Self.learned(0, packet: 100, .ipv4)
                == PathMTU.Value(byteCount: 552, isLocked: true))
        // A link smaller than the floor is not made larger.
        #expect(
            Self.learned(100, packet: 300, current: 300, .ipv4)
                == PathMTU.Value(byteCount: 300, isLocked: true))
    }

    @Test(
        "NET-13: no report raises a path's MTU or changes a locked one",
        arguments: [AddressFamily.ipv4, .ipv6])
    func never(family: AddressFamily) {
        #expect(Self.learned(1400, current: 1400, family) == nil)
        #expect(Self.learned(1401, current: 1400, family) == nil)
        #expect(Self.learned(1300, current: 1400, isLocked: true, family) == nil)
    }

    @Test(
        "NET-13: an IPv6 report below 1280 is ignored",
        arguments: [
            (UInt32(0), UInt16?.none), (68, nil), (1279, nil), (1280, 1280), (1499, 1499),
            (1500, nil), (65536 + 1280, nil), (.max, nil),
        ])
    func ipv6(mtu: UInt32, expected: UInt16?) {
        #expect(Self.learned(mtu, .ipv6)?.byteCount == expected)
        #expect(Self.learned(mtu, .ipv6)?.isLocked != true)
    }

    @Test(
        "NET-13: whatever is reported, the value stays within its bounds",
        arguments: [
            AddressFamily.ipv4, .ipv6,
        ])
    func bounds(family: AddressFamily) {
        var broken = 0
        for mtu in UInt32(0)...2000 {
            for packet in stride(from: UInt16(0), through: 2000, by: 97) {
                guard let value = Self.learned(mtu, packet: packet, family) else { continue }
                let least = family == .ipv4 ? PathMTU.ipv4Floor : PathMTU.ipv6Least
                if value.byteCount < least || value.byteCount >= 1500 { broken += 1 }
            }
        }
        #expect(broken == 0)
    }
}
