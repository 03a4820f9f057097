internal import CRoost
internal import Glibc
public import RoostMemory
internal import RoostSystem
public import SystemPackage

/// One thread's way to a ``FileStorage``: an io_uring of its own.
///
/// A request is one piece of work at a time under its own tag: what the kernel did only a part of
/// is continued, and what it was interrupted in is tried again, a bounded number of times. A flush
/// covers what was complete when it was submitted and orders nothing else.
public struct FileQueue: ~Copyable, StorageQueue {
    /// How often a request is tried again where the system says to.
    internal static let retryLimit: UInt8 = 16

    /// A piece of memory, of the layout of `struct iovec` (readv(2)).
    internal struct Vector: Sendable {
        var address: UInt64
        var byteCount: UInt64
    }

    /// What a tag's request still has to do.
    internal struct Pending: Sendable {
        /// Its ``StorageOperation``.
        var operation: UInt8 = 0
        var retries: UInt8 = 0
        /// The answer when there is nothing to do in the file: an errno, or 0.
        var verdict: Int32 = 0
        var isDecided = false
        /// The vectors left, among those of the tag.
        var firstVector: Int32 = 0
        var vectorCount: Int32 = 0
        /// The place in the file, and the bytes left.
        var offset: UInt64 = 0
        var byteCount: UInt64 = 0
    }

    private let file: FileDescriptor
    private let geometry: DiskGeometry
    private let isBlockDevice: Bool
    private let segmentLimit: Int
    /// The most bytes handed to the kernel at once where that is not everything: tests ask for less.
    internal var pieceByteCount = UInt64.max
    private var ring: IORing
    private var pending: FixedArray<Pending>
    private var vectors: FixedArray<Vector>
    /// What the kernel would not take.
    private var refused: CompletionQueue
    /// Let go last: the image stays locked until the ring's end, which waits for what is under way.
    private let storage: FileStorage

    /// Readable while completions wait to be taken: the ring's own descriptor.
    public var completionDescriptor: FileDescriptor? { ring.descriptor }

    fileprivate init(
        storage: FileStorage, segmentLimit: Int, ring: consuming IORing,
        pending: consuming FixedArray<Pending>, vectors: consuming FixedArray<Vector>,
        refused: consuming CompletionQueue
    ) {
        self.storage = storage
        file = storage.file.descriptor
        geometry = storage.geometry
        isBlockDevice = storage.isBlockDevice
        self.segmentLimit = segmentLimit
        self.ring = ring
        self.pending = pending
        self.vectors = vectors
        self.refused = refused
    }

    /// Makes a queue, as ``FileStorage/makeQueue(depth:segmentLimit:)`` says.
    internal static func make(
        storage: FileStorage, depth: Int, segmentLimit: Int
    ) throws(BlockError) -> FileQueue {
        precondition(depth > 0 && segmentLimit > 0)
        // readv(2) takes IOV_MAX pieces; neighbours are joined, so a request never has more.
        guard depth <= IORing.maximumDepth, segmentLimit <= Int(UIO_MAXIOV) else {
            throw BlockError(
                .storage,
                "cannot serve \(storage.path) with \(depth) requests of \(segmentLimit) segments at "
                    + "once: at most \(IORing.maximumDepth) and \(UIO_MAXIOV) are possible")
        }
        let ring: IORing
        do throws(Errno) {
            ring = try IORing.make(depth: depth)
        } catch {
            throw BlockError(
                .storage, errno: error,
                "cannot set up io_uring for \(storage.path): \(error); " + advice(on: error))
        }
        let refused = try CompletionQueue.make(capacity: depth)
        do throws(MemoryError) {
            return FileQueue(
                storage: storage, segmentLimit: segmentLimit, ring: ring,
                pending: try FixedArray(count: depth),
                vectors: try FixedArray(count: depth * segmentLimit), refused: refused)
        } catch {
            throw BlockError(.storage, errno: error.errno, error.description)
        }
    }

    private static func advice(on reason: Errno) -> String {
        switch reason {
        case .notPermitted, .noFunction:
            "allow it with sysctl kernel.io_uring_disabled=0, and in the container's filter of "
                + "system calls"
        case .noMemory: "raise the limit on locked memory (ulimit -l)"
        default: "raise the limit on open files (ulimit -n)"
        }
    }

    /// Takes a request on; the kernel has it after ``flushSubmissions()``.
    ///
    /// - Parameters:
    ///   - request: What to do.
    ///   - segments: From where or where to, in order.
    ///   - window: Where the segments lie.
    public mutating func submit(
        _ request: StorageRequest, segments: Span<StorageSegment>, window: PageWindow
    ) {
        let tag = request.tag
        precondition(segments.count <= segmentLimit)
        var work = Pending()
        work.operation = request.operation.rawValue
        if let refusal = request.refusal(segments: segments, on: geometry) {
            work.isDecided = true
            work.verdict = refusal.rawValue
        } else if request.operation == .flush {
            // What cannot be written has nothing to make durable.
            work.isDecided = geometry.isReadOnly
        } else {
            work.offset = request.sector &* UInt64(sectorByteCount)
            work.byteCount = request.sectorCount &* UInt64(sectorByteCount)
            if request.operation != .discard {
                work.vectorCount = addVectors(of: segments, in: window, for: tag)
            }
        }
        pending[tag] = work
        stage(tag)
    }

    /// Writes down where a request's segments lie, neighbours as one.
    private mutating func addVectors(
        of segments: Span<StorageSegment>, in window: PageWindow, for tag: Int
    ) -> Int32 {
        let first = tag &* segmentLimit
        var count = 0
        var end: UInt64 = 0
        for index in segments.indices {
            let segment = segments[index]
            let address = window.address(of: segment.windowOffset)
            let byteCount = UInt64(truncatingIfNeeded: segment.byteCount)
            precondition(segment.byteCount <= window.byteCount &- segment.windowOffset)
            if count > 0 && address == end {
                vectors[first &+ count &- 1].byteCount &+= byteCount
            } else {
                vectors[first &+ count] = Vector(address: address, byteCount: byteCount)
                count &+= 1
            }
            end = address &+ byteCount
        }
        return Int32(truncatingIfNeeded: count)
    }

    /// Stages what is left of a tag's request.
    private mutating func stage(_ tag: Int) {
        let left = pending[tag]
        var work = IORing.Work(kind: .nothing, token: UInt64(truncatingIfNeeded: tag))
        if !left.isDecided {
            work.offset = left.offset
            work.count = left.byteCount
            switch StorageOperation(rawValue: left.operation) {
            case .flush: work.kind = .synchronizeData
            case .discard: work.kind = .punchHole
            case .read, .write, nil:
                let isRead = left.operation == StorageOperation.read.rawValue
                let first = tag &* segmentLimit &+ Int(left.firstVector)
                if left.vectorCount == 1 || pieceByteCount < left.byteCount {
                    work.kind = isRead ? .read : .write
                    work.address = vectors[first].address
                    work.count = min(vectors[first].byteCount, pieceByteCount)
                } else {
                    work.kind = isRead ? .readVectors : .writeVectors
                    work.address = vectors.address(of: first)
                    work.count = UInt64(truncatingIfNeeded: left.vectorCount)
                }
            }
        }
        ring.stage(work, on: file)
    }

    /// Hands the kernel what was submitted, in one call.
    ///
    /// What it refuses to take, for lack of memory, fails with its reason.
    public mutating func flushSubmissions() {
        var tries = 0
        while ring.stagedCount > 0 {
            let result = ring.submit()
            if result > 0 { continue }
            tries &+= 1
            let mayPass = result == -EINTR || result == -EAGAIN || result == -EBUSY
            if mayPass && tries <= Int(Self.retryLimit) { continue }
            let reason =
                result == 0 ? Errno.resourceTemporarilyUnavailable : Errno(rawValue: -result)
            while let token = ring.withdraw() {
                refused.append(tag: Int(token), errno: reason)
            }
        }
    }

    /// Takes one completion, without waiting.
    public mutating func takeCompletion() -> StorageCompletion? {
        while true {
            if let completion = refused.takeFirst() { return completion }
            while let result = ring.takeResult() {
                let tag = Int(truncatingIfNeeded: result.token)
                if let verdict = settle(tag, result.code) {
                    return StorageCompletion(
                        tag: tag, errno: verdict == 0 ? nil : Errno(rawValue: verdict))
                }
            }
            // What is continued or tried again was staged by `settle`.
            guard ring.stagedCount > 0 else { return nil }
            flushSubmissions()
            if refused.count == 0 { return nil }
        }
    }

    /// Decides what a result means: 0 or an errno when the request is over, `nil` when it goes on.
    private mutating func settle(_ tag: Int, _ code: Int32) -> Int32? {
        var left = pending[tag]
        if left.isDecided { return left.verdict }
        if code == -EINTR || code == -EAGAIN {
            guard left.retries < Self.retryLimit else { return -code }
            left.retries &+= 1
            pending[tag] = left
            stage(tag)
            return nil
        }
        if left.operation == StorageOperation.flush.rawValue { return code < 0 ? -code : 0 }
        if left.operation == StorageOperation.discard.rawValue {
            return settleDiscard(left, code)
        }
        guard code >= 0 else { return -code }
        let moved = UInt64(code)
        if moved == left.byteCount { return 0 }
        // Nothing moved, or not whole sectors: the file has become shorter than the disk.
        guard moved > 0, moved < left.byteCount, moved % UInt64(sectorByteCount) == 0 else {
            return EIO
        }
        left.offset &+= moved
        left.byteCount &-= moved
        dropVectors(moved, of: tag, &left)
        pending[tag] = left
        stage(tag)
        return nil
    }

    /// A block device that cannot zero what it discards is asked to discard only.
    private func settleDiscard(_ left: Pending, _ code: Int32) -> Int32 {
        guard code < 0 else { return 0 }
        guard isBlockDevice, code == -EOPNOTSUPP else { return -code }
        return -croost_discard_blocks(file.rawValue, left.offset, left.byteCount)
    }

    /// Passes over the memory that was read into or written from.
    private mutating func dropVectors(_ byteCount: UInt64, of tag: Int, _ left: inout Pending) {
        var moved = byteCount
        while moved > 0 && left.vectorCount > 0 {
            let index = tag &* segmentLimit &+ Int(left.firstVector)
            let vector = vectors[index]
            if moved < vector.byteCount {
                vectors[index] = Vector(
                    address: vector.address &+ moved, byteCount: vector.byteCount &- moved)
                return
            }
            moved &-= vector.byteCount
            left.firstVector &+= 1
            left.vectorCount &-= 1
        }
    }
}
