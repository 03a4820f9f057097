/// What the headers of a frame say, as far as they can be read.
public struct PacketHeaders: Equatable, Sendable {
    /// The ports of TCP, UDP and their like.
    public struct Ports: Equatable, Sendable {
        /// The sender's.
        public var source: UInt16
        /// The receiver's.
        public var destination: UInt16

        /// Names two ports.
        public init(source: UInt16, destination: UInt16) {
            self.source = source
            self.destination = destination
        }
    }

    /// The beginning of an ICMP message.
    public struct ICMP: Equatable, Sendable {
        /// Its type.
        public var type: UInt8
        /// Its code.
        public var code: UInt8
        /// What it says, in the words of tcpdump: `echo request, id 7, seq 1`.
        public var text: String

        /// Describes a message.
        public init(type: UInt8, code: UInt8, text: String) {
            self.type = type
            self.code = code
            self.text = text
        }
    }

    /// Which part of a packet it is.
    public struct Fragment: Equatable, Sendable {
        /// What the fragments of a packet have in common.
        public var identification: UInt32
        /// Where the part begins in what the packet carries.
        public var byteOffset: Int
        /// Whether it is the last part.
        public var isLast: Bool

        /// Describes a part.
        public init(identification: UInt32, byteOffset: Int, isLast: Bool) {
            self.identification = identification
            self.byteOffset = byteOffset
            self.isLast = isLast
        }
    }

    /// What an ARP packet says.
    public enum ARP: String, Sendable {
        /// Who has the destination?
        case request
        /// The source tells where it is.
        case reply
    }

    /// What the frame carries (IEEE 802 numbers); nil when it is shorter than its header.
    public var etherType: UInt16?
    /// The VLAN of its outer tag.
    public var vlan: UInt16?
    /// Where it came from: of ARP the sender's address; nil when it is neither ARP nor IP.
    public var source: IPAddress?
    /// Where it was to go: of ARP the target's address.
    public var destination: IPAddress?
    /// The protocol behind all headers of IP (IANA's number).
    public var protocolNumber: UInt8?
    /// The ports, of a packet or fragment that has them.
    public var ports: Ports?
    /// The message, of ICMP and ICMPv6.
    public var icmp: ICMP?
    /// Which part of a packet it is; nil for whole ones.
    public var fragment: Fragment?
    /// What is asked or answered, of ARP.
    public var arp: ARP?

    /// Describes a frame of which nothing can be read.
    public init() {}

    /// What it is in one word, as /etc/protocols and operators name it: `tcp`, `icmp6`, `arp`; a
    /// number where there is no name; nil when nothing can be read.
    public var protocolName: String? {
        if let protocolNumber { return Self.name(ofProtocol: protocolNumber) }
        guard let etherType else { return nil }
        switch etherType {
        case EtherType.arp: return "arp"
        case EtherType.ipv4: return "ip"
        case EtherType.ipv6: return "ip6"
        case ..<0x600: return "ieee802.3"
        default: return "ethertype " + PacketSummary.hexadecimal(etherType)
        }
    }

    /// The name of a protocol that IP carries; its number where it has none.
    public static func name(ofProtocol number: UInt8) -> String {
        names[number] ?? "protocol \(number)"
    }

    /// The keywords of IANA's protocol numbers, as /etc/protocols has them; but `icmp6`.
    private static let names: [UInt8: String] = [
        0: "hopopt", 1: "icmp", 2: "igmp", 3: "ggp", 4: "ipencap", 5: "st", 6: "tcp", 8: "egp",
        9: "igp", 12: "pup", 17: "udp", 20: "hmp", 22: "xns-idp", 27: "rdp", 29: "iso-tp4",
        33: "dccp", 36: "xtp", 37: "ddp", 38: "idpr-cmtp", 41: "ipv6", 43: "ipv6-route",
        44: "ipv6-frag", 45: "idrp", 46: "rsvp", 47: "gre", 50: "esp", 51: "ah", 57: "skip",
        58: "icmp6", 59: "ipv6-nonxt", 60: "ipv6-opts", 73: "rspf", 81: "vmtp", 88: "eigrp",
        89: "ospf", 93: "ax.25", 94: "ipip", 97: "etherip", 98: "encap", 103: "pim",
        108: "ipcomp", 112: "vrrp", 115: "l2tp", 124: "isis", 132: "sctp", 133: "fc",
        135: "mobility-header", 136: "udplite", 137: "mpls-in-ip", 138: "manet", 139: "hip",
        140: "shim6", 141: "wesp", 142: "rohc", 143: "ethernet",
    ]
}
