internal import RoostRouter

/// A port as a router's control socket describes it.
public struct NetworkPort: Codable, Equatable, Sendable {
    /// How many frames were dropped for one reason.
    public struct Drop: Codable, Equatable, Sendable {
        /// The reason, such as `no-route`.
        public var reason: String
        /// How many.
        public var count: UInt64
    }

    /// Its place among the router's ports.
    public var index: UInt16
    /// Its name.
    public var name: String
    /// What it is.
    public var kind: String
    /// `up` or `down`.
    public var state: String
    /// Its link-layer address.
    public var mac: String
    /// The longest packet that it sends, in bytes.
    public var mtu: Int
    /// Its own addresses with the lengths of their prefixes.
    public var addresses: [String]
    /// How sources are checked: `off`, `loose` or `strict`.
    public var reversePath: String
    /// Frames taken in.
    public var receivedFrames: UInt64
    /// Their bytes.
    public var receivedBytes: UInt64
    /// Frames sent.
    public var sentFrames: UInt64
    /// Their bytes.
    public var sentBytes: UInt64
    /// What was dropped by reason, the most frequent first.
    public var drops: [Drop]

    /// How many were dropped.
    public var dropCount: UInt64 {
        drops.reduce(0) { sum, drop in
            let (total, isTooMuch) = sum.addingReportingOverflow(drop.count)
            return isTooMuch ? .max : total
        }
    }

    init(_ port: PortSnapshot) {
        index = port.index.rawValue
        name = port.name
        kind = port.kind
        state = port.state.rawValue
        mac = port.mac.description
        mtu = port.mtu
        addresses = port.addresses.map(\.description)
        reversePath = port.reversePath.rawValue
        receivedFrames = port.receivedFrames
        receivedBytes = port.receivedBytes
        sentFrames = port.sentFrames
        sentBytes = port.sentBytes
        let counts = Dictionary(
            port.drops.map { ($0.reason, $0.count) }, uniquingKeysWith: { $0 &+ $1 })
        drops = counts.map { Drop(reason: $0.key, count: $0.value) }
            .sorted { ($1.count, $0.reason) < ($0.count, $1.reason) }
    }
}
