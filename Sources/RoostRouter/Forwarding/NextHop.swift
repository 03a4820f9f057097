/// One of the ways of a route: a destination entry, and its share of the flows.
public struct NextHop: BitwiseCopyable, Hashable, Sendable {
    /// Handles that a path can have: the other half of the numbers are blocks of buckets.
    static let handleLimit: UInt32 = 1 << 31

    /// The entry that packets of the route are handed to.
    public let destination: DestinationHandle
    /// Its share beside the route's other next hops, 1 to 255.
    public let weight: UInt8

    /// A next hop with its share.
    public init(_ destination: DestinationHandle, weight: UInt8 = 1) {
        self.destination = destination
        self.weight = weight
    }
}

/// A route: where packets to a prefix go.
///
/// The best of several routes to one prefix is the one with the lowest metric; next hops of one metric
/// share the flows. Local and broadcast addresses, and routes that refuse, are routes whose next hop is
/// a destination entry that delivers or refuses.
public struct Route<Address: NetworkAddress>: Hashable, Sendable {
    /// Where packets are for.
    public var prefix: Prefix<Address>
    /// How far it is: the lowest wins.
    public var metric: UInt32
    /// Where the route comes from: a mark of the caller's, kept for lists.
    public var origin: UInt8
    /// The ways of equal cost: one, or up to 64.
    public var nextHops: [NextHop]

    /// A route.
    public init(
        _ prefix: Prefix<Address>, metric: UInt32 = 0, origin: UInt8 = 0, nextHops: [NextHop]
    ) {
        self.prefix = prefix
        self.metric = metric
        self.origin = origin
        self.nextHops = nextHops
    }
}

/// What a change of a route changed, exactly.
public struct RouteChange<Address: NetworkAddress>: Sendable, Equatable {
    /// Whose addresses, as far as no longer prefix covers them.
    public let prefix: Prefix<Address>
    /// What they found before: this prefix's best route, or the one that covers it.
    public let before: PathGroupIndex
    /// What they find now; equal to ``before`` when no packet goes another way.
    public let after: PathGroupIndex
    /// Next hops that the changed route gained: each is to be held as long as the route has it.
    public let added: [NextHop]
    /// Next hops that the changed route lost.
    public let removed: [NextHop]

    /// Whether any packet goes another way.
    public var changesForwarding: Bool { before != after }
}
