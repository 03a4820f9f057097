/// In which part of its life an entry is: in exactly one.
public enum DestinationState: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    /// There is no entry.
    case free = 0
    /// Made and known to its maker only.
    case `private` = 1
    /// In a table, or under its parent: packets find it.
    case cached = 2
    /// Retired: out of every table, but batches may still be reading it.
    case garbage = 3
    /// Retired and held: counted, not walked, until its last holder lets go.
    case waiting = 4
}

/// Whether an entry may still be used, for who kept it.
public enum Obsolescence: Int8, BitwiseCopyable, Sendable {
    /// It is valid.
    case valid = 0
    /// It is valid as long as asking says so.
    case check = -1
    /// It is retired.
    case dead = 2
}

/// The part of an entry that only the processor touches.
internal struct DestinationRecord: BitwiseCopyable, Sendable {
    var state = DestinationState.free
    var family = AddressFamily.ipv4
    /// How many entries it is stacked on.
    var depth: UInt8 = 0
    /// Whether its namespace is gone.
    var isOrphan = false
    /// The port it had to leave, 0 when it did not.
    var formerPort: UInt16 = 0
    /// The namespace that it is accounted to.
    var namespace: UInt16 = 0
    /// The next free place or the next of the garbage.
    var next: UInt32 = 0
    var child: UInt32 = 0
    /// The reference on the child.
    var childToken: UInt32 = 0
    /// The tick at which it was made.
    var created: UInt64 = 0
    /// The tick at which it was retired.
    var retired: UInt64 = 0
    /// The epoch that has to pass before it can be destroyed.
    var epoch: UInt64 = 0
}
