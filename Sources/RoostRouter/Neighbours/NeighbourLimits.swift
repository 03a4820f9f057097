/// How many neighbours a table keeps, and how many packets wait for them.
struct NeighbourLimits: Equatable, Sendable {
    /// Neighbours of all namespaces: what their quotas may add up to.
    ///
    /// It sizes the table's memory, of which only what was used is taken: 256 namespaces of the usual
    /// quota.
    var entries = 262_144
    /// Neighbours behind one port: a subnet of 1,022 hosts.
    var entriesPerPort = 1_024
    /// Neighbours behind one port that are asked for or failed to answer: what a scan can fill (RFC
    /// 6583, section 6.2).
    var unresolvedPerPort = 128
    /// Packets that wait for one neighbour (RFC 4861, section 7.2.2 asks for one at least).
    var framesPerNeighbour = 3
    /// Packets that wait in all namespaces: what their quotas may add up to; see ``entries``.
    var frames = 16_384
    /// The longest packet that waits, as a frame in bytes.
    var frameByteCount = 1_536
    /// Solicitations to groups that a port sends a second, and at once after a pause: each of them is
    /// work for all stations of the link.
    var solicitationsPerSecond = 100
    /// See ``solicitationsPerSecond``.
    var solicitationBurst = 50

    /// The usual limits.
    init() {}
}

/// How much of a table a namespace may have; nothing that others do takes it away.
struct NeighbourQuota: BitwiseCopyable, Equatable, Sendable {
    /// Neighbours.
    var entries = 1_024
    /// Neighbours that are asked for.
    var asked = 256
    /// Packets that wait.
    var frames = 64

    /// The usual quota.
    init() {}
}

/// What a namespace has of a table.
struct NeighbourUsage: BitwiseCopyable, Equatable, Sendable {
    /// How much it may have.
    var quota = NeighbourQuota()
    /// Neighbours.
    var entries = 0
    /// Neighbours that are asked for.
    var asked = 0
    /// Packets that wait.
    var frames = 0
    /// Neighbours that were not made because of a limit.
    var refusedEntries: UInt64 = 0
    /// Packets that could not wait because of a limit.
    var refusedFrames: UInt64 = 0
}
