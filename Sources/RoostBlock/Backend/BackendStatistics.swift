internal import Synchronization

/// What a queue of a backend has done, counted from its begin; plain numbers at one moment.
public struct BackendStatistics: Equatable, Sendable {
    /// Reads that were done.
    public var reads: UInt64 = 0
    /// Writes that were done, those with a barrier or a flush not among them.
    public var writes: UInt64 = 0
    /// Flushes that were done, with data to write or without.
    public var flushes: UInt64 = 0
    /// Discards that were done.
    public var discards: UInt64 = 0
    /// Barriers that were done, with data to write or without.
    public var barriers: UInt64 = 0
    /// Bytes read by requests that were done.
    public var readBytes: UInt64 = 0
    /// Bytes written by requests that were done.
    public var writtenBytes: UInt64 = 0
    /// Requests that were refused or failed.
    public var errors: UInt64 = 0
    /// Requests that wait for their storage or for others.
    public var inFlight: UInt64 = 0
    /// Batches of responses of which the frontend was told.
    public var notificationsSent: UInt64 = 0
    /// Batches of responses of which it had not asked to be told.
    public var notificationsSuppressed: UInt64 = 0
    /// Events that were not sent because the frontend's end is gone.
    public var notificationsFailed: UInt64 = 0
    /// Events that came without a request.
    public var spuriousEvents: UInt64 = 0
    /// Pages of persistent grants that are mapped.
    public var grantsMapped: UInt64 = 0
    /// The most pages that were.
    public var grantsPeak: UInt64 = 0
    /// The most pages that may be; 0 without persistent grants.
    public var grantsLimit: UInt64 = 0
    /// Segments, and pages of them, whose grant was mapped already.
    public var grantHits: UInt64 = 0
    /// Those whose grant was not.
    public var grantMisses: UInt64 = 0
    /// Pages given back before the end.
    public var grantEvictions: UInt64 = 0
    /// Grants that found no room, and were mapped for their request only or refused.
    public var grantOverflows: UInt64 = 0
    /// Segments that were copied instead of mapped.
    public var grantsCopied: UInt64 = 0
    /// Segments whose grant was mapped for their request only.
    public var grantsMappedOnce: UInt64 = 0
    /// How long requests took from the ring and back, by the ranges of ``LatencyBuckets``.
    public var latencies = [UInt64](repeating: 0, count: LatencyBuckets.count)
}

/// The counters of a queue: its thread writes them, any thread reads them, nobody waits.
///
/// Each is a word that one thread alone writes, so adding to it takes no locked instruction. A
/// snapshot's numbers may be some nanoseconds apart.
final class BackendCounters: Sendable {
    /// Which counter, in the order of ``BackendStatistics``.
    enum Counter: Int, CaseIterable {
        case reads, writes, flushes, discards, barriers, readBytes, writtenBytes, errors, inFlight
        case notificationsSent, notificationsSuppressed, notificationsFailed, spuriousEvents
        case grantsMapped, grantsPeak, grantsLimit, grantHits, grantMisses, grantEvictions
        case grantOverflows, grantsCopied, grantsMappedOnce
    }

    private static let firstLatency = 32
    private let words = [1056 of Atomic<UInt64>] { _ in Atomic(0) }

    /// Adds to a counter; on the queue's thread only.
    func add(_ count: Int, to counter: Counter) {
        guard count != 0 else { return }
        add(UInt64(count), at: counter.rawValue)
    }

    /// Sets a counter that is not a sum; on the queue's thread only.
    func set(_ counter: Counter, to value: Int) {
        words[counter.rawValue].store(UInt64(value), ordering: .relaxed)
    }

    /// Counts a request by the time it took; on the queue's thread only.
    func addLatency(_ nanoseconds: UInt64) {
        add(1, at: Self.firstLatency &+ LatencyBuckets.bucket(of: nanoseconds))
    }

    private func add(_ count: UInt64, at place: Int) {
        let before = words[place].load(ordering: .relaxed)
        words[place].store(before &+ count, ordering: .relaxed)
    }

    private func value(_ counter: Counter) -> UInt64 {
        words[counter.rawValue].load(ordering: .relaxed)
    }

    /// The numbers as they are now; on any thread.
    func snapshot() -> BackendStatistics {
        var result = BackendStatistics()
        result.reads = value(.reads)
        result.writes = value(.writes)
        result.flushes = value(.flushes)
        result.discards = value(.discards)
        result.barriers = value(.barriers)
        result.readBytes = value(.readBytes)
        result.writtenBytes = value(.writtenBytes)
        result.errors = value(.errors)
        result.inFlight = value(.inFlight)
        result.notificationsSent = value(.notificationsSent)
        result.notificationsSuppressed = value(.notificationsSuppressed)
        result.notificationsFailed = value(.notificationsFailed)
        result.spuriousEvents = value(.spuriousEvents)
        result.grantsMapped = value(.grantsMapped)
        result.grantsPeak = value(.grantsPeak)
        result.grantsLimit = value(.grantsLimit)
        result.grantHits = value(.grantHits)
        result.grantMisses = value(.grantMisses)
        result.grantEvictions = value(.grantEvictions)
        result.grantOverflows = value(.grantOverflows)
        result.grantsCopied = value(.grantsCopied)
        result.grantsMappedOnce = value(.grantsMappedOnce)
        for bucket in 0..<LatencyBuckets.count {
            result.latencies[bucket] = words[Self.firstLatency &+ bucket].load(ordering: .relaxed)
        }
        return result
    }
}
