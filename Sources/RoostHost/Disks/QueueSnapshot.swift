/// What a queue of a device has done since it was connected.
public struct QueueSnapshot: Codable, Equatable, Sendable {
    /// Reads that were done.
    public var reads: UInt64 = 0
    /// Writes that were done, without those that are barriers.
    public var writes: UInt64 = 0
    /// Flushes that were done.
    public var flushes: UInt64 = 0
    /// Discards that were done.
    public var discards: UInt64 = 0
    /// Writes with a barrier that were done.
    public var barriers: UInt64 = 0
    /// Bytes that were read.
    public var readBytes: UInt64 = 0
    /// Bytes that were written.
    public var writtenBytes: UInt64 = 0
    /// Requests that were refused or failed.
    public var errors: UInt64 = 0
    /// Requests under way now.
    public var inFlight: UInt64 = 0
    /// How many the ring can hold.
    public var slotCount: UInt64 = 0
    /// How often the ring was found full.
    public var fullCount: UInt64 = 0
    /// Batches of responses with an event to the frontend.
    public var notificationsSent: UInt64 = 0
    /// Batches of responses without one, since the frontend was awake.
    public var notificationsSuppressed: UInt64 = 0
    /// Pages of persistent grants that are mapped now.
    public var grantsMapped: UInt64 = 0
    /// The most that were at once.
    public var grantsPeak: UInt64 = 0
    /// The most that may be.
    public var grantsLimit: UInt64 = 0
    /// Segments whose grant was mapped already.
    public var grantHits: UInt64 = 0
    /// Segments whose grant was not.
    public var grantMisses: UInt64 = 0
    /// Pages given back before the end.
    public var grantEvictions: UInt64 = 0
    /// Grants that found no room.
    public var grantOverflows: UInt64 = 0
    /// Segments that were copied instead of mapped.
    public var grantsCopied: UInt64 = 0
    /// Segments whose grant was mapped for their request only.
    public var grantsMappedOnce: UInt64 = 0
    /// Grants that cannot be given back now, since the other end still uses them.
    public var grantsStuck: UInt64 = 0
    /// How long requests took from the ring and back.
    public var latency = LatencyHistogram()
    /// How long the storage took for them; empty where that is not measured.
    public var storageLatency = LatencyHistogram()

    /// Counts nothing.
    public init() {}

    /// Adds what another queue has done.
    ///
    /// - Parameter other: The queue.
    public mutating func add(_ other: QueueSnapshot) {
        for counter in Self.counters {
            self[keyPath: counter] = self[keyPath: counter].addingClamped(other[keyPath: counter])
        }
        latency = latency + other.latency
        storageLatency = storageLatency + other.storageLatency
    }

    private static var counters: [WritableKeyPath<QueueSnapshot, UInt64>] {
        [
            \.reads, \.writes, \.flushes, \.discards, \.barriers, \.readBytes, \.writtenBytes,
            \.errors, \.inFlight, \.slotCount, \.fullCount, \.notificationsSent,
            \.notificationsSuppressed, \.grantsMapped, \.grantsPeak, \.grantsLimit, \.grantHits,
            \.grantMisses, \.grantEvictions, \.grantOverflows, \.grantsCopied,
            \.grantsMappedOnce, \.grantsStuck,
        ]
    }
}
