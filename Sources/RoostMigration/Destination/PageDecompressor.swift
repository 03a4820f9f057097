internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// Inflates zlib pages on worker threads, straight into the guest's memory: QEMU's
/// `decompress-threads`.
///
/// The loading thread copies the bodies of records into batches and goes on reading. A page whose
/// record has not been carried out yet is pending: any later record for it waits, so a page always
/// ends with what came last. Records of other pages may overtake each other.
///
///     record ─▶ batch ─▶ worker: inflate into the page ─▶ taken back: pending no more
///
/// A body that cannot be decoded ends the load with ``MigrationDialect/qemu72``. A source of 2015
/// compresses memory the guest is writing and sends such a page again, so with `qemu2015` it is
/// kept in mind until it comes, and only what is left at the end is an error.
///
/// Owned by one thread at a time. Nothing is allocated for a page that can be decoded.
struct PageDecompressor: ~Copyable {
    /// The most pages that may be undecodable at a time: a source that loses more is broken.
    static let badPageLimit = 65_536

    private let memory: MemorySpace
    private let dialect: MigrationDialect
    /// The blocks' names, for errors, by their index in the stream's list.
    var blockNames: [String]
    private var ring: BatchRing<DecompressionBatch>?
    private var inflater: Inflater
    /// One bit for each page that is pending.
    private var pending: FixedArray<UInt64>
    /// How many of them there are.
    private(set) var pendingCount = 0
    /// Where the pages came that could not be decoded and were not sent again.
    private var bad: [Int: Place] = [:]

    /// Where a record lay.
    struct Place: BitwiseCopyable, Sendable {
        var block: Int
        var offset: UInt64
        var streamOffset: UInt64
    }

    /// Makes the batches and starts the threads.
    ///
    /// - Parameters:
    ///   - memory: The guest's memory; pages are numbered through it.
    ///   - blockNames: The blocks' names, by their index in the stream's list.
    ///   - workerCount: How many threads, 0 to 255; with 0 pages are inflated at once.
    ///   - dialect: What an undecodable page means.
    ///   - starter: What starts the threads.
    /// - Throws: `MigrationError` of kind `limit` when there are too many threads, `transfer` when
    ///   there is no memory or a thread cannot be started; no thread is left then.
    init(
        into memory: MemorySpace, blockNames: [String], workerCount: Int,
        dialect: MigrationDialect = .standard, starter: ThreadStarter = .system
    ) throws(MigrationError) {
        guard (0...255).contains(workerCount) else {
            throw MigrationError(
                .limit, "cannot decompress with \(workerCount) threads: give 0 to 255")
        }
        let pending: FixedArray<UInt64>
        do throws(MemoryError) {
            pending = try FixedArray(count: memory.capacity / pageByteCount / 64 + 1)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
        var ring: BatchRing<DecompressionBatch>?
        if workerCount > 0 {
            ring = try Self.ring(memory, workerCount, starter)
        }
        self.init(memory, blockNames, dialect, ring, try Self.inflater(), pending)
    }

    private init(
        _ memory: MemorySpace, _ blockNames: [String], _ dialect: MigrationDialect,
        _ ring: consuming BatchRing<DecompressionBatch>?, _ inflater: consuming Inflater,
        _ pending: consuming FixedArray<UInt64>
    ) {
        self.memory = memory
        self.blockNames = blockNames
        self.dialect = dialect
        self.ring = ring
        self.inflater = inflater
        self.pending = pending
    }

    private static func ring(
        _ memory: MemorySpace, _ workerCount: Int, _ starter: ThreadStarter
    ) throws(MigrationError) -> BatchRing<DecompressionBatch> {
        var work: [@Sendable (DecompressionBatch) -> Void] = []
        for _ in 0..<workerCount {
            let worker = DecompressionWorker(memory, try inflater())
            work.append { batch in worker.decompress(batch) }
        }
        var ring = try BatchRing(
            workerCount: workerCount, batchesPerWorker: RecordBatch.perWorker
        ) { () throws(MigrationError) in try DecompressionBatch() }
        try ring.start(name: "decompress", starter: starter, work: work)
        return ring
    }

    private static func inflater() throws(MigrationError) -> Inflater {
        guard let inflater = Inflater(.zlib) else {
            throw MigrationError(.transfer, errno: .noMemory, "no memory for a zlib decoder")
        }
        return inflater
    }

    /// Has a page inflated, after an earlier record of the same page.
    ///
    /// - Parameters:
    ///   - body: The record's zlib stream, at most ``StreamFormat/compressedPageLimit`` bytes.
    ///   - record: The record.
    ///   - page: The page's number in the memory.
    /// - Throws: `MigrationError` of kind `malformed`: a record before it, or this one, cannot be
    ///   decoded; the first of them is named.
    /// - Precondition: The page is mapped.
    mutating func inflate(
        _ body: RawSpan, of record: PageRecord, page: Int
    ) throws(MigrationError) {
        precondition(page >= 0 && page < memory.byteCount / pageByteCount)
        let place = Place(
            block: record.block, offset: record.offset, streamOffset: record.streamOffset)
        guard body.byteCount <= StreamFormat.compressedPageLimit else {
            throw fault(place, "a compressed page of \(body.byteCount) bytes is too long")
        }
        guard ring != nil else {
            let isGood = Self.inflate(body, into: memory, page: page, &inflater)
            return try judge(page, place, isGood: isGood)
        }
        try wait(for: page)
        if ring?.isFull == true { _ = try takeBack(waits: true) }
        setPending(page)
        guard let batch = ring?.current else { return }
        batch.records.add(body, page: page, place)
        guard batch.records.isFull else { return }
        ring?.submit()
        while try takeBack(waits: false) {}
    }

    /// Waits until no record of a page is pending; to be called before any other record for the
    /// page is applied.
    ///
    /// - Throws: `MigrationError` of kind `malformed`, as ``inflate(_:of:page:)``.
    /// - Precondition: The page is mapped.
    mutating func wait(for page: Int) throws(MigrationError) {
        guard isPending(page) else { return }
        submitCurrent()
        while isPending(page), try takeBack(waits: true) {}
    }

    /// Takes note that a record of another kind brought a page whole.
    ///
    /// It no longer matters then that the page could not be decoded. A delta does not bring a page
    /// whole.
    mutating func replaced(page: Int) {
        guard !bad.isEmpty else { return }
        bad[page] = nil
    }

    /// Waits until no record is pending: at the end of a section.
    ///
    /// - Throws: `MigrationError` of kind `malformed`, as ``inflate(_:of:page:)``.
    mutating func drain() throws(MigrationError) {
        submitCurrent()
        while try takeBack(waits: true) {}
    }

    /// Waits until no record is pending, and refuses a load that left undecodable pages behind:
    /// at the end of the memory.
    ///
    /// - Throws: `MigrationError` of kind `malformed`, as ``inflate(_:of:page:)``, or naming how
    ///   many pages are left and the first of them in the stream.
    mutating func finish() throws(MigrationError) {
        try drain()
        guard let first = bad.values.min(by: { $0.streamOffset < $1.streamOffset }) else { return }
        throw fault(
            first,
            "the first of \(bad.count) compressed pages that could not be decoded and were not "
                + "sent again")
    }

    /// Ends the threads and waits for them; what is pending is lost.
    ///
    /// Also done when the decompressor ends. Nothing can be given afterwards.
    mutating func stop() {
        ring?.stop()
    }

    private mutating func submitCurrent() {
        guard ring?.isFull == false, let count = ring?.current.records.count, count > 0 else {
            return
        }
        ring?.submit()
    }

    /// Takes a batch back.
    ///
    /// - Returns: `false` when none is ready, or none in flight.
    private mutating func takeBack(waits: Bool) throws(MigrationError) -> Bool {
        guard let batch = ring?.takeOldest(waits: waits) else { return false }
        var failure: MigrationError?
        for index in 0..<batch.records.count {
            let entry = batch.records.entry(index)
            clearPending(entry.page)
            do throws(MigrationError) {
                try judge(entry.page, entry.place, isGood: entry.isGood)
            } catch {
                failure = failure ?? error
            }
        }
        batch.records.reset()
        ring?.release()
        if let failure { throw failure }
        return true
    }

    /// What it means whether a page could be decoded.
    private mutating func judge(
        _ page: Int, _ place: Place, isGood: Bool
    ) throws(MigrationError) {
        guard !isGood else { return replaced(page: page) }
        guard dialect == .qemu2015 else {
            throw fault(place, "the compressed page cannot be decoded")
        }
        bad[page] = place
        guard bad.count <= Self.badPageLimit else {
            throw fault(
                place, "more than \(Self.badPageLimit) compressed pages cannot be decoded")
        }
    }

    /// Decodes a page in place, so that a stream of less than a page leaves the rest as it was,
    /// and bytes behind the stream are passed over: both as QEMU does.
    static func inflate(
        _ body: RawSpan, into memory: MemorySpace, page: Int, _ inflater: inout Inflater
    ) -> Bool {
        inflater.reset()
        return memory.withMutablePage(at: page &* pageByteCount) { target in
            inflater.inflate(body, into: &target).outcome == .end
        }
    }

    private func isPending(_ page: Int) -> Bool {
        pending[page >> 6] & (1 << UInt64(page & 63)) != 0
    }

    private mutating func setPending(_ page: Int) {
        pending[page >> 6] |= 1 << UInt64(page & 63)
        pendingCount &+= 1
    }

    private mutating func clearPending(_ page: Int) {
        pending[page >> 6] &= ~(1 << UInt64(page & 63))
        pendingCount &-= 1
    }

    // The text is made in here, so that what loads pages counts no references.
    @inline(never)
    private func fault(_ place: Place, _ what: @autoclosure () -> String) -> MigrationError {
        let name = blockNames.indices.contains(place.block) ? blockNames[place.block] : "?"
        return MigrationError(
            .malformed, block: name, blockOffset: place.offset, streamOffset: place.streamOffset,
            "at stream offset \(place.streamOffset), block \(name) offset "
                + "0x\(hex(place.offset)): \(what())")
    }
}

/// A batch that goes round between the loading thread and a worker.
final class DecompressionBatch: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the ring's semaphores let one thread at a time have the batch.
    var records: RecordBatch

    init() throws(MigrationError) {
        records = try RecordBatch()
    }
}

/// Records on their way through a worker.
struct RecordBatch: ~Copyable {
    /// As for compression: a hand-over is to be little beside the work.
    static let pageLimit = 32
    /// One at work, one waiting, one being filled.
    static let perWorker = 3

    struct Entry: BitwiseCopyable, Sendable {
        var page: Int
        var place: PageDecompressor.Place
        var start: Int
        var byteCount: Int
        var isGood: Bool
    }

    private var bodies = ByteQueue(capacity: pageLimit * StreamFormat.compressedPageLimit)
    private var entries: FixedArray<Entry>
    private(set) var count = 0

    var isFull: Bool { count == Self.pageLimit }

    init() throws(MigrationError) {
        do throws(MemoryError) {
            self.init(try FixedArray(count: Self.pageLimit))
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
    }

    private init(_ entries: consuming FixedArray<Entry>) {
        self.entries = entries
    }

    mutating func add(_ body: RawSpan, page: Int, _ place: PageDecompressor.Place) {
        entries[count] = Entry(
            page: page, place: place, start: bodies.count, byteCount: body.byteCount,
            isGood: false)
        bodies.append(body)
        count &+= 1
    }

    func entry(_ index: Int) -> Entry { entries[index] }

    mutating func decompress(into memory: MemorySpace, with inflater: inout Inflater) {
        for index in 0..<count {
            let entry = entries[index]
            entries[index].isGood = PageDecompressor.inflate(
                bodies.bytes.extracting(entry.start..<entry.start &+ entry.byteCount),
                into: memory, page: entry.page, &inflater)
        }
    }

    mutating func reset() {
        count = 0
        bodies.removeAll()
    }
}

/// A worker's decoder.
final class DecompressionWorker: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): made by the starter, then used by one thread alone.
    private let memory: MemorySpace
    private var inflater: Inflater

    init(_ memory: MemorySpace, _ inflater: consuming Inflater) {
        self.memory = memory
        self.inflater = inflater
    }

    func decompress(_ batch: DecompressionBatch) {
        batch.records.decompress(into: memory, with: &inflater)
    }
}
