/// Why a packet is not taken: one drop counter each, at the place of its raw value.
enum PacketError: UInt8, Error, BitwiseCopyable, CaseIterable, Sendable {
    /// The frame ends before what it must hold.
    case truncated
    /// The version is not that of the EtherType.
    case version
    /// The header's length is below its fixed part or past its packet.
    case headerLength
    /// The packet's own length is below its header or past the frame.
    case totalLength
    /// A checksum is not that of the bytes.
    case checksum
    /// An ARP packet is not about Ethernet and IPv4.
    case addressFormat
    /// An ARP packet is neither request nor reply, or a message is of no type expected here.
    case operation
    /// A message that must be whole is a fragment.
    case fragment
    /// A neighbour discovery message has crossed a router: its hop limit is not 255.
    case hopLimit
    /// A neighbour discovery message has a code other than 0.
    case code
    /// An address in a message is one that its rules forbid there.
    case address
    /// An option has no length, or passes the end.
    case optionLength
    /// There are more options than we walk.
    case optionLimit
    /// There are more extension headers than we walk.
    case extensionLimit
    /// Hop-by-hop options do not come first.
    case extensionOrder

    /// The counter's name.
    var name: String {
        switch self {
        case .truncated: "truncated"
        case .version: "bad version"
        case .headerLength: "bad header length"
        case .totalLength: "bad total length"
        case .checksum: "bad checksum"
        case .addressFormat: "unknown address format"
        case .operation: "unknown operation"
        case .fragment: "fragment of a message"
        case .hopLimit: "hop limit not 255"
        case .code: "code not 0"
        case .address: "address not allowed"
        case .optionLength: "bad option length"
        case .optionLimit: "too many options"
        case .extensionLimit: "too many extension headers"
        case .extensionOrder: "hop-by-hop options not first"
        }
    }
}
