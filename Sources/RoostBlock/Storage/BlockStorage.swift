public import RoostMemory
public import SystemPackage

/// Where a disk's sectors are kept.
///
/// One storage is shared by all of a disk's queues; each queue's thread makes a
/// ``StorageQueue`` of its own and hands its requests to that.
public protocol BlockStorage: AnyObject, Sendable {
    associatedtype Queue: StorageQueue & ~Copyable

    /// What the disk is.
    var geometry: DiskGeometry { get }

    /// Makes what one thread reads and writes the storage through.
    ///
    /// - Parameters:
    ///   - depth: How many requests can be under way at once, at least one.
    ///   - segmentLimit: The most segments of a request, at least one.
    /// - Returns: The way, for the calling thread.
    /// - Throws: `BlockError` of kind `storage`.
    func makeQueue(depth: Int, segmentLimit: Int) throws(BlockError) -> Queue
}

/// What a request asks of the storage.
public enum StorageOperation: UInt8, Sendable, BitwiseCopyable {
    case read, write
    /// Makes durable what was complete before.
    case flush
    /// Gives sectors up: they read as zero or as before; there are no segments.
    case discard
}

/// A piece of a window that is read into or written from: whole sectors inside one page.
public struct StorageSegment: Hashable, Sendable, BitwiseCopyable {
    /// The first byte in the window.
    public var windowOffset: Int
    /// How many bytes.
    public var byteCount: Int

    /// Describes a piece of a window.
    public init(windowOffset: Int, byteCount: Int) {
        self.windowOffset = windowOffset
        self.byteCount = byteCount
    }
}

/// One request to the storage, already checked: it lies inside the disk, and its segments' bytes
/// add up to its sectors.
public struct StorageRequest: Sendable {
    /// What to do.
    public var operation: StorageOperation
    /// The first sector, in units of 512 bytes.
    public var sector: UInt64
    /// How many sectors of 512 bytes; 0 for a flush.
    public var sectorCount: UInt64
    /// What the completion is known by: below the queue's depth, one request at a time.
    public var tag: Int

    /// Describes a request.
    public init(_ operation: StorageOperation, sector: UInt64, sectorCount: UInt64, tag: Int) {
        self.operation = operation
        self.sector = sector
        self.sectorCount = sectorCount
        self.tag = tag
    }
}

/// A request that has ended.
public struct StorageCompletion: Hashable, Sendable {
    /// The request's tag.
    public let tag: Int
    /// Why it failed, or `nil`.
    public let errno: Errno?

    package init(tag: Int, errno: Errno?) {
        self.tag = tag
        self.errno = errno
    }
}

/// One thread's way to the storage.
///
/// Requests may complete in any order.
public protocol StorageQueue: ~Copyable {
    /// Readable when completions wait to be taken, for poll(2); `nil` when every request is complete
    /// as soon as it is submitted.
    var completionDescriptor: FileDescriptor? { get }

    /// Takes a request on.
    ///
    /// The pieces of the window stay mapped until the request is complete.
    ///
    /// - Parameters:
    ///   - request: What to do.
    ///   - segments: From where or where to, in order.
    ///   - window: Where the segments lie.
    mutating func submit(
        _ request: StorageRequest, segments: Span<StorageSegment>, window: PageWindow)

    /// Hands what was submitted to the system, in one call.
    mutating func flushSubmissions()

    /// Takes one completion, without waiting.
    mutating func takeCompletion() -> StorageCompletion?
}
