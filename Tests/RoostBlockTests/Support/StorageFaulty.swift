import Glibc
import RoostBlock
import RoostMemory
import Synchronization
import SystemPackage
import TestSupport

/// A memory disk whose n-th request fails, and whose requests complete late and out of order.
///
/// A request touches its segments when it completes, not before, so that pages that were let go too
/// early are noticed.
final class FaultyStorage: BlockStorage {
    /// What goes wrong.
    struct Plan: Sendable {
        /// The errno of the n-th request of all queues, counted from 0; it transfers nothing.
        var failures: [Int: Errno] = [:]
        /// The most looks for a completion until a request is complete; 0 stands for at once.
        ///
        /// The number is random, so requests overtake each other.
        var lateness = 0
        /// Whether requests complete only as ``FaultyStorage/release(_:)`` says.
        var isHeld = false
        /// The seed of what is random.
        var seed: UInt64 = 0
    }

    let plan: Plan
    let geometry: DiskGeometry
    private let disk: MemoryStorage
    /// How many requests were submitted, of all queues.
    let submitted = Atomic<Int>(0)
    fileprivate let released = Atomic<Int>(0)
    private let bells = Mutex<[FileDescriptor]>([])

    /// Makes a disk of zeros.
    ///
    /// - Parameters:
    ///   - byteCount: Its length.
    ///   - plan: What goes wrong.
    ///   - geometry: What it says it is, where that differs.
    /// - Throws: `BlockError` for a length that no disk has.
    init(byteCount: UInt64, plan: Plan, geometry: DiskGeometry? = nil) throws {
        disk = try MemoryStorage(byteCount: byteCount)
        self.geometry = geometry ?? disk.geometry
        self.plan = plan
    }

    /// Lets that many held requests complete, of any queue.
    func release(_ count: Int) {
        released.add(count, ordering: .sequentiallyConsistent)
        bells.withLock { bells in
            for bell in bells { FaultyQueue.ring(bell) }
        }
    }

    func makeQueue(depth: Int, segmentLimit: Int) throws(BlockError) -> FaultyQueue {
        let inner = try disk.makeQueue(depth: depth, segmentLimit: segmentLimit)
        do {
            let pipe = try FileDescriptor.pipe()
            let queue = FaultyQueue(storage: self, inner: inner, bell: pipe)
            bells.withLock { $0.append(pipe.writeEnd) }
            return queue
        } catch {
            fatalError("no pipe: \(error)")
        }
    }

    fileprivate func forget(_ bell: FileDescriptor) {
        bells.withLock { bells in bells.removeAll { $0 == bell } }
    }
}

/// One thread's way to a ``FaultyStorage``.
struct FaultyQueue: ~Copyable, StorageQueue {
    private struct Held {
        var request: StorageRequest
        var segments: [StorageSegment]
        var window: PageWindow
        var errno: Errno?
        var looks: Int
    }

    private let storage: FaultyStorage
    private var inner: MemoryQueue
    private var held: [Held] = []
    private var random: SeededRandom
    private let bell: (readEnd: FileDescriptor, writeEnd: FileDescriptor)

    /// Readable while requests are under way, and after a release: a reader comes back often enough.
    var completionDescriptor: FileDescriptor? { bell.readEnd }

    fileprivate init(
        storage: FaultyStorage, inner: consuming MemoryQueue,
        bell: (readEnd: FileDescriptor, writeEnd: FileDescriptor)
    ) {
        self.storage = storage
        self.inner = inner
        self.bell = bell
        random = SeededRandom(seed: storage.plan.seed)
    }

    mutating func submit(
        _ request: StorageRequest, segments: Span<StorageSegment>, window: PageWindow
    ) {
        let number = storage.submitted.add(1, ordering: .sequentiallyConsistent).oldValue
        held.append(
            Held(
                request: request, segments: segments.indices.map { segments[$0] }, window: window,
                errno: storage.plan.failures[number],
                looks: Int.random(in: 0...storage.plan.lateness, using: &random)))
    }

    /// Tells the reader that there is something to look for.
    mutating func flushSubmissions() {
        if !held.isEmpty && !storage.plan.isHeld { Self.ring(bell.writeEnd) }
    }

    mutating func takeCompletion() -> StorageCompletion? {
        guard let index = nextIndex() else {
            hush()
            return nil
        }
        let ready = held.remove(at: index)
        if let errno = ready.errno {
            return StorageCompletion(tag: ready.request.tag, errno: errno)
        }
        inner.submit(ready.request, segments: ready.segments.span, window: ready.window)
        return inner.takeCompletion()
    }

    /// Which request completes now.
    private mutating func nextIndex() -> Int? {
        if held.isEmpty { return nil }
        if storage.plan.isHeld {
            let left = storage.released.load(ordering: .sequentiallyConsistent)
            guard left > 0 else { return nil }
            storage.released.subtract(1, ordering: .sequentiallyConsistent)
            return Int.random(in: 0..<held.count, using: &random)
        }
        for index in held.indices { held[index].looks -= 1 }
        return held.firstIndex { $0.looks < 0 }
    }

    /// Empties the bell, unless requests are under way that nobody holds.
    private func hush() {
        var bytes: [UInt8] = [0]
        var event = pollfd(fd: bell.readEnd.rawValue, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&event, 1, 0) == 1 {
            _ = try? unsafe bytes.withUnsafeMutableBytes { try unsafe bell.readEnd.read(into: $0) }
        }
        let isMissed = storage.released.load(ordering: .sequentiallyConsistent) > 0
        if !held.isEmpty && (isMissed || !storage.plan.isHeld) { Self.ring(bell.writeEnd) }
    }

    fileprivate static func ring(_ bell: FileDescriptor) {
        var event = pollfd(fd: bell.rawValue, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&event, 1, 0) == 1 else { return }
        _ = try? bell.writeAll([1])
    }

    deinit {
        storage.forget(bell.writeEnd)
        try? bell.readEnd.close()
        try? bell.writeEnd.close()
    }
}
