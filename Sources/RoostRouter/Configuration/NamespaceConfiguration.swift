/// A namespace of a router as it is asked for: nothing in it meets another's.
public struct NamespaceConfiguration: Equatable, Sendable {
    /// Its name among the router's namespaces.
    public var name: String
    /// Its ports.
    public var ports: [PortConfiguration]
    /// Its routes, besides those of the ports' subnets.
    public var routes: [RouteConfiguration]
    /// The most that it may have of each thing.
    public var limits = NamespaceLimits()

    /// Describes a namespace.
    public init(
        name: String, ports: [PortConfiguration] = [], routes: [RouteConfiguration] = []
    ) {
        self.name = name
        self.ports = ports
        self.routes = routes
    }
}

/// The most that one namespace may have, so that it takes nothing from another.
public struct NamespaceLimits: Equatable, Sendable {
    /// What each limit of entries may be.
    public static let entryCounts = 16...16_777_216
    /// How many frames may wait, and how many errors a second there may be.
    public static let rates = 1...1_000_000

    /// Destination entries, of next hops.
    public var destinations = 65_536
    /// Exceptions: what was learned about single destinations.
    public var exceptions = 65_536
    /// Neighbours, resolved or not.
    public var neighbours = 4096
    /// Frames that wait for a neighbour.
    public var pendingFrames = 1024
    /// ICMP errors sent in a second, of both families.
    public var icmpErrorsPerSecond = 1000
    /// ICMP errors that may be sent at once.
    public var icmpErrorBurst = 50

    /// The usual limits.
    public init() {}
}
