internal import RoostRouter

/// What became of a packet, as a router's trace tells it.
public struct NetworkTracePacket: Codable, Equatable, Sendable {
    /// The beginning of an ICMP message.
    public struct ICMP: Codable, Equatable, Sendable {
        /// Its type.
        public var type: UInt8
        /// Its code.
        public var code: UInt8
        /// What it says: `echo request, id 7, seq 1`.
        public var text: String
    }

    /// Which part of a packet it is.
    public struct Fragment: Codable, Equatable, Sendable {
        /// What the fragments of a packet have in common.
        public var identification: UInt32
        /// Where the part begins in what the packet carries.
        public var byteOffset: Int
        /// Whether it is the last part.
        public var isLast: Bool
    }

    /// The namespace's name.
    public var namespace: String
    /// The port that it came in by.
    public var port: String
    /// What it is, as operators name it: `tcp`, `icmp6`, `arp`; missing when it cannot be read.
    public var protocolName: String?
    /// Its protocol of IP (IANA's number).
    public var protocolNumber: UInt8?
    /// Where it came from; of ARP who sends.
    public var source: String?
    /// The sender's port.
    public var sourcePort: UInt16?
    /// Where it was to go; of ARP who is meant.
    public var destination: String?
    /// The receiver's port.
    public var destinationPort: UInt16?
    /// The message, of ICMP and ICMPv6.
    public var icmp: ICMP?
    /// `request` or `reply`, of ARP.
    public var arp: String?
    /// Which part of a packet it is, of a fragment.
    public var fragment: Fragment?
    /// The VLAN, of a tagged frame.
    public var vlan: UInt16?
    /// The length of its frame.
    public var byteCount: Int
    /// What became of it.
    public var decision: String
    /// The port that it left by.
    public var outPort: String?

    private enum CodingKeys: String, CodingKey {
        case namespace, port, protocolNumber, source, sourcePort, destination, destinationPort, icmp
        case arp, fragment, vlan, byteCount, decision, outPort
        case protocolName = "protocol"
    }

    init(_ packet: PacketTrace) {
        let headers = packet.headers
        namespace = packet.namespace
        port = packet.port
        protocolName = headers.protocolName
        protocolNumber = headers.protocolNumber
        source = headers.source?.description
        sourcePort = headers.ports?.source
        destination = headers.destination?.description
        destinationPort = headers.ports?.destination
        icmp = headers.icmp.map { ICMP(type: $0.type, code: $0.code, text: $0.text) }
        arp = headers.arp?.rawValue
        fragment = headers.fragment.map { part in
            Fragment(
                identification: part.identification, byteOffset: part.byteOffset,
                isLast: part.isLast)
        }
        vlan = headers.vlan
        byteCount = packet.byteCount
        decision = packet.decision
        outPort = packet.outPort
    }

    /// The packet as a line for a person, without its time.
    public var line: String {
        let ends = source.flatMap { source in
            destination.map { "\(Self.end(source, sourcePort)) > \(Self.end($0, destinationPort))" }
        }
        let part = fragment.map { part in
            "fragment \(part.identification) at \(part.byteOffset)" + (part.isLast ? ", last" : "")
        }
        let what = [
            vlan.map { "vlan \($0)" }, ends, protocolName ?? "unreadable", arp, icmp?.text, part,
        ].compactMap { $0 }.joined(separator: " ")
        return [
            namespace, port, what + ",", "\(byteCount) bytes:", decision,
            outPort.map { "to \($0)" },
        ].compactMap { $0 }.joined(separator: " ")
    }

    /// `192.0.2.1:80`, `[2001:db8::1]:80`, or the address alone.
    private static func end(_ address: String, _ port: UInt16?) -> String {
        guard let port else { return address }
        return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
}
