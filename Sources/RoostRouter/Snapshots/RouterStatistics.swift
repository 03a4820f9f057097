/// What the packets of a namespace met: the counts that operators of routers have watched for long,
/// as far as they mean something here.
public struct RouterStatistics: Equatable, Sendable {
    /// Destination entries there are, exceptions included.
    public var entries: UInt64 = 0
    /// Packets that came in and went on by what workers look up alone.
    public var inHit: UInt64 = 0
    /// Packets that came in and were handed to the route processor.
    public var inSlowTotal: UInt64 = 0
    /// Of those, packets to groups.
    public var inSlowMulticast: UInt64 = 0
    /// Packets for which there was no route.
    public var inNoRoute: UInt64 = 0
    /// Packets to all on a link.
    public var inBroadcast: UInt64 = 0
    /// Packets to what no router forwards to.
    public var inMartianDestination: UInt64 = 0
    /// Packets from what cannot be a source there.
    public var inMartianSource: UInt64 = 0
    /// Packets of the router's own whose next hop was resolved.
    public var outHit: UInt64 = 0
    /// Packets of the router's own whose next hop was not.
    public var outSlowTotal: UInt64 = 0
    /// Collections asked for by who needed room for an entry.
    public var collectorTotal: UInt64 = 0
    /// Of those, the ones left out since one was made just before.
    public var collectorIgnored: UInt64 = 0
    /// Of those, the ones that did not make enough.
    public var collectorGoalMiss: UInt64 = 0
    /// Entries refused since there was no room for them.
    public var overflow: UInt64 = 0

    /// Counts nothing.
    public init() {}
}
