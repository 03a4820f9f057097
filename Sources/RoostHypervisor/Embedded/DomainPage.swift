/// The page in which the hypervisor tells a domain, without a message, what has changed.
///
///     0    u32   how often segments granted to the domain were made or ended
///     4·n  u32   the state of port n
///
/// The hypervisor writes it and never reads it; the domain only reads it.
package enum DomainPage {
    /// A port's state (Xen, `xen/include/public/event_channel.h`: `EVTCHNSTAT_*`).
    package enum PortState: UInt32, Sendable {
        case closed = 0
        /// The peer may bind to it.
        case unbound = 1
        /// Bound to a peer's port.
        case bound = 2
    }

    /// How many ports have a word: port 0 is none.
    package static let portCount = 1023
    /// The page's length.
    package static let byteCount = 4096
    /// Where the count of changes lies.
    package static let generationOffset = 0

    /// Where a port's state lies.
    package static func offset(of port: EventPort) -> Int { Int(port.rawValue) &* 4 }
}
