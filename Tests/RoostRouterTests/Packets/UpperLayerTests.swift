import RoostMemory
import Testing

@testable import RoostRouter

@Suite("IPv6 extension headers and flows")
struct UpperLayerTests {
    /// A packet with a payload that begins with extension headers.
    private func packet(_ nextHeader: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 40) + payload
        bytes.withSpan {
            IPv6Header.write(
                source: .loopback, destination: .allNodes, nextHeader: nextHeader,
                payloadByteCount: payload.count, hopLimit: 1, into: &$0, at: 0)
        }
        return bytes
    }

    private func failure(_ bytes: [UInt8]) -> PacketError? {
        bytes.failure { frame throws(PacketError) in
            _ = try IPv6UpperLayer(frame, try IPv6Header(frame, at: 0))
        }
    }

    @Test(
        "NET-13: extension headers are walked to the upper layer or refused",
        arguments: [
            (17, [0, 0, 0, 0], 17, 40, 6, nil),
            (59, [], 59, 40, 6, nil),
            (0, [17, 0, 5, 2, 0, 0, 1, 0], 17, 48, 40, nil),
            (60, [17, 0, 1, 4, 0, 0, 0, 0], 17, 48, 40, nil),
            (43, [6, 1] + [UInt8](repeating: 0, count: 14), 6, 56, 40, nil),
            (51, [6, 1] + [UInt8](repeating: 0, count: 10), 6, 52, 40, nil),
            (
                0, [60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 1, 4, 0, 0, 0, 0, 58, 0, 0, 1, 0, 0, 0, 7], 58,
                64, 56, nil
            ),
            // A later fragment: what follows is no header.
            (44, [0, 0, 0, 8, 0, 0, 0, 7, 0xFF], 0, 48, 40, nil),
            (0, [17, 0, 1, 4, 0, 0, 0], 0, 0, 0, PacketError.truncated),
            (0, [17, 1, 1, 4, 0, 0, 0, 0], 0, 0, 0, .truncated),
            (0, [17, 0, 1, 5, 0, 0, 0, 0], 0, 0, 0, .optionLength),
            (0, [17, 0, 0, 0, 0, 0, 0, 1], 0, 0, 0, .optionLength),
            (60, [0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0], 0, 0, 0, .extensionOrder),
        ] as [(UInt8, [UInt8], UInt8, Int, Int, PacketError?)])
    func walk(
        nextHeader: UInt8, payload: [UInt8], protocolNumber: UInt8, offset: Int, pointer: Int,
        expected: PacketError?
    ) throws {
        let bytes = packet(nextHeader, payload)
        #expect(failure(bytes) == expected)
        guard expected == nil else { return }
        let frame = unsafe bytes.span.bytes
        let upper = try IPv6UpperLayer(frame, try IPv6Header(frame, at: 0))
        #expect(upper.protocolNumber == protocolNumber)
        #expect(upper.offset == offset)
        #expect(upper.pointer == pointer)
    }

    @Test("NET-13: extension headers are walked up to a limit", arguments: 7...9)
    func limit(count: Int) {
        var payload: [UInt8] = []
        for index in 0..<count {
            payload += [index == count - 1 ? 17 : 60, 0, 1, 4, 0, 0, 0, 0]
        }
        let expected: PacketError? = count > IPv6UpperLayer.headerLimit ? .extensionLimit : nil
        #expect(failure(packet(60, payload)) == expected)
    }

    @Test("NET-13: hop-by-hop options are walked up to a limit", arguments: 7...9)
    func optionLimit(count: Int) {
        var options: [UInt8] = [17, 3]
        for _ in 0..<count { options += [0x3E, 1, 0] }
        options += [UInt8](repeating: 0, count: 32 - options.count)
        let expected: PacketError? = count > IPv6UpperLayer.optionLimit ? .optionLimit : nil
        #expect(failure(packet(0, options)) == expected)
    }

    @Test("NET-13: a captured router alert, options and fragments are found")
    func captured() throws {
        let packets = try Capture("options6").frames.map { try ParsedFrame($0) }
        let first = try #require(packets[0].upper)
        #expect(first.hasHopByHop && first.hasRouterAlert && !first.isFragment)
        #expect(first.protocolNumber == IPProtocol.udp)
        let fragments = packets.compactMap(\.upper).filter(\.isFragment)
        #expect(fragments.count == 3)
        #expect(Set(fragments.map(\.identification)).count == 1)
        #expect(fragments.map(\.moreFragments) == [true, true, false])
        #expect(fragments.map(\.fragmentByteOffset).first == 0)
        let reports = try Capture("link-up").frames.compactMap { try ParsedFrame($0).upper }
        #expect(reports.contains { $0.hasRouterAlert && $0.protocolNumber == IPProtocol.icmpv6 })
    }

    @Test("NET-13: all fragments of a packet are one flow, and ports make different ones")
    func flows() throws {
        func flows(_ name: String) throws -> [FlowKey] {
            try Capture(name).frames.compactMap { bytes in
                let parsed = try ParsedFrame(bytes)
                let frame = unsafe bytes.span.bytes
                if let header = parsed.ipv4 { return FlowKey(frame, header) }
                return parsed.ipv6.map { FlowKey(frame, $0) }
            }
        }
        let streams = try flows("tcp-udp").filter { $0.ports != 0 }
        #expect(
            streams.allSatisfy {
                $0.ports & 0xFFFF == 8080 || $0.ports >> 16 == 8080
                    || $0.ports & 0xFFFF == 8081 || $0.ports >> 16 == 8081
            })
        #expect(Set(streams.map(\.family)) == [.ipv4, .ipv6])
        let udp = try flows("fragments-behind").filter {
            $0.protocolNumber == IPProtocol.udp && $0.family == .ipv4
        }
        #expect(udp.count == 5)
        #expect(Set(udp).count == 1)
        let extended = try flows("options6")[0]
        #expect(extended.ports & 0xFFFF == 9)
    }
}
