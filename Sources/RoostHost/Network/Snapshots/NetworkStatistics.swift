internal import RoostRouter

/// What a namespace's packets met; ``named`` has the names that `rtstat` and `lnstat` made known.
public struct NetworkStatistics: Codable, Equatable, Sendable {
    /// Destination entries there are.
    public var entries: UInt64
    /// Packets that went on by what workers look up alone.
    public var inHit: UInt64
    /// Packets handed to the route processor.
    public var inSlowTotal: UInt64
    /// Of those, packets to groups.
    public var inSlowMulticast: UInt64
    /// Packets for which there was no route.
    public var inNoRoute: UInt64
    /// Packets to all on a link.
    public var inBroadcast: UInt64
    /// Packets to what no router forwards to.
    public var inMartianDestination: UInt64
    /// Packets from what cannot be a source there.
    public var inMartianSource: UInt64
    /// Packets of the router's own whose next hop was resolved.
    public var outHit: UInt64
    /// Packets of the router's own whose next hop was not.
    public var outSlowTotal: UInt64
    /// Collections asked for by who needed room.
    public var collectorTotal: UInt64
    /// Of those, the ones left out since one was made just before.
    public var collectorIgnored: UInt64
    /// Of those, the ones that did not make enough.
    public var collectorGoalMiss: UInt64
    /// Entries refused.
    public var overflow: UInt64

    /// The counts under the names of `rtstat`, in the order in which they are shown.
    public var named: [(name: String, count: UInt64)] {
        [
            ("entries", entries), ("in_hit", inHit), ("in_slow_tot", inSlowTotal),
            ("in_slow_mc", inSlowMulticast), ("in_no_route", inNoRoute), ("in_brd", inBroadcast),
            ("in_martian_dst", inMartianDestination), ("in_martian_src", inMartianSource),
            ("out_hit", outHit), ("out_slow_tot", outSlowTotal), ("gc_total", collectorTotal),
            ("gc_ignored", collectorIgnored), ("gc_goal_miss", collectorGoalMiss),
            ("gc_dst_overflow", overflow),
        ]
    }

    init(_ statistics: RouterStatistics) {
        entries = statistics.entries
        inHit = statistics.inHit
        inSlowTotal = statistics.inSlowTotal
        inSlowMulticast = statistics.inSlowMulticast
        inNoRoute = statistics.inNoRoute
        inBroadcast = statistics.inBroadcast
        inMartianDestination = statistics.inMartianDestination
        inMartianSource = statistics.inMartianSource
        outHit = statistics.outHit
        outSlowTotal = statistics.outSlowTotal
        collectorTotal = statistics.collectorTotal
        collectorIgnored = statistics.collectorIgnored
        collectorGoalMiss = statistics.collectorGoalMiss
        overflow = statistics.overflow
    }
}
