/// An entry at one moment.
public struct EntrySnapshot: Sendable {
    /// The entry.
    public let id: DestinationID
    /// In which part of its life it is.
    public let state: DestinationState
    /// Its family.
    public let family: AddressFamily
    /// What it does.
    public let word: DestinationWord
    /// Its neighbour.
    public let neighbour: NeighbourHandle
    /// Its path MTU in bytes, 0 for the port's.
    public let pathMTU: UInt16
    /// What else is known about the path.
    public let metrics: DestinationMetrics
    /// The next hop's address.
    public let gateway: (high: UInt64, low: UInt64)
    /// The tick at which what was learned ends, 0 for never.
    public let expires: UInt64
    /// The entry that it is stacked on.
    public let child: DestinationHandle
    /// The port that it had to leave, the blackhole when it did not.
    public let formerPort: PortIndex
    /// Whether its namespace is gone.
    public let isOrphan: Bool
    /// The tick at which it was made.
    public let created: UInt64
    /// The tick at which it was retired, 0 when it was not.
    public let retired: UInt64
    /// How much it was used.
    public let usage: DestinationUsage
    /// How many hold it.
    public let referenceCount: Int
}
