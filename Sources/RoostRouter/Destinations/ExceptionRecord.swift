/// Where an exception stands in its namespace.
enum ExceptionSpace: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    /// Nobody has used its fact yet: the first to make room.
    case probation
    /// Its fact was used.
    case confirmed
    /// The operator wants it: it makes room for nobody.
    case pinned
}

/// What the processor knows of an exception, by the handle of its entry.
struct ExceptionRecord: BitwiseCopyable, Sendable {
    var place: ExceptionPlace
    var namespace: NamespaceIndex
    var space: ExceptionSpace
    var facts: ExceptionFacts
    /// A time at which it was in use, beside what the entry's own usage says.
    var lastKnownUse: UInt64
}

/// What the processor knows of a next hop that has exceptions or fails.
struct NextHopRecord: BitwiseCopyable, Sendable {
    /// The reference that its exceptions have on it, 0 when there are none.
    var holder: UInt32
    /// When its failure ends, 0 when it does not fail.
    var failureExpires: UInt64
    /// The serial number of its place when it failed.
    var serial: UInt32
    /// What it did before it failed, both actions.
    var input: UInt8
    var output: UInt8
}
