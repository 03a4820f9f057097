internal import RoostMemory
internal import Synchronization

/// Tells when nobody can still be reading what was unlinked.
///
/// A reader is a thread that looks things up in batches. It announces each batch's begin and end, each
/// with one store to a line of its own. A writer that has unlinked something takes the epoch with
/// ``retire()``; once ``hasPassed(_:)`` answers true, each batch that began before has ended, and
/// what was unlinked may be used again. Readers never wait, and neither does the writer: it keeps a list
/// of what is retired, with epochs, and looks from time to time.
///
/// One thread writes; ``hasPassed(_:)`` may be called from any.
public final class Quiescence: Sendable {
    /// How far apart two readers' words lie: lines of 64 bytes, two for the prefetcher.
    private static let stride = 128 / MemoryLayout<UInt64>.size

    /// The epoch that batches which begin now belong to, from 1 on.
    private let epoch = Atomic<UInt64>(1)
    /// Of each reader the epoch of its batch, 0 between batches.
    private let batches: AtomicArray<UInt64>
    /// How many readers there can be.
    public let readerLimit: Int
    private let readerCount = Atomic<Int>(0)

    /// Makes the epochs of a number of readers.
    ///
    /// - Parameter readerLimit: At most how many readers there will be.
    /// - Throws: `RouterError` of kind `memory`.
    public init(readerLimit: Int) throws(RouterError) {
        self.readerLimit = readerLimit
        do {
            batches = try AtomicArray(count: readerLimit * Self.stride)
        } catch {
            throw RouterError(error, for: "the epochs of \(readerLimit) readers")
        }
    }

    /// One more reader, for one thread; it is a reader for as long as the quiescence lives.
    ///
    /// - Throws: `RouterError` of kind `limit` when there are ``readerLimit``.
    public func makeReader() throws(RouterError) -> QuiescenceReader {
        let index = readerCount.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < readerLimit else {
            throw RouterError(.limit, "there are \(readerLimit) readers already")
        }
        return QuiescenceReader(index: index)
    }

    /// Begins a reader's batch.
    public func begin(_ reader: QuiescenceReader) {
        batches.storeSequentially(
            epoch.load(ordering: .acquiring), at: reader.index * Self.stride)
    }

    /// Ends a reader's batch: it keeps nothing that it found.
    public func end(_ reader: QuiescenceReader) {
        batches.release(0, at: reader.index * Self.stride)
    }

    /// Ends the epoch in which readers could find what was just unlinked, and answers it.
    public func retire() -> UInt64 {
        epoch.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
    }

    /// Whether every batch of an epoch and of those before has ended.
    public func hasPassed(_ retired: UInt64) -> Bool {
        // The unlinking is before the fence and a reader's store before its lookups: either this
        // sees the reader's batch, or the reader sees that the thing is gone.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        for index in 0..<min(readerCount.load(ordering: .acquiring), readerLimit) {
            let batch = batches.acquire(index * Self.stride)
            if batch != 0 && batch <= retired { return false }
        }
        return true
    }
}

/// The name of a reader, for the thread that reads.
public struct QuiescenceReader: Sendable {
    fileprivate let index: Int
}
