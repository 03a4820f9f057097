internal import RoostMemory

/// A frame in one line, in the words of tcpdump.
///
///     let line = PacketSummary(frame).description
///     // IP 192.0.2.1 > 198.51.100.1: ICMP echo request, id 7, seq 1, length 64 (ttl 64)
///
/// Any bytes give a line; what is wrong with them is said in it. It allocates: for traces, not for
/// the packet path.
public struct PacketSummary: CustomStringConvertible, Sendable {
    /// The line, without its end.
    public let description: String

    /// Describes a frame.
    ///
    /// - Parameters:
    ///   - frame: The bytes from the Ethernet header on.
    ///   - showsLink: Whether the link-layer addresses are in the line.
    public init(_ frame: RawSpan, showsLink: Bool = false) {
        do throws(PacketError) {
            let header = try EthernetHeader(frame)
            var line = showsLink ? "\(header.source) > \(header.destination), " : ""
            for tag in [header.outerTag, header.innerTag].prefix(header.tagCount) {
                line += "vlan \(tag & 0xFFF), "
                if tag >> 13 != 0 { line += "p \(tag >> 13), " }
            }
            description = line + Self.payload(frame, header)
        } catch {
            description = "\(error.name), length \(frame.byteCount)"
        }
    }

    private static func payload(_ frame: RawSpan, _ header: EthernetHeader) -> String {
        let length = frame.byteCount - header.payloadOffset
        switch header.etherType {
        case EtherType.arp:
            return reading("ARP", length) { () throws(PacketError) in
                try arp(ARPPacket(frame, at: header.payloadOffset))
            }
        case EtherType.ipv4:
            return reading("IP", length) { () throws(PacketError) in
                packet(frame, try IPv4Header(frame, at: header.payloadOffset))
            }
        case EtherType.ipv6:
            return reading("IP6", length) { () throws(PacketError) in
                packet(frame, try IPv6Header(frame, at: header.payloadOffset))
            }
        default:
            return "ethertype \(hexadecimal(header.etherType)), length \(length)"
        }
    }

    /// The text that a function gives, or what is wrong.
    static func reading(
        _ name: String, _ length: Int, _ text: () throws(PacketError) -> String
    ) -> String {
        do throws(PacketError) {
            return try text()
        } catch {
            return "\(name), \(error.name), length \(length)"
        }
    }

    static func hexadecimal(_ number: UInt16) -> String {
        let digits = String(number, radix: 16)
        return "0x" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
    }

    private static func arp(_ packet: ARPPacket) -> String {
        switch packet.operation {
        case .request:
            "ARP, Request who-has \(packet.targetAddress) tell \(packet.senderAddress)"
        case .reply:
            "ARP, Reply \(packet.senderAddress) is-at \(packet.senderHardware)"
        }
    }

    private static func packet(_ frame: RawSpan, _ header: IPv4Header) -> String {
        var notes = ["ttl \(header.timeToLive)"]
        if header.typeOfService != 0 { notes.append("tos \(header.typeOfService)") }
        if header.dontFragment { notes.append("DF") }
        if header.hasOptions {
            let options = IPv4Options(frame, header)
            notes.append(options.malformedAt == nil ? "options" : "malformed options")
            if options.hasSourceRoute { notes.append("source route") }
            if options.hasRouterAlert { notes.append("router alert") }
        }
        if header.isFragment {
            notes.append(
                "frag \(header.identification):\(header.payloadByteCount)@"
                    + "\(header.fragmentByteOffset)\(header.moreFragments ? "+" : "")")
        }
        let suffix = " (\(notes.joined(separator: ", ")))"
        guard header.fragmentByteOffset == 0 else {
            return "IP \(header.source) > \(header.destination): "
                + name(header.protocolNumber) + suffix
        }
        let isRight =
            header.isFragment || InternetChecksum.isTransportRight(frame, header)
        return "IP "
            + transport(
                frame, header.protocolNumber, from: header.payloadOffset, to: header.end,
                between: "\(header.source)", and: "\(header.destination)")
            + (isRight ? "" : ", bad checksum") + suffix
    }

    private static func packet(_ frame: RawSpan, _ header: IPv6Header) -> String {
        let ends = "\(header.source) > \(header.destination)"
        do throws(PacketError) {
            let upper = try IPv6UpperLayer(frame, header)
            var notes = ["hlim \(header.hopLimit)"]
            if upper.hasHopByHop { notes.append("hop-by-hop") }
            if upper.hasRouterAlert { notes.append("router alert") }
            if upper.hasSourceRoute { notes.append("source route") }
            if upper.isFragment {
                notes.append(
                    "frag \(upper.identification):\(upper.byteCount)@"
                        + "\(upper.fragmentByteOffset)\(upper.moreFragments ? "+" : "")")
            }
            let suffix = " (\(notes.joined(separator: ", ")))"
            guard upper.fragmentByteOffset == 0 else {
                return "IP6 \(ends): " + name(upper.protocolNumber) + suffix
            }
            let isRight =
                upper.isFragment || InternetChecksum.isTransportRight(frame, header, upper)
            return "IP6 "
                + transport(
                    frame, upper.protocolNumber, from: upper.offset, to: upper.end,
                    between: "\(header.source)", and: "\(header.destination)")
                + (isRight ? "" : ", bad checksum") + suffix
        } catch {
            return "IP6 \(ends): \(error.name), length \(header.payloadByteCount)"
        }
    }
}
