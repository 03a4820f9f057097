internal import RoostMemory

/// Chooses the record for each dirty page and writes it: zero, then delta or compressed, then
/// plain.
///
/// A value without input or output of its own: records gather in ``writer``, whose bytes its owner
/// takes away. Owned by the source's thread.
struct SourceEngine: ~Copyable {
    /// What was sent of each kind, in pages.
    struct Counts: Equatable, Sendable {
        /// Pages of zeros: QEMU's `duplicate`.
        var zero: UInt64 = 0
        /// Pages sent whole: QEMU's `normal`.
        var normal: UInt64 = 0
        /// Pages written of any kind, and those found unchanged.
        var handled: UInt64 = 0
    }

    /// Takes the writer's bytes away.
    typealias Flush = (inout ByteQueue) throws(MigrationError) -> Void

    private(set) var memory: SourceMemory
    var bitmap: DirtyBitmap
    var writer: StreamWriter
    var deltas: DeltaEncoder?
    var compressor: PageCompressor?
    private(set) var counts = Counts()
    /// How many times the tracker was asked: the age of what the cache holds.
    private(set) var round: UInt64 = 0
    /// Whether the guest is stopped and what is sent now is the last.
    var isLastRound = false

    private let dialect: MigrationDialect
    private var search = PageSearch()
    private var usedPages: [Range<Int>] = []
    /// The block whose first page was sent, as far as compression is concerned.
    private var compressedBlock = -1

    init(
        _ memory: consuming SourceMemory, _ bitmap: consuming DirtyBitmap,
        _ deltas: consuming DeltaEncoder?, _ compressor: consuming PageCompressor?,
        dialect: MigrationDialect
    ) {
        self.memory = memory
        self.bitmap = bitmap
        self.deltas = deltas
        self.compressor = compressor
        self.dialect = dialect
        // Larger ones pass a core's cache and make the copy into the socket half as fast.
        writer = StreamWriter(capacity: 256 << 10)
        blocksChanged()
    }

    /// Whether the first round is not over yet.
    var isFirstRound: Bool { search.isFirstRound }

    /// What is left to send, in bytes.
    var remainingByteCount: UInt64 { UInt64(bitmap.dirtyCount) * UInt64(pageByteCount) }

    // MARK: Blocks

    /// Adds blocks, all of whose pages are dirty, and begins the search anew with a first round.
    ///
    /// - Returns: The blocks as a tracker sees them.
    mutating func add(_ blocks: [MigratedBlock]) throws(MigrationError) -> [TrackedBlock] {
        let first = memory.blocks.count
        defer { blocksChanged() }
        _ = try memory.add(blocks)
        try bitmap.grow(to: memory.pageCount)
        return memory.blocks[first...].map(\.tracked)
    }

    private mutating func blocksChanged() {
        usedPages = memory.blocks.map(\.usedPages)
        search.restart()
        compressedBlock = -1
        memory.forgetHoles()
        // The new first round sends pages without looking into the cache, which is stale then.
        deltas?.cache.removeAll()
        clearUnused()
    }

    /// Asks a tracker which pages were written.
    ///
    /// What it finds may have been written to holes, so which pages lie in holes is asked anew.
    mutating func collect(from tracker: any DirtyTracker) throws(MigrationError) {
        round += 1
        try tracker.collect(into: &bitmap)
        clearUnused()
        memory.forgetHoles()
    }

    /// Pages between a block's used and its maximum length are never sent.
    private mutating func clearUnused() {
        for block in memory.blocks where block.usedPages.count < block.pages.count {
            bitmap.clear(block.usedPages.upperBound..<block.pages.upperBound)
        }
    }

    /// The blocks as the stream lists them.
    var list: [RAMBlockDescription] {
        memory.blocks.map {
            RAMBlockDescription(name: $0.block.name, usedByteCount: $0.block.usedByteCount)
        }
    }

    /// Reads pages from a tracker's copy from now on.
    mutating func read(from snapshot: MemorySpace) {
        memory.read(from: snapshot)
    }

    // MARK: Pages

    /// Sends dirty pages until there are none or it is told to pause.
    ///
    /// - Parameters:
    ///   - pauses: Asked before each page, with how many were sent by this call and how many bytes
    ///     wait in the writer.
    ///   - flush: Takes the writer's bytes away when they fill it.
    /// - Returns: Whether no page is dirty any more.
    /// - Throws: What `pauses` and `flush` throw.
    mutating func sendPages(
        pausing pauses: (Int, Int) throws(MigrationError) -> Bool, flush: Flush
    ) throws(MigrationError) -> Bool {
        let space = memory.readable
        var sent = 0
        while try !pauses(sent, writer.output.count) {
            switch search.step(in: bitmap, usedPages) {
            case .page(let page, let block):
                // Cleared before it is looked at: a write that comes later is reported again.
                bitmap.clear(page)
                try send(page, block: block, from: space, flush)
                if !writer.hasRoom { try flush(&writer.output) }
                sent &+= 1
            case .roundEnded:
                try endRound(flush)
            case .nothing:
                return true
            }
        }
        return false
    }

    /// At the end of a round no page may wait in a worker: it can come again, and after the first
    /// round as a delta.
    private mutating func endRound(_ flush: Flush) throws(MigrationError) {
        try flushCompressor(flush)
        compressedBlock = -1
    }

    /// Writes what the workers still have.
    mutating func flushCompressor(_ flush: Flush) throws(MigrationError) {
        try Self.flush(&compressor, &writer, &counts, flush)
    }

    private mutating func send(
        _ page: Int, block: Int, from space: MemorySpace, _ flush: Flush
    ) throws(MigrationError) {
        counts.handled &+= 1
        let offset = UInt64(page &- usedPages[block].lowerBound) &* UInt64(pageByteCount)
        if search.isFirstRound, memory.isHole(page, block: block) {
            sendZero(page, block, offset)
            return
        }
        memory.willLook(at: page)
        let bytes = space.page(at: page &* pageByteCount)
        guard !bytes.isZero else {
            sendZero(page, block, offset)
            return
        }
        if compressor != nil, search.isFirstRound || deltas == nil {
            try compress(bytes, block, offset, flush)
        } else if !search.isFirstRound, deltas != nil {
            encode(bytes, page, block, offset)
        } else {
            sendWhole(bytes, block, offset)
        }
    }

    private mutating func sendZero(_ page: Int, _ block: Int, _ offset: UInt64) {
        writer.zeroPage(block: block, offset: offset)
        counts.zero &+= 1
        // No copy of what the page was may serve as base of a delta.
        if !search.isFirstRound, !isLastRound { deltas?.cache.zeroed(page, round: round) }
    }

    private mutating func sendWhole(_ bytes: RawSpan, _ block: Int, _ offset: UInt64) {
        writer.plainPage(block: block, offset: offset, bytes)
        counts.normal &+= 1
    }

    private mutating func encode(_ bytes: RawSpan, _ page: Int, _ block: Int, _ offset: UInt64) {
        let outcome = deltas?.encode(
            bytes, page: page, block: block, offset: offset, round: round,
            isLastRound: isLastRound, into: &writer)
        switch outcome {
        case .overflow, .miss: counts.normal &+= 1
        case .skipped, .delta, nil: break
        }
    }

    /// Gives a page to the workers.
    ///
    /// The first page of a block goes out at once, whole by 7.2 and compressed by 2015: it names
    /// the block.
    private mutating func compress(
        _ bytes: RawSpan, _ block: Int, _ offset: UInt64, _ flush: Flush
    ) throws(MigrationError) {
        let isFirstOfBlock = block != compressedBlock
        if isFirstOfBlock {
            try flushCompressor(flush)
            compressedBlock = block
            if dialect == .qemu72 { return sendWhole(bytes, block, offset) }
        }
        let added = try Self.add(
            bytes, block, offset, &compressor, &writer, &counts, flush)
        if added == .busy { sendWhole(bytes, block, offset) }
        if isFirstOfBlock { try flushCompressor(flush) }
    }

    // Each takes the parts it works on: two parts of self cannot be lent at once.

    private static func add(
        _ bytes: RawSpan, _ block: Int, _ offset: UInt64, _ compressor: inout PageCompressor?,
        _ writer: inout StreamWriter, _ counts: inout Counts, _ flush: Flush
    ) throws(MigrationError) -> PageCompressor.Added? {
        try compressor?.add(bytes, block: block, offset: offset) {
            page, bytes throws(MigrationError) in
            try deliver(page, bytes, &writer, &counts, flush)
        }
    }

    private static func flush(
        _ compressor: inout PageCompressor?, _ writer: inout StreamWriter,
        _ counts: inout Counts, _ flush: Flush
    ) throws(MigrationError) {
        try compressor?.flush { page, bytes throws(MigrationError) in
            try deliver(page, bytes, &writer, &counts, flush)
        }
    }

    private static func deliver(
        _ page: PageCompressor.Page, _ bytes: RawSpan, _ writer: inout StreamWriter,
        _ counts: inout Counts, _ flush: Flush
    ) throws(MigrationError) {
        if page.kind == .compressed {
            writer.compressedPage(block: page.block, offset: page.offset, bytes)
        } else {
            writer.plainPage(block: page.block, offset: page.offset, bytes)
            counts.normal &+= 1
        }
        if !writer.hasRoom { try flush(&writer.output) }
    }
}
