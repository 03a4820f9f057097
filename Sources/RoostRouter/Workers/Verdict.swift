/// What a worker does with a packet that it has looked at.
enum Verdict: BitwiseCopyable, Sendable {
    /// The frame is ready: it goes out of a port.
    case transmit(PortIndex)
    /// As ``transmit(_:)``, and the sender is told of a shorter way (RFC 1812, section 5.2.7.2).
    case transmitAndRedirect(PortIndex)
    /// The frame is ready but for its length: it goes out in fragments.
    case fragment(PortIndex, maximumByteCount: Int)
    /// The processor goes on with it.
    case punt(Punt)
    /// It is no packet.
    case malformed(PacketError)
    /// It goes nowhere.
    case drop(PacketCounter)
}

/// Why a packet is the processor's, and what was found out already.
struct Punt: BitwiseCopyable, Sendable {
    /// Why.
    enum Reason: UInt8, BitwiseCopyable, Sendable {
        /// ARP.
        case arp
        /// For an address of the router, or for a group that it is in.
        case local
        /// Its next hop has no link-layer address yet.
        case unresolved
        /// The sender is told by an ICMP error why it goes no further.
        case noRoute, unreachable, prohibited, beyondScope, timeExceeded, tooBig
        /// It was forwarded; the sender is told of a shorter way.
        case redirect
    }

    /// Why.
    var reason: Reason
    /// The next hop's longest packet, where that is the reason.
    var maximumByteCount = 0
}
