/// Rows of a table, and how many there are in all.
public struct Listing<Row: Equatable & Sendable>: Equatable, Sendable {
    /// The rows, as many as were asked for.
    public var rows: [Row]
    /// How many there are.
    public var total: Int

    /// Lists rows.
    public init(rows: [Row], total: Int) {
        self.rows = rows
        self.total = total
    }
}

/// A route as it holds.
public struct RouteSnapshot: Equatable, Sendable {
    /// Why there is a route.
    public enum Origin: String, Sendable {
        /// A port has an address in the prefix.
        case connected
        /// It is an address of a port.
        case local
        /// It is a subnet's broadcast address.
        case broadcast
        /// It was asked for.
        case configured
    }

    /// The namespace's name.
    public var namespace: String
    /// The destinations it is for.
    public var prefix: IPPrefix
    /// Why it is there.
    public var origin: Origin
    /// What becomes of packets: `forward`, `deliver`, `blackhole` and so on.
    public var action: String
    /// Which of two routes of one prefix holds: the lower one.
    public var metric: UInt32
    /// Where packets go; empty unless they are forwarded.
    public var nextHops: [NextHopSnapshot]

    /// Describes a route.
    public init(
        namespace: String, prefix: IPPrefix, origin: Origin, action: String, metric: UInt32,
        nextHops: [NextHopSnapshot] = []
    ) {
        self.namespace = namespace
        self.prefix = prefix
        self.origin = origin
        self.action = action
        self.metric = metric
        self.nextHops = nextHops
    }
}

/// A next hop of a route.
public struct NextHopSnapshot: Equatable, Sendable {
    /// The router there; nil when the destinations are on the link themselves.
    public var gateway: IPAddress?
    /// The port's name.
    public var port: String
    /// Its share of the flows.
    public var weight: Int
    /// Whether its port is up.
    public var isUsable: Bool

    /// Describes a next hop.
    public init(gateway: IPAddress?, port: String, weight: Int, isUsable: Bool) {
        self.gateway = gateway
        self.port = port
        self.weight = weight
        self.isUsable = isUsable
    }
}

/// A neighbour.
public struct NeighbourSnapshot: Equatable, Sendable {
    /// The namespace's name.
    public var namespace: String
    /// The port's name.
    public var port: String
    /// Its address.
    public var address: IPAddress
    /// Its link-layer address, once known.
    public var mac: MACAddress?
    /// Its state: `incomplete`, `reachable`, `stale`, `delay`, `probe`, `failed`, `permanent`.
    public var state: String
    /// Frames that wait for it.
    public var queuedFrames = 0
    /// Counted references to it.
    public var references = 0
    /// How long ago it was confirmed last; nil for never.
    public var sinceConfirmed: Duration?

    /// Describes a neighbour.
    public init(
        namespace: String, port: String, address: IPAddress, mac: MACAddress?, state: String
    ) {
        self.namespace = namespace
        self.port = port
        self.address = address
        self.mac = mac
        self.state = state
    }
}
