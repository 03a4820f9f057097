/// A route as it is asked for.
public struct RouteConfiguration: Equatable, Sendable {
    /// What becomes of packets that it matches.
    public enum Action: Equatable, Sendable {
        /// They go to one of these next hops; one flow always to the same.
        case forward([NextHopConfiguration])
        /// They are dropped, and nobody is told.
        case blackhole
        /// They are dropped, and the sender is told that the host cannot be reached.
        case unreachable
        /// They are dropped, and the sender is told that it is forbidden.
        case prohibit
    }

    /// The most next hops of a route.
    public static let nextHopLimit = 64
    /// What a route's metric may be: 0 is for the subnets of ports.
    public static let metrics: ClosedRange<UInt32> = 1...UInt32.max

    /// The destinations it is for.
    public var prefix: IPPrefix
    /// What becomes of packets.
    public var action: Action
    /// Which of two routes of one prefix holds: the lower one.
    public var metric: UInt32 = 100

    /// Describes a route.
    public init(_ prefix: IPPrefix, _ action: Action) {
        self.prefix = prefix
        self.action = action
    }
}

/// A next hop of a route as it is asked for.
public struct NextHopConfiguration: Hashable, Sendable {
    /// What a weight may be.
    public static let weights = 1...255

    /// The router to send to; nil when the destinations are on the port's link themselves.
    public var gateway: IPAddress?
    /// The name of the port to send by.
    public var port: String
    /// Its share of the flows among the route's next hops.
    public var weight = 1

    /// Describes a next hop.
    public init(_ gateway: IPAddress?, port: String) {
        self.gateway = gateway
        self.port = port
    }
}
