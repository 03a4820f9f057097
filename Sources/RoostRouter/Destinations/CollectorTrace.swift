/// What one pass of the collector did: a line of its trace.
public struct CollectorTrace: Equatable, Sendable, CustomStringConvertible {
    /// Entries that exist, of all kinds.
    public let total: Int
    /// Retired entries that are still held.
    public let delayed: Int
    /// Entries that the pass freed.
    public let freed: Int
    /// Ticks to the next pass, 0 when none is due.
    public let expires: UInt64
    /// From the pass's begin to its end, in microseconds.
    public let elapsedMicroseconds: UInt64

    /// The line, under the labels that operators of such caches know.
    public var description: String {
        "dst_total: \(total) delayed: \(delayed) work_perf: \(freed) expires: \(expires) "
            + "elapsed: \(elapsedMicroseconds) us"
    }
}

/// How far a call of the collector came.
public enum CollectorProgress: Equatable, Sendable {
    /// Nothing is due before a tick, or before something is retired (`nil`).
    case idle(until: UInt64?)
    /// A slice's worth is done and there is more.
    case more
    /// A pass has ended.
    case passed(CollectorTrace)
}

/// How long the collector's slices took.
public struct CollectorStatistics: Equatable, Sendable {
    /// How many classes of slice times there are.
    public static let classCount = 16

    /// Passes that ended.
    public internal(set) var passes: UInt64 = 0
    /// Slices, of passes and of device events.
    public internal(set) var slices: UInt64 = 0
    /// Entries that slices visited.
    public internal(set) var visits: UInt64 = 0
    /// The most entries that one slice visited.
    public internal(set) var longestSliceVisits = 0
    /// The longest slice in nanoseconds of its thread.
    public internal(set) var longestSliceThreadNanoseconds: UInt64 = 0
    /// The longest slice in nanoseconds that passed.
    public internal(set) var longestSliceWallNanoseconds: UInt64 = 0
    /// All slices in nanoseconds of their thread.
    public internal(set) var threadNanoseconds: UInt64 = 0
    /// How many slices took how much thread time: class 0 below 1 µs, class n from 2ⁿ⁻¹ to below
    /// 2ⁿ µs, the last one all above.
    public internal(set) var sliceTimes = [UInt64](repeating: 0, count: classCount)

    /// Nothing yet.
    public init() {}

    internal mutating func record(visits: Int, thread: UInt64, wall: UInt64) {
        slices += 1
        self.visits += UInt64(visits)
        threadNanoseconds += thread
        longestSliceVisits = max(longestSliceVisits, visits)
        longestSliceThreadNanoseconds = max(longestSliceThreadNanoseconds, thread)
        longestSliceWallNanoseconds = max(longestSliceWallNanoseconds, wall)
        let microseconds = thread / 1000
        let bits = UInt64.bitWidth - microseconds.leadingZeroBitCount
        sliceTimes[min(bits, Self.classCount - 1)] += 1
    }
}
