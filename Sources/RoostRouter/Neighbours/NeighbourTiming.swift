/// How long a neighbour stays in which state: RFC 4861, section 10, unless said otherwise.
///
/// Times are in milliseconds.
struct NeighbourTiming: Equatable, Sendable {
    /// RETRANS_TIMER: between two solicitations.
    var retransmit: UInt64 = 1_000
    /// MAX_MULTICAST_SOLICIT: how often a neighbour is asked for before it is given up.
    var groupSolicitations: UInt8 = 3
    /// MAX_UNICAST_SOLICIT: how often a known neighbour is asked before it is given up.
    var stationSolicitations: UInt8 = 3
    /// REACHABLE_TIME, of which each neighbour gets a random half to one and a half.
    var reachable: UInt64 = 30_000
    /// DELAY_FIRST_PROBE_TIME: how long something else may confirm a neighbour before it is asked.
    var delay: UInt64 = 5_000
    /// How long a failure is remembered, so that a scan cannot have the same address asked for again
    /// at once.
    var failure: UInt64 = 3_000
    /// How long a neighbour of ARP keeps an address before another answer changes it, against two
    /// stations that answer by turns.
    var lock: UInt64 = 1_000
    /// How long a neighbour that nobody uses is kept.
    var stale: UInt64 = 60_000

    /// The times of the standards.
    init() {}
}
