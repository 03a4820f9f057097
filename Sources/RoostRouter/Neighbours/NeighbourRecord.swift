/// What the processor knows of a neighbour; all zeros is a free place.
struct NeighbourRecord: BitwiseCopyable, Sendable {
    /// Whether the place is taken.
    var isUsed: Bool
    /// Whether it was taken out while it was held: nobody finds it, and it goes with its last holder.
    var isDead: Bool
    /// How many packets wait.
    var queueCount: UInt16
    /// Who is counted for it.
    var namespace: NamespaceIndex
    /// How many hold it.
    var holders: UInt32
    /// The first and the last packet that waits, 0 for none.
    var queueFirst: UInt32
    var queueLast: UInt32
    /// What it is found by; the port of a dead one is where it was put.
    var key: NeighbourKey
    /// Where it stands.
    var state: NeighbourState
}

/// What kind of neighbour a port has in which list.
enum NeighbourClass: Int, CaseIterable {
    /// Asked for: bounded apart from the others (RFC 6583).
    case asked
    /// Failed: these make room first.
    case failed
    /// Known and not used lately: these make room next.
    case stale
    /// In use, given by hand, or held without having been asked for.
    case settled

    init(_ phase: NeighbourPhase) {
        switch phase {
        case .incomplete: self = .asked
        case .failed: self = .failed
        case .stale: self = .stale
        case .none, .reachable, .delay, .probe, .noARP, .permanent: self = .settled
        }
    }
}

/// What the table knows of a port.
struct NeighbourPort: BitwiseCopyable, Sendable {
    /// Whether there is such a port.
    var isKnown: Bool
    /// Whose it is.
    var namespace: NamespaceIndex
    /// Where held neighbours go when the port goes.
    var loopback: PortIndex
    /// Solicitations that may be sent at once, in thousandths.
    var tokens: UInt64
    /// When the tokens were last added to, in milliseconds.
    var refilled: UInt64
}

/// What a table counted since it was made.
struct NeighbourStatistics: BitwiseCopyable, Equatable, Sendable {
    /// Solicitations that were sent.
    var solicitations: UInt64 = 0
    /// Solicitations that a port's rate did not allow.
    var suppressedSolicitations: UInt64 = 0
    /// Neighbours that did not answer.
    var failures: UInt64 = 0
    /// Neighbours that made room for others.
    var evictions: UInt64 = 0
    /// Answers that were used.
    var answers: UInt64 = 0
    /// Neighbours that were made from what they said unasked.
    var learned: UInt64 = 0
}

/// What became of a packet that was given to a table.
enum NeighbourSendOutcome: Equatable, Sendable {
    /// It was sent.
    case sent
    /// It waits.
    case queued
    /// It was reported: the neighbour did not answer lately.
    case unreachable
    /// It was dropped.
    case dropped(NeighbourDrop)
}

/// A neighbour as reports show it.
struct NeighbourRow: Equatable, Sendable {
    /// The handle.
    var handle: NeighbourHandle
    /// The port and the address.
    var key: NeighbourKey
    /// Whose it is.
    var namespace: NamespaceIndex
    /// Where it stands.
    var phase: NeighbourPhase
    /// Its link-layer address, if it is usable.
    var link: MACAddress?
    /// Whether it said that it is a router.
    var isRouter: Bool
    /// How many packets wait.
    var queued: Int
    /// How many hold it.
    var holders: Int
    /// When it was last confirmed, in milliseconds of the table's clock; nil is never.
    var confirmed: UInt64?
    /// Whether it was taken out and only holders are left.
    var isDead: Bool
}
