/// What the families of addresses do about their entries: the table calls these, on the processor's
/// thread, and passes them to its own collector.
///
/// The caller hands its operations in with each call, so that they may own what they need. Of the
/// classic table of operations, three have no member here: an entry's revalidation (`check`) is
/// ``DestinationSlab/check(_:generation:now:)``, since generations lie in the slab; `negative_advice` is
/// ``DestinationTable/takeNegativeAdvice(_:)``; and a changed path MTU or a failed link is written to an
/// exception of the next hop by its own room, which uses the setters of the table.
public protocol DestinationOperations: ~Copyable {
    /// Makes room, because a family has more entries than its threshold.
    ///
    /// - Parameters:
    ///   - family: Which.
    ///   - namespace: For which namespace the room is wanted.
    ///   - table: Where.
    ///   - now: The tick.
    /// - Returns: Whether to go on and allocate; otherwise the allocation is refused.
    mutating func collect(
        _ family: AddressFamily, for namespace: NamespaceIndex, in table: inout DestinationTable,
        now: UInt64
    ) -> Bool

    /// Releases what the family and other rooms added to an entry: its neighbour, its exceptions.
    /// Once an entry, when nobody can find or hold it any more.
    mutating func destroy(_ remains: DestinationRemains)

    /// An entry's port went down or is being removed; called before the entry is changed.
    mutating func interfaceDown(_ entry: DestinationHandle, port: PortIndex, isRemoved: Bool)

    /// An entry left a removed port: its neighbour, if that is on the port too, goes with it.
    mutating func rehome(_ neighbour: NeighbourHandle, from port: PortIndex, to loopback: PortIndex)
}

/// What is usual.
extension DestinationOperations where Self: ~Copyable {
    /// Frees what can be freed at once.
    public mutating func collect(
        _ family: AddressFamily, for namespace: NamespaceIndex, in table: inout DestinationTable,
        now: UInt64
    ) -> Bool {
        table.shrink(family, for: namespace, now: now, operations: &self)
    }

    /// Nothing.
    public mutating func interfaceDown(
        _ entry: DestinationHandle, port: PortIndex, isRemoved: Bool
    ) {}
}

/// What an entry leaves for others to release when it is destroyed.
public struct DestinationRemains: BitwiseCopyable, Equatable, Sendable {
    /// The entry; the handle may name another one as soon as the call returns.
    public let handle: DestinationHandle
    /// Its family.
    public let family: AddressFamily
    /// What it did last.
    public let word: DestinationWord
    /// Its neighbour, on which it has one claim.
    public let neighbour: NeighbourHandle
    /// Its word of exceptions.
    public let exceptions: UInt32
    /// The half of the next hop's address with the highest bits.
    public let gatewayHigh: UInt64
    /// The other half.
    public let gatewayLow: UInt64
}

/// What an entry is finished with.
///
/// As it is made: it discards.
public struct DestinationContents: Sendable {
    /// The port that packets leave through.
    public var port = PortIndex.blackhole
    /// What is done with packets received.
    public var input = DestinationAction.discard
    /// What is done with packets sent.
    public var output = DestinationAction.discard
    /// The failure that the entry stands for.
    public var error = DestinationError.none
    /// Its marks.
    public var flags: DestinationFlags = []
    /// The neighbour of its next hop; the entry takes over the caller's claim on it.
    public var neighbour = NeighbourHandle.none
    /// The next hop's address, as ``NetworkAddress/halves``.
    public var gateway: (high: UInt64, low: UInt64) = (0, 0)
    /// The path MTU in bytes, 0 for the port's.
    public var pathMTU: UInt16 = 0
    /// What else is known about the path.
    public var metrics = DestinationMetrics()
    /// The tick at which what was learned ends, 0 for never.
    public var expires: UInt64 = 0
    /// The generation for which the entry is made.
    public var generation: UInt64 = 0

    /// Discards.
    public init() {}
}
