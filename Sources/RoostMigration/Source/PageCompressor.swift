internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// Compresses pages on worker threads, each as a zlib stream of its own: QEMU's `compress`.
///
/// The migration thread copies pages into batches, so that workers never look at memory the guest
/// can write, and takes the batches back in the order it filled them. Between ``flush(_:)``s pages
/// leave in the order they came; what is sent by another way meanwhile overtakes them. So the
/// caller flushes before a page can come a second time, which is whenever the search for dirty
/// pages begins anew, and before the end of the memory.
///
/// Owned by one thread at a time. Nothing is allocated for a page.
struct PageCompressor: ~Copyable {
    /// What became of a page that was given.
    enum Added: Equatable, Sendable {
        /// It will be delivered.
        case accepted
        /// No worker was free; it was not taken.
        case busy
    }

    /// A page that comes back.
    struct Page: Equatable, Sendable {
        /// Its block, as it was given.
        let block: Int
        /// Where in the block, as it was given.
        let offset: UInt64
        /// `compressed` where the bytes are a zlib stream, `plain` where that would be no shorter
        /// than the page, whose bytes they are then.
        let kind: PageKind
    }

    /// QEMU's `compression`, counted as pages are delivered.
    struct Statistics: Equatable, Sendable {
        /// Pages delivered.
        var pages: UInt64 = 0
        /// Pages for which no worker was free.
        var busy: UInt64 = 0
        /// What the pages came to, without their records' words.
        var compressedByteCount: UInt64 = 0

        /// How many bytes of pages one byte of the stream stands for; 0 before the first page.
        var rate: Double {
            guard compressedByteCount > 0 else { return 0 }
            return Double(pages) * Double(pageByteCount) / Double(compressedByteCount)
        }
    }

    private var ring: BatchRing<CompressionBatch>
    private let waitsForThread: Bool

    /// What was counted so far.
    private(set) var statistics = Statistics()

    /// Makes the batches and starts the threads.
    ///
    /// - Parameters:
    ///   - options: How pages are compressed.
    ///   - starter: What starts the threads.
    /// - Throws: `MigrationError` of kind `limit` when an option lies outside its range,
    ///   `transfer` when there is no memory or a thread cannot be started; no thread is left then.
    init(
        _ options: MigrationParameters.Compression, starter: ThreadStarter = .system
    ) throws(MigrationError) {
        guard (1...255).contains(options.threads) else {
            throw MigrationError(
                .limit, "cannot compress with \(options.threads) threads: give 1 to 255")
        }
        guard (0...9).contains(options.level) else {
            throw MigrationError(
                .limit, "cannot compress at level \(options.level): zlib's levels are 0 to 9")
        }
        var work: [@Sendable (CompressionBatch) -> Void] = []
        for _ in 0..<options.threads {
            let worker = try CompressionWorker(level: options.level)
            work.append { batch in worker.compress(batch) }
        }
        var ring = try BatchRing(
            workerCount: options.threads, batchesPerWorker: PageBatch.perWorker
        ) { () throws(MigrationError) in try CompressionBatch() }
        try ring.start(name: "compress", starter: starter, work: work)
        self.init(ring, options.waitsForThread)
    }

    private init(_ ring: consuming BatchRing<CompressionBatch>, _ waitsForThread: Bool) {
        self.ring = ring
        self.waitsForThread = waitsForThread
    }

    /// Gives a page, which is copied; it must not be all zero.
    ///
    /// - Parameters:
    ///   - bytes: The page, which the guest may be writing.
    ///   - block: Its block, as an index into the stream's list.
    ///   - offset: Where in the block, in bytes.
    ///   - deliver: Is given earlier pages that are ready, oldest first, to be sent.
    /// - Returns: Whether it was taken.
    /// - Throws: What `deliver` throws; the page it was given counts as delivered, the one to be
    ///   added was not taken.
    mutating func add<Failure: Error>(
        _ bytes: RawSpan, block: Int, offset: UInt64,
        _ deliver: (Page, RawSpan) throws(Failure) -> Void
    ) throws(Failure) -> Added {
        if ring.isFull, try !deliverOldest(waits: waitsForThread, deliver) {
            statistics.busy &+= 1
            return .busy
        }
        let batch = ring.current
        batch.pages.add(bytes, block: block, offset: offset)
        guard batch.pages.isFull else { return .accepted }
        ring.submit()
        while try deliverOldest(waits: false, deliver) {}
        return .accepted
    }

    /// Waits for every page that was given and delivers it.
    ///
    /// - Parameter deliver: Is given the pages, oldest first.
    /// - Throws: What `deliver` throws; what was not delivered waits for the next call.
    mutating func flush<Failure: Error>(
        _ deliver: (Page, RawSpan) throws(Failure) -> Void
    ) throws(Failure) {
        if !ring.isFull, ring.current.pages.count > 0 { ring.submit() }
        while try deliverOldest(waits: true, deliver) {}
    }

    /// Ends the threads and waits for them; what was not delivered is lost.
    ///
    /// Also done when the compressor ends. Nothing can be given afterwards.
    mutating func stop() {
        ring.stop()
    }

    /// Delivers a batch.
    ///
    /// - Returns: `false` when none is ready, or none in flight.
    private mutating func deliverOldest<Failure: Error>(
        waits: Bool, _ deliver: (Page, RawSpan) throws(Failure) -> Void
    ) throws(Failure) -> Bool {
        guard let batch = ring.takeOldest(waits: waits) else { return false }
        while let byteCount = try batch.pages.deliverNext(deliver) {
            statistics.pages &+= 1
            statistics.compressedByteCount &+= UInt64(byteCount)
        }
        batch.pages.reset()
        ring.release()
        return true
    }
}

/// A batch that goes round between the migration thread and a worker.
final class CompressionBatch: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the ring's semaphores let one thread at a time have the batch.
    var pages: PageBatch

    init() throws(MigrationError) {
        pages = try PageBatch()
    }
}

/// Pages on their way through a worker.
struct PageBatch: ~Copyable {
    /// How many pages a batch holds: enough that handing it over, some microseconds when a thread
    /// has to be woken, is little beside the work on it.
    static let pageLimit = 32
    /// How many batches a worker has: one at work, one waiting, one being filled or written out.
    static let perWorker = 3

    struct Entry: BitwiseCopyable, Sendable {
        var block: Int
        var offset: UInt64
        /// Where the zlib stream lies in the output, and its length: 0 where the page itself is to
        /// be sent.
        var start: Int
        var byteCount: Int
    }

    private var pages: MappedRegion
    private var output = ByteQueue(capacity: pageLimit * StreamFormat.compressedPageLimit)
    private var entries: FixedArray<Entry>
    private var delivered = 0
    private(set) var count = 0

    var isFull: Bool { count == Self.pageLimit }

    init() throws(MigrationError) {
        do throws(MemoryError) {
            let pages = try MappedRegion.anonymous(byteCount: Self.pageLimit * pageByteCount)
            self.init(pages, try FixedArray(count: Self.pageLimit))
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
    }

    private init(_ pages: consuming MappedRegion, _ entries: consuming FixedArray<Entry>) {
        self.pages = pages
        self.entries = entries
    }

    mutating func add(_ bytes: RawSpan, block: Int, offset: UInt64) {
        var page = pages.mutablePage(at: count &* pageByteCount)
        page.replaceAll(with: bytes)
        entries[count] = Entry(block: block, offset: offset, start: 0, byteCount: 0)
        count &+= 1
    }

    mutating func compress(with deflater: inout PageDeflater) {
        for index in 0..<count {
            entries[index].start = output.count
            entries[index].byteCount = Self.compress(index, of: pages, into: &output, &deflater)
        }
    }

    /// Puts a page's zlib stream into the output, if its record is shorter than the page's own.
    private static func compress(
        _ index: Int, of pages: borrowing MappedRegion, into output: inout ByteQueue,
        _ deflater: inout PageDeflater
    ) -> Int {
        let page = pages.page(at: index &* pageByteCount)
        return output.append(upTo: StreamFormat.compressedPageLimit) { room in
            let byteCount = deflater.deflate(page, into: &room)
            // The record of a zlib stream has a length of four bytes, the page's own has none.
            return byteCount &+ 4 < pageByteCount ? byteCount : 0
        }
    }

    /// Delivers the next page.
    ///
    /// - Returns: The length of its record's body, or `nil` when all were delivered.
    mutating func deliverNext<Failure: Error>(
        _ deliver: (PageCompressor.Page, RawSpan) throws(Failure) -> Void
    ) throws(Failure) -> Int? {
        guard delivered < count else { return nil }
        let index = delivered
        let entry = entries[index]
        delivered &+= 1
        guard entry.byteCount > 0 else {
            let page = PageCompressor.Page(
                block: entry.block, offset: entry.offset, kind: .plain)
            try deliver(page, pages.page(at: index &* pageByteCount))
            return pageByteCount
        }
        let page = PageCompressor.Page(
            block: entry.block, offset: entry.offset, kind: .compressed)
        try deliver(
            page, output.bytes.extracting(entry.start..<entry.start &+ entry.byteCount))
        return entry.byteCount &+ 4
    }

    mutating func reset() {
        count = 0
        delivered = 0
        output.removeAll()
    }
}

/// A worker's encoder.
final class CompressionWorker: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): made by the starter, then used by one thread alone.
    private var deflater: PageDeflater

    init(level: Int) throws(MigrationError) {
        guard let deflater = PageDeflater(level: level) else {
            throw MigrationError(.transfer, errno: .noMemory, "no memory for a zlib encoder")
        }
        self.deflater = deflater
    }

    func compress(_ batch: CompressionBatch) {
        batch.pages.compress(with: &deflater)
    }
}
