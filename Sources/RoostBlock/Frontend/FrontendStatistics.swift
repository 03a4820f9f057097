/// What a frontend's queue has done, in counts since it was made.
public struct FrontendStatistics: Sendable, Equatable {
    /// Callers' requests that ended well, by kind.
    public var reads: UInt64 = 0
    /// Writes, barriers included.
    public var writes: UInt64 = 0
    /// Flushes.
    public var flushes: UInt64 = 0
    /// Discards, secure ones included.
    public var discards: UInt64 = 0
    /// Bytes that were read.
    public var bytesRead: UInt64 = 0
    /// Bytes that were written.
    public var bytesWritten: UInt64 = 0
    /// Callers' requests that failed or are not offered.
    public var failures: UInt64 = 0
    /// Requests that were put on the ring.
    public var requests: UInt64 = 0
    /// Those of them with indirect segments.
    public var indirectRequests: UInt64 = 0
    /// How often the backend was told to look.
    public var notifications: UInt64 = 0
    /// How often it could not be told, since it is gone.
    public var failedNotifications: UInt64 = 0
    /// Pages that were granted.
    public var grantsClaimed: UInt64 = 0
    /// Pages that were used again without granting them anew.
    public var grantsReused: UInt64 = 0
    /// Grants that were ended.
    public var grantsEnded: UInt64 = 0
    /// How often a request waited because there was no grant for it.
    public var grantShortages: UInt64 = 0
    /// Grants that the backend still uses though it should not, now.
    public var stuckGrants: UInt64 = 0

    /// Counts nothing.
    public init() {}

    mutating func count(_ operation: DiskOperation, byteCount: UInt64, _ status: DiskStatus) {
        guard status == .done else {
            failures &+= 1
            return
        }
        switch operation {
        case .read:
            reads &+= 1
            bytesRead &+= byteCount
        case .write, .barrier:
            writes &+= 1
            bytesWritten &+= byteCount
        case .flush: flushes &+= 1
        case .discard, .secureDiscard: discards &+= 1
        }
    }

    /// Adds what another queue has done.
    public static func += (left: inout FrontendStatistics, right: FrontendStatistics) {
        for counter in Self.counters { left[keyPath: counter] &+= right[keyPath: counter] }
    }

    private static var counters: [WritableKeyPath<FrontendStatistics, UInt64>] {
        [
            \.reads, \.writes, \.flushes, \.discards, \.bytesRead, \.bytesWritten, \.failures,
            \.requests, \.indirectRequests, \.notifications, \.failedNotifications,
            \.grantsClaimed, \.grantsReused, \.grantsEnded, \.grantShortages, \.stuckGrants,
        ]
    }
}
