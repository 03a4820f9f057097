import RoostMemory
import Testing

@testable import RoostRouter

@Suite("When errors are not sent")
struct ICMPErrorPolicyTests {
    /// A packet of 8 bytes of payload, the first of which is given, from an IP header on.
    private func packet(
        from source: String, to destination: String, protocolNumber: UInt8 = IPProtocol.udp,
        fragment: UInt16 = 0, type: UInt8 = 0
    ) throws -> [UInt8] {
        let source = try #require(IPv4Address(source))
        let destination = try #require(IPv4Address(destination))
        var bytes = [UInt8](repeating: 0, count: 28)
        bytes[20] = type
        bytes.withSpan {
            IPv4Header.write(
                source: source, destination: destination, protocolNumber: protocolNumber,
                totalByteCount: 28, fragment: fragment, into: &$0, at: 0)
        }
        return bytes
    }

    private func permits(
        _ bytes: [UInt8], isLinkGroup: Bool = false, isBroadcast: Bool = false
    ) throws -> Bool {
        let frame = unsafe bytes.span.bytes
        return ICMPErrorPolicy.permits(
            about: frame, try IPv4Header(frame, at: 0), isLinkGroup: isLinkGroup,
            isBroadcast: isBroadcast)
    }

    @Test(
        "NET-13: no error goes to or about what is not one host",
        arguments: [
            ("192.0.2.1", "198.51.100.1", true), ("192.0.2.1", "127.0.0.1", true),
            ("0.0.0.0", "198.51.100.1", false), ("127.0.0.1", "198.51.100.1", false),
            ("224.0.0.1", "198.51.100.1", false), ("240.0.0.1", "198.51.100.1", false),
            ("255.255.255.255", "198.51.100.1", false),
            ("192.0.2.1", "224.0.0.1", false), ("192.0.2.1", "239.1.2.3", false),
            ("192.0.2.1", "255.255.255.255", false), ("169.254.1.1", "198.51.100.1", true),
        ])
    func addresses(source: String, destination: String, expected: Bool) throws {
        #expect(try permits(packet(from: source, to: destination)) == expected)
    }

    @Test("NET-13: no error is about a frame for a group of the link or a subnet's broadcast")
    func groups() throws {
        let bytes = try packet(from: "192.0.2.1", to: "198.51.100.1")
        #expect(try permits(bytes, isLinkGroup: true) == false)
        #expect(try permits(bytes, isBroadcast: true) == false)
    }

    @Test(
        "NET-13: only the first fragment may have an error",
        arguments: [(UInt16(0x2000), true), (0x2001, false), (0x0001, false), (0x4000, true)])
    func fragments(word: UInt16, expected: Bool) throws {
        let bytes = try packet(from: "192.0.2.1", to: "198.51.100.1", fragment: word)
        #expect(try permits(bytes) == expected)
    }

    @Test("NET-13: no error is about an error of ICMP", arguments: 0...UInt8(20))
    func errors(type: UInt8) throws {
        let bytes = try packet(
            from: "192.0.2.1", to: "198.51.100.1", protocolNumber: IPProtocol.icmp, type: type)
        #expect(try permits(bytes) == ![3, 4, 5, 11, 12].contains(type))
    }

    /// An IPv6 packet of 16 bytes of payload.
    private func packet6(
        from source: String = "2001:db8::1", to destination: String = "2001:db8::2",
        nextHeader: UInt8 = IPProtocol.udp, payload: [UInt8] = []
    ) throws -> [UInt8] {
        let source = try #require(IPv6Address(source))
        let destination = try #require(IPv6Address(destination))
        var bytes = [UInt8](repeating: 0, count: 56)
        bytes.replaceSubrange(40..<40 + payload.count, with: payload)
        bytes.withSpan {
            IPv6Header.write(
                source: source, destination: destination, nextHeader: nextHeader,
                payloadByteCount: 16, hopLimit: 64, into: &$0, at: 0)
        }
        return bytes
    }

    private func permits6(
        _ bytes: [UInt8], _ error: ICMPv6Error = .noRoute, isLinkGroup: Bool = false
    ) throws -> Bool {
        let frame = unsafe bytes.span.bytes
        return ICMPErrorPolicy.permits(
            error, about: frame, try IPv6Header(frame, at: 0), isLinkGroup: isLinkGroup)
    }

    @Test(
        "NET-13: two errors of ICMPv6 may be about groups, the others not",
        arguments: [
            (ICMPv6Error.noRoute, false), (.hopLimitExceeded, false), (.addressUnreachable, false),
            (.packetTooBig(mtu: 1280), true),
            (.parameterProblem(.erroneousField, pointer: 4), false),
            (.parameterProblem(.unrecognizedNextHeader, pointer: 6), false),
            (.parameterProblem(.unrecognizedOption, pointer: 42), true),
        ])
    func groups6(error: ICMPv6Error, expected: Bool) throws {
        #expect(try permits6(packet6(), error))
        #expect(try permits6(packet6(to: "ff0e::1"), error) == expected)
        #expect(try permits6(packet6(), error, isLinkGroup: true) == expected)
        for source in ["::", "::1", "ff02::1"] {
            #expect(try permits6(packet6(from: source), error) == false)
        }
    }

    @Test(
        "NET-13: no error is about an error of ICMPv6 or a redirect, behind extension headers too",
        arguments: [
            (IPProtocol.icmpv6, [1], false), (IPProtocol.icmpv6, [127], false),
            (IPProtocol.icmpv6, [128], true), (IPProtocol.icmpv6, [137], false),
            (IPProtocol.icmpv6, [135], true),
            (IPProtocol.destinationOptions, [58, 0, 1, 4, 0, 0, 0, 0, 1], false),
            (IPProtocol.destinationOptions, [58, 0, 1, 4, 0, 0, 0, 0, 128], true),
            (IPProtocol.destinationOptions, [58, 200], false),  // Cannot be read.
            (IPProtocol.fragment, [58, 0, 0, 1, 0, 0, 0, 0, 128], true),
            (IPProtocol.fragment, [58, 0, 0, 8, 0, 0, 0, 0, 128], false),
            (IPProtocol.fragment, [17, 0, 0, 8, 0, 0, 0, 0], true),
        ] as [(UInt8, [UInt8], Bool)])
    func errors6(nextHeader: UInt8, payload: [UInt8], expected: Bool) throws {
        #expect(try permits6(packet6(nextHeader: nextHeader, payload: payload)) == expected)
    }
}
