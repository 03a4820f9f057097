public import RoostMemory
public import SystemPackage

/// A disk in this process's memory (`ram:SIZE`), empty at the start and gone with the object.
///
/// Each request is one copy a segment, straight between the window of the request and the disk,
/// and is complete when it was submitted. Memory is taken where something was written, and given
/// back by a discard of whole pages. Its queues share it without a lock: as on a real disk, what two
/// requests under way at once do to the same sector is undefined, and a copy of each of them whole.
public final class MemoryStorage: BlockStorage {
    /// What the disk is.
    public let geometry: DiskGeometry
    private let store: PageWindow

    /// Makes a disk of zeros.
    ///
    /// - Parameters:
    ///   - byteCount: Its length, a positive multiple of 512.
    ///   - isReadOnly: Whether nothing can be written: a disk of zeros.
    /// - Throws: `BlockError` of kind `image` for another length or when the process has too few
    ///   addresses for it.
    public init(byteCount: UInt64, isReadOnly: Bool = false) throws(BlockError) {
        guard byteCount > 0, byteCount % UInt64(sectorByteCount) == 0,
            let length = Int(exactly: byteCount), length < Int.max - pageByteCount
        else {
            throw BlockError(
                .image,
                "cannot make a memory disk of \(byteCount) bytes: give a positive multiple of "
                    + "\(sectorByteCount), such as ram:1G")
        }
        let pageCount = (length + pageByteCount - 1) / pageByteCount
        do throws(MemoryError) {
            store = try PageWindow(pageCount: pageCount)
            try store.mapAnonymous(count: pageCount, at: 0)
        } catch {
            throw BlockError(
                .image, errno: error.errno,
                "cannot make a memory disk of \(byteCount) bytes: \(error.description)")
        }
        // A flush has nothing to do, which is not the same as not being offered.
        geometry = DiskGeometry(
            sectorCount: byteCount / UInt64(sectorByteCount), isReadOnly: isReadOnly,
            canDiscard: !isReadOnly)
    }

    /// Makes what one thread reads and writes the disk through.
    ///
    /// - Parameters:
    ///   - depth: How many requests can wait for their completion to be taken, at least one.
    ///   - segmentLimit: The most segments of a request; more do no harm here.
    /// - Returns: The queue.
    /// - Throws: `BlockError` of kind `storage` when there is no memory.
    public func makeQueue(depth: Int, segmentLimit: Int) throws(BlockError) -> MemoryQueue {
        precondition(depth > 0 && segmentLimit > 0)
        return MemoryQueue(
            store: store, geometry: geometry, done: try CompletionQueue.make(capacity: depth))
    }
}

/// One thread's way to a ``MemoryStorage``.
public struct MemoryQueue: ~Copyable, StorageQueue {
    private let store: PageWindow
    private let geometry: DiskGeometry
    private var done: CompletionQueue

    fileprivate init(
        store: PageWindow, geometry: DiskGeometry, done: consuming CompletionQueue
    ) {
        self.store = store
        self.geometry = geometry
        self.done = done
    }

    /// Nothing to wait for: a request is complete as soon as it is submitted.
    public var completionDescriptor: FileDescriptor? { nil }

    /// Carries a request out.
    ///
    /// - Parameters:
    ///   - request: What to do.
    ///   - segments: From where or where to, in order.
    ///   - window: Where the segments lie.
    public mutating func submit(
        _ request: StorageRequest, segments: Span<StorageSegment>, window: PageWindow
    ) {
        if let refusal = request.refusal(segments: segments, on: geometry) {
            done.append(tag: request.tag, errno: refusal)
            return
        }
        // The whole request was found to lie inside the disk, whose length is an Int.
        var place = Int(truncatingIfNeeded: request.sector) &* sectorByteCount
        switch request.operation {
        case .read:
            for index in segments.indices {
                let segment = segments[index]
                window.copy(
                    count: segment.byteCount, from: store, at: place, to: segment.windowOffset)
                place &+= segment.byteCount
            }
        case .write:
            for index in segments.indices {
                let segment = segments[index]
                store.copy(
                    count: segment.byteCount, from: window, at: segment.windowOffset, to: place)
                place &+= segment.byteCount
            }
        case .flush:
            break
        case .discard:
            let count = Int(truncatingIfNeeded: request.sectorCount) &* sectorByteCount
            Self.discard(place..<place &+ count, of: store)
        }
        done.append(tag: request.tag, errno: nil)
    }

    /// Gives the whole pages of a range back and writes zeros to the rest of it.
    private static func discard(_ range: Range<Int>, of store: PageWindow) {
        let firstPage = (range.lowerBound &+ pageByteCount &- 1) / pageByteCount
        let endPage = range.upperBound / pageByteCount
        guard firstPage < endPage else {
            store.zero(count: range.count, at: range.lowerBound)
            return
        }
        let start = firstPage &* pageByteCount
        let end = endPage &* pageByteCount
        store.zero(count: start &- range.lowerBound, at: range.lowerBound)
        store.discardAnonymous(count: endPage &- firstPage, at: firstPage)
        store.zero(count: range.upperBound &- end, at: end)
    }

    /// Nothing waits to be handed on.
    public mutating func flushSubmissions() {}

    /// Takes one completion, in the order of submission.
    public mutating func takeCompletion() -> StorageCompletion? { done.takeFirst() }
}
