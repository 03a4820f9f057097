/// How a port is.
public struct PortSnapshot: Equatable, Sendable {
    /// Whether frames pass.
    public enum State: String, Sendable {
        /// They do.
        case up
        /// It may come up again.
        case down
    }

    /// Its place among the router's ports.
    public var index: PortIndex
    /// Its name.
    public var name: String
    /// What it is: `tap tap0`, or `tap tap0 in left`.
    public var kind: String
    /// Whether frames pass.
    public var state: State
    /// Its link-layer address.
    public var mac: MACAddress
    /// The longest packet that it sends, in bytes without the link header.
    public var mtu: Int
    /// Its own addresses.
    public var addresses: [InterfaceAddress]
    /// How sources are checked.
    public var reversePath: ReversePathMode
    /// Frames taken in.
    public var receivedFrames: UInt64 = 0
    /// Their bytes.
    public var receivedBytes: UInt64 = 0
    /// Frames sent.
    public var sentFrames: UInt64 = 0
    /// Their bytes.
    public var sentBytes: UInt64 = 0
    /// What was dropped, of what came in by it or was to leave by it.
    public var drops: [DropCount] = []

    /// Describes a port through which nothing went yet.
    public init(
        index: PortIndex, name: String, kind: String, state: State, mac: MACAddress, mtu: Int,
        addresses: [InterfaceAddress], reversePath: ReversePathMode
    ) {
        self.index = index
        self.name = name
        self.kind = kind
        self.state = state
        self.mac = mac
        self.mtu = mtu
        self.addresses = addresses
        self.reversePath = reversePath
    }
}

/// How many packets were dropped for one reason.
public struct DropCount: Equatable, Sendable {
    /// The reason, such as `no-route`.
    public var reason: String
    /// How many.
    public var count: UInt64

    /// Counts drops.
    public init(reason: String, count: UInt64) {
        self.reason = reason
        self.count = count
    }
}
