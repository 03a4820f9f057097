/// How many exceptions there may be, beside the namespaces' quotas.
struct ExceptionLimits: Sendable {
    /// The most exceptions in the process.
    var exceptions = 1 << 17
    /// The greatest neighbour handle that a redirect may name.
    var greatestNeighbour = 1 << 20
    /// How many exceptions a next hop has before its oldest make room.
    ///
    /// The bound in force is drawn at
    /// each insertion, from this up to nine fifths of it: an outsider who counts what it can push out
    /// learns nothing (CVE-2021-20322).
    var perNextHop = 4096
    /// How many exceptions a change of a route looks at before the namespace's generation changes
    /// instead: at about 1 µs each, a millisecond of the processor.
    var exactChange = 1024

    init() {}
}

/// What became of exceptions, counted since the start.
struct ExceptionCounts: Equatable, Sendable {
    /// Exceptions made.
    var learned: UInt64 = 0
    /// Facts added to or changed in exceptions there were.
    var updated: UInt64 = 0
    /// Reports that changed nothing or were not believed.
    var ignored: UInt64 = 0
    /// Exceptions whose last fact ended.
    var expired: UInt64 = 0
    /// Exceptions that left probation because they were used.
    var confirmed: UInt64 = 0
    /// Exceptions in probation that made room for others.
    var evictedProbation: UInt64 = 0
    /// Confirmed exceptions that made room for others.
    var evictedConfirmed: UInt64 = 0
    /// Exceptions whose answer changed with a route, neighbour or port.
    var invalidated: UInt64 = 0
    /// What found no room, by ``ExceptionRefusal``.
    var refused: [UInt64] = Array(repeating: 0, count: ExceptionRefusal.allCases.count)
}
