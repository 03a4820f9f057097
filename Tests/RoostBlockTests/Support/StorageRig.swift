import Glibc
import RoostBlock
import RoostMemory
import SystemPackage
import TestSupport

/// Drives one queue of a storage, and keeps beside it what the disk must hold.
struct StorageRig<Queue: StorageQueue & ~Copyable>: ~Copyable {
    /// The most pages of one request.
    static var pagesEach: Int { 8 }

    struct TimedOut: Error {}

    var queue: Queue
    let window: PageWindow
    let depth: Int
    /// What the disk must hold.
    var expected: [UInt8]
    /// By tag: what a read under way must bring, and where.
    private var reads: [Int: (segments: [StorageSegment], bytes: [UInt8])] = [:]
    private var ranges: [Int: Range<Int>] = [:]
    private var free: [Int]
    /// What was read and differed from what the disk must hold.
    private(set) var mismatches = 0
    /// The requests that failed.
    private(set) var failures: [Int: Errno] = [:]
    private(set) var completed = 0

    static func make<Storage: BlockStorage>(
        _ storage: Storage, depth: Int
    ) throws -> StorageRig<Queue> where Storage.Queue == Queue {
        let window = try PageWindow(pageCount: depth * pagesEach)
        try window.mapAnonymous(count: depth * pagesEach, at: 0)
        return StorageRig(
            queue: try storage.makeQueue(depth: depth, segmentLimit: 2 * pagesEach),
            window: window, depth: depth,
            byteCount: Int(storage.geometry.sectorCount) * sectorByteCount)
    }

    private init(queue: consuming Queue, window: PageWindow, depth: Int, byteCount: Int) {
        self.queue = queue
        self.window = window
        self.depth = depth
        expected = [UInt8](repeating: 0, count: byteCount)
        free = Array(0..<depth)
    }

    var underWay: Int { depth - free.count }

    /// Cuts a length into whole sectors at random places of a tag's pages, in order.
    func segments(
        ofSectors count: Int, tag: Int, using random: inout SeededRandom
    ) -> [StorageSegment] {
        var left = count
        var segments: [StorageSegment] = []
        var page = tag * Self.pagesEach
        var first = Int.random(in: 0..<8, using: &random)
        while left > 0 {
            let length = min(left, Int.random(in: 1...(8 - first), using: &random))
            segments.append(
                StorageSegment(
                    windowOffset: page * pageByteCount + first * sectorByteCount,
                    byteCount: length * sectorByteCount))
            left -= length
            page += 1
            first = Bool.random(using: &random) ? 0 : Int.random(in: 0..<8, using: &random)
            // The last pages are used whole, so that any length fits.
            if left > ((tag + 1) * Self.pagesEach - page - 1) * 8 { first = 0 }
            if page == (tag + 1) * Self.pagesEach { break }
        }
        return segments
    }

    /// Submits an operation on a range of the disk, which nothing under way touches afterwards.
    mutating func start(
        _ operation: StorageOperation, sectors: Range<Int>, using random: inout SeededRandom
    ) throws {
        let range = sectors.lowerBound * sectorByteCount..<sectors.upperBound * sectorByteCount
        while free.isEmpty || ranges.values.contains(where: { $0.overlaps(range) }) {
            try settleOne()
        }
        let tag = free.removeLast()
        var segments: [StorageSegment] = []
        var count = sectors.count
        if operation == .read || operation == .write {
            segments = self.segments(ofSectors: sectors.count, tag: tag, using: &random)
            count = segments.reduce(0) { $0 + $1.byteCount } / sectorByteCount
        }
        let touched = range.lowerBound..<range.lowerBound + count * sectorByteCount
        switch operation {
        case .read:
            reads[tag] = (segments, Array(expected[touched]))
        case .write:
            let bytes = (0..<touched.count).map { _ in UInt8.random(in: 0 ... .max, using: &random)
            }
            expected.replaceSubrange(touched, with: bytes)
            fill(segments, with: bytes)
        case .discard:
            expected.replaceSubrange(touched, with: repeatElement(0, count: touched.count))
        case .flush: break
        }
        ranges[tag] = operation == .flush ? 0..<0 : touched
        let request = StorageRequest(
            operation, sector: UInt64(sectors.lowerBound),
            sectorCount: operation == .flush ? 0 : UInt64(count), tag: tag)
        queue.submit(request, segments: segments.span, window: window)
    }

    private func fill(_ segments: [StorageSegment], with bytes: [UInt8]) {
        var place = 0
        for segment in segments {
            let part = Array(bytes[place..<place + segment.byteCount])
            window.copy(unsafe part.span.bytes, to: segment.windowOffset)
            place += segment.byteCount
        }
    }

    /// Waits for a completion and checks what it brought.
    mutating func settleOne() throws {
        queue.flushSubmissions()
        let completion = try waitForCompletion()
        completed += 1
        ranges[completion.tag] = nil
        free.append(completion.tag)
        if let errno = completion.errno { failures[completion.tag] = errno }
        guard let read = reads.removeValue(forKey: completion.tag), completion.errno == nil else {
            return
        }
        var place = 0
        for segment in read.segments {
            let found = [UInt8](
                window.bytes(at: segment.windowOffset, count: segment.byteCount))
            if found != Array(read.bytes[place..<place + segment.byteCount]) { mismatches += 1 }
            place += segment.byteCount
        }
    }

    /// Waits until nothing is under way.
    mutating func settleAll() throws {
        while underWay > 0 { try settleOne() }
    }

    /// Takes the next completion, sleeping where the storage has something to sleep on.
    mutating func waitForCompletion() throws -> StorageCompletion {
        while true {
            if let completion = queue.takeCompletion() { return completion }
            guard let descriptor = queue.completionDescriptor else { throw TimedOut() }
            var event = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            let result = unsafe poll(&event, 1, 20_000)
            guard result != 0 else { throw TimedOut() }
        }
    }

    /// Carries out one request on its own and answers its errno.
    mutating func run(
        _ operation: StorageOperation, sector: UInt64, sectorCount: UInt64,
        segments: [StorageSegment] = []
    ) throws -> Errno? {
        let request = StorageRequest(
            operation, sector: sector, sectorCount: sectorCount, tag: depth - 1)
        queue.submit(request, segments: segments.span, window: window)
        queue.flushSubmissions()
        return try waitForCompletion().errno
    }

    /// Writes or reads sectors in one run of pages, and answers the errno.
    mutating func run(
        _ operation: StorageOperation, sectors: Range<Int>
    ) throws -> Errno? {
        var segments: [StorageSegment] = []
        var left = sectors.count * sectorByteCount
        while left > 0 && (operation == .read || operation == .write) {
            segments.append(
                StorageSegment(
                    windowOffset: segments.count * pageByteCount,
                    byteCount: min(left, pageByteCount)))
            left -= pageByteCount
        }
        return try run(
            operation, sector: UInt64(sectors.lowerBound), sectorCount: UInt64(sectors.count),
            segments: segments)
    }
}
