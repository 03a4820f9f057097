/// The collector's state: what is retired, when the next pass is due, and how far the current one is.
///
/// Theory of operation. A retired entry lies in the *garbage* until the batches that may be reading
/// it have ended. A pass then settles it: nobody holds it, and it is destroyed; or it *waits*, and is
/// only counted. Whoever gives back its last reference pushes it on the stack of the fallen, and the
/// next pass destroys it. So a pass visits what is new and what fell, and costs nothing for all that
/// is still held, where the classic collector walked its whole list each time.
///
/// A pass is cut into slices, bounded in entries and in thread time, between which the processor does
/// other work; it covers what there was when it began, so it ends however fast garbage arrives. No
/// lock is held, and packets meet none of it: they only read.
internal struct Collector {
    /// One pass under way.
    struct Pass {
        /// How much of the garbage belongs to the pass.
        var garbageLeft: Int
        var freed = 0
        let began: UInt64
    }

    /// Trace lines that are kept.
    static let traceLimit = 64

    var pace: CollectorPace
    /// Retired entries whose readers may not have ended, in the order of their epochs.
    var garbageFirst: UInt32 = 0
    var garbageLast: UInt32 = 0
    var garbageCount = 0
    /// How many entries wait for their holders; those that fell count until they are destroyed.
    var waitingCount = 0
    /// The fallen that were taken from the stack and are not destroyed yet.
    var fallen = DestinationHandle.none
    var pass: Pass?
    /// Whether the last slice was an event's: events and passes take turns.
    var lastWasEvent = false
    /// Whether something was retired while a pass was under way.
    var hasNewGarbage = false
    /// The last epoch that is known to have passed.
    var passedEpoch: UInt64 = 0
    var statistics = CollectorStatistics()
    private(set) var trace: [CollectorTrace] = []

    init(pace: CollectorPace) {
        self.pace = pace
    }

    mutating func keep(_ line: CollectorTrace) {
        if trace.count == Self.traceLimit { trace.removeFirst() }
        trace.append(line)
    }
}
