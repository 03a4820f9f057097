internal import RoostMemory

extension PacketSummary {
    /// What an IP packet carries, in words.
    static func transport(
        _ frame: RawSpan, _ protocolNumber: UInt8, from start: Int, to end: Int,
        between source: String, and destination: String
    ) -> String {
        let ends = "\(source) > \(destination): "
        let length = end - start
        switch protocolNumber {
        case IPProtocol.udp:
            return reading(ends + "UDP", length) { () throws(PacketError) in
                let header = try UDPHeader(frame, from: start, to: end)
                return "\(source).\(header.ports.source) > \(destination)."
                    + "\(header.ports.destination): UDP, length "
                    + "\(header.length - UDPHeader.byteCount)"
            }
        case IPProtocol.tcp:
            return reading(ends + "TCP", length) { () throws(PacketError) in
                let header = try TCPHeader(frame, from: start, to: end)
                return "\(source).\(header.ports.source) > \(destination)."
                    + "\(header.ports.destination): " + segment(header, length)
            }
        case IPProtocol.icmp, IPProtocol.icmpv6:
            guard let message = icmp(frame, protocolNumber, from: start, to: end) else {
                return ends + "\(Self.name(protocolNumber)), truncated, length \(length)"
            }
            let name = protocolNumber == IPProtocol.icmp ? "ICMP" : "ICMP6,"
            return ends + "\(name) \(message.text), length \(length)"
        default:
            return ends + "\(Self.name(protocolNumber)), length \(length)"
        }
    }

    /// An ICMP message in words; nil when it is shorter than its header.
    static func icmp(
        _ frame: RawSpan, _ protocolNumber: UInt8, from start: Int, to end: Int
    ) -> (type: UInt8, code: UInt8, text: String)? {
        guard end - start >= ICMPMessage.headerByteCount else { return nil }
        let words = frame.loadWords(at: start, as: BigEndianWords<2>.self)
        let type = UInt8(truncatingIfNeeded: words[0] >> 24)
        let code = UInt8(truncatingIfNeeded: words[0] >> 16)
        let text =
            protocolNumber == IPProtocol.icmp
            ? message(type, code, words[1]) : message6(type, code, words[1])
        return (type, code, text + subject(frame, protocolNumber, type, from: start, to: end))
    }

    /// A protocol's name, or its number.
    static func name(_ protocolNumber: UInt8) -> String {
        switch protocolNumber {
        case IPProtocol.icmp: "ICMP"
        case IPProtocol.igmp: "IGMP"
        case IPProtocol.tcp: "TCP"
        case IPProtocol.udp: "UDP"
        case IPProtocol.icmpv6: "ICMP6"
        case IPProtocol.sctp: "SCTP"
        case IPProtocol.noNextHeader: "no next header"
        default: "protocol \(protocolNumber)"
        }
    }

    private static func segment(_ header: TCPHeader, _ length: Int) -> String {
        let letters: [(UInt8, String)] = [
            (0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x20, "U"), (0x40, "E"),
            (0x80, "W"), (0x10, "."),
        ]
        let flags = letters.filter { header.flags & $0.0 != 0 }.map(\.1).joined()
        var text = "Flags [\(flags.isEmpty ? "none" : flags)], seq \(header.sequence)"
        if header.flags & 0x10 != 0 { text += ", ack \(header.acknowledgement)" }
        return text + ", win \(header.window), length \(length - header.headerByteCount)"
    }

    private static func message(_ type: UInt8, _ code: UInt8, _ rest: UInt32) -> String {
        switch (type, code) {
        case (ICMPMessage.Kind.echoRequest, 0): "echo request, \(echo(rest))"
        case (ICMPMessage.Kind.echoReply, 0): "echo reply, \(echo(rest))"
        case (ICMPMessage.Kind.destinationUnreachable, 0): "net unreachable"
        case (ICMPMessage.Kind.destinationUnreachable, 1): "host unreachable"
        case (ICMPMessage.Kind.destinationUnreachable, 2): "protocol unreachable"
        case (ICMPMessage.Kind.destinationUnreachable, 3): "port unreachable"
        case (ICMPMessage.Kind.destinationUnreachable, 4):
            "unreachable - need to frag (mtu \(rest & 0xFFFF))"
        case (ICMPMessage.Kind.destinationUnreachable, 13):
            "unreachable - admin prohibited"
        case (ICMPMessage.Kind.redirect, 1):
            "redirect to host \(IPv4Address(rawValue: rest))"
        case (ICMPMessage.Kind.timeExceeded, 0): "time exceeded in-transit"
        case (ICMPMessage.Kind.parameterProblem, 0): "parameter problem at \(rest >> 24)"
        default: "type \(type), code \(code)"
        }
    }

    private static func message6(_ type: UInt8, _ code: UInt8, _ rest: UInt32) -> String {
        switch (type, code) {
        case (ICMPMessage.Kind6.echoRequest, 0): "echo request, \(echo(rest))"
        case (ICMPMessage.Kind6.echoReply, 0): "echo reply, \(echo(rest))"
        case (ICMPMessage.Kind6.destinationUnreachable, 0): "unreachable route"
        case (ICMPMessage.Kind6.destinationUnreachable, 1): "unreachable prohibited"
        case (ICMPMessage.Kind6.destinationUnreachable, 3): "unreachable address"
        case (ICMPMessage.Kind6.destinationUnreachable, 4): "unreachable port"
        case (ICMPMessage.Kind6.packetTooBig, _): "packet too big, mtu \(rest)"
        case (ICMPMessage.Kind6.timeExceeded, 0): "time exceeded in-transit"
        case (ICMPMessage.Kind6.parameterProblem, _):
            "parameter problem, code \(code), at \(rest)"
        case (ICMPMessage.Kind6.routerSolicitation, 0): "router solicitation"
        case (ICMPMessage.Kind6.routerAdvertisement, 0): "router advertisement"
        case (ICMPMessage.Kind6.neighbourSolicitation, 0): "neighbor solicitation, who has"
        case (ICMPMessage.Kind6.neighbourAdvertisement, 0): "neighbor advertisement, tgt is"
        case (ICMPMessage.Kind6.redirect, 0): "redirect to"
        case (143, 0): "multicast listener report v2"  // RFC 3810
        default: "type \(type), code \(code)"
        }
    }

    private static func echo(_ rest: UInt32) -> String {
        "id \(rest >> 16), seq \(rest & 0xFFFF)"
    }

    /// What a message is about, with a space before it: the target of neighbour discovery, or the
    /// packet that an error quotes.
    private static func subject(
        _ frame: RawSpan, _ protocolNumber: UInt8, _ type: UInt8, from start: Int, to end: Int
    ) -> String {
        let quote = start + ICMPMessage.headerByteCount
        if protocolNumber == IPProtocol.icmp {
            guard ICMPMessage.isError(type),
                let header = try? IPv4Header(quotedIn: frame.extracting(0..<end), at: quote)
            else { return "" }
            return " about \(header.source) > \(header.destination)"
        }
        if type < ICMPMessage.Kind6.echoRequest,
            let header = try? IPv6Header(quotedIn: frame.extracting(0..<end), at: quote)
        {
            return " about \(header.source) > \(header.destination)"
        }
        guard end - start >= 24, let kind = NeighbourMessage.Kind(rawValue: type),
            kind.byteCount >= 24
        else { return "" }
        return " \(frame.loadIPv6Address(at: start + 8))"
    }
}
