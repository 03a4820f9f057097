/// What to do with a packet of a destination.
///
/// An entry has one for packets received and one for packets sent; fresh memory says discard.
public enum DestinationAction: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    /// Free the packet, count it, and answer success: the same for both directions.
    case discard = 0
    /// Send it on through the entry's port to its neighbour.
    case forward = 1
    /// It is for this router.
    case deliver = 2
    /// Answer its sender with the entry's error.
    case answerError = 3
    /// It is for all hosts of the link.
    case broadcast = 4
    /// It is for a group.
    case multicast = 5
}

/// What an action answers to its caller.
public enum ActionResult: UInt8, BitwiseCopyable, Sendable {
    /// The packet is dealt with.
    case success = 0
}

/// The failure that an entry stands for: a cached failure is an entry like any other.
public enum DestinationError: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    /// None.
    case none = 0
    /// There is no route to the network.
    case networkUnreachable = 1
    /// The next hop does not answer.
    case hostUnreachable = 2
    /// A route prohibits it.
    case prohibited = 3
    /// No packet may have this destination.
    case invalid = 4
    /// A route drops it in silence.
    case blackhole = 5
    /// The neighbour's resolution took too long.
    case timedOut = 6
}

/// Marks of an entry that the packet path reads.
public struct DestinationFlags: OptionSet, BitwiseCopyable, Sendable {
    /// The marks as bits.
    public let rawValue: UInt8

    /// Marks by their bits.
    @inlinable
    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Exceptions hang off the entry: look the packet's destination up among them.
    public static let hasExceptions = DestinationFlags(rawValue: 1 << 0)
    /// The packet's own destination is the next hop.
    public static let isOnLink = DestinationFlags(rawValue: 1 << 1)
    /// Who holds the entry must route again.
    public static let isKilled = DestinationFlags(rawValue: 1 << 2)
    /// No table has the entry: it belongs to the entry stacked on it.
    public static let isParentOwned = DestinationFlags(rawValue: 1 << 3)
    /// The entry is for one host.
    public static let isHost = DestinationFlags(rawValue: 1 << 4)
    /// The entry is an exception of a next hop's entry.
    public static let isException = DestinationFlags(rawValue: 1 << 5)
    /// The path MTU is not to be lowered: fragment instead.
    public static let isMTULocked = DestinationFlags(rawValue: 1 << 6)
    /// The entry is retired: out of every table.
    public static let isDead = DestinationFlags(rawValue: 1 << 7)
}
