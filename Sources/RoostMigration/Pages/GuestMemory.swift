internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// A guest's memory as a stream has brought it so far.
///
/// All blocks lie in one mapping, one behind the other; a page takes memory only once something
/// other than zero was written to it. Records are applied in place and in the order of the
/// stream. Nothing outside the blocks is ever written: a record's offset is checked again here.
///
/// Owned by one thread at a time.
public struct GuestMemory: ~Copyable, Sendable {
    /// The blocks' memory, one behind the other.
    let space: MemorySpace
    /// Where each block of the stream's list begins in the space, and how long it is.
    private(set) var starts: [Int]
    private(set) var usedByteCounts: [Int]
    /// Every block that is here, in the order in which they were added, and where it begins.
    private var local: [(block: RAMBlock, start: Int, file: MemoryFile?)]
    private var isMatched: Bool
    /// One bit for each page of the space that a record has named.
    private(set) var received: PageBits
    private var inflater: Inflater

    /// The blocks, in the order of the stream's list.
    public private(set) var blocks: [RAMBlock]

    /// Makes memory for the blocks that a stream lists.
    ///
    /// - Parameters:
    ///   - list: The stream's blocks.
    ///   - maximumByteCount: The most memory to promise, in bytes.
    /// - Throws: `MigrationError` of kind `limit`, `malformed` or `transfer`.
    public init(
        accepting list: [RAMBlockDescription], maximumByteCount: UInt64
    ) throws(MigrationError) {
        // Blocks made from the list match it, in its order.
        try self.init(
            blocks: list.map { RAMBlock(name: $0.name, usedByteCount: $0.usedByteCount) },
            maximumByteCount: maximumByteCount)
    }

    /// Makes memory of one's own blocks, into which a stream is to be loaded.
    ///
    /// - Parameters:
    ///   - blocks: The blocks; ``match(_:)`` says which of them a stream names.
    ///   - maximumByteCount: The most memory to promise, in bytes.
    /// - Throws: `MigrationError` of kind `limit`, `malformed` or `transfer`.
    public init(blocks: [RAMBlock], maximumByteCount: UInt64) throws(MigrationError) {
        self = try Self.make(own: blocks, maximumByteCount)
    }

    /// Loads into memory files, each of which another process may have mapped.
    ///
    /// - Parameters:
    ///   - blocks: The blocks; ``match(_:)`` says which of them a stream names.
    ///   - maximumByteCount: The most memory to promise, in bytes, with what is added later.
    /// - Throws: `MigrationError` of kind `limit`, `malformed` or `transfer`.
    public init(blocks: [MigratedBlock], maximumByteCount: UInt64) throws(MigrationError) {
        self = try Self.make(files: blocks, maximumByteCount)
    }

    private static func make(
        own blocks: [RAMBlock], _ maximumByteCount: UInt64
    ) throws(MigrationError) -> GuestMemory {
        let byteCount = try byteCount(of: blocks, limit: maximumByteCount)
        var memory = try make(capacity: byteCount)
        for block in blocks { try memory.add(block) }
        return memory
    }

    private static func make(
        files blocks: [MigratedBlock], _ maximumByteCount: UInt64
    ) throws(MigrationError) -> GuestMemory {
        let total = try byteCount(of: blocks.map(\.block), limit: maximumByteCount)
        // Addresses that nothing is mapped at cost nothing.
        let wanted = max(2 * UInt64(total), addressFloor)
        let pages = min(maximumByteCount, wanted) / UInt64(pageByteCount)
        var memory = try make(capacity: max(Int(pages), 1) * pageByteCount)
        for block in blocks { try memory.add(block) }
        return memory
    }

    /// The most addresses to reserve, in bytes, beyond twice what the blocks need.
    private static let addressFloor: UInt64 = 1 << 38

    private static func make(capacity: Int) throws(MigrationError) -> GuestMemory {
        guard let inflater = Inflater(.zlib) else {
            throw MigrationError(.transfer, errno: .noMemory, "no memory for a zlib decoder")
        }
        let space: MemorySpace
        let received: PageBits
        do throws(MemoryError) {
            space = try MemorySpace(capacity: capacity)
            received = try PageBits(pageCount: capacity / pageByteCount)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
        return GuestMemory(space, received, inflater)
    }

    private init(
        _ space: MemorySpace, _ received: consuming PageBits, _ inflater: consuming Inflater
    ) {
        self.space = space
        self.received = received
        self.inflater = inflater
        starts = []
        usedByteCounts = []
        local = []
        isMatched = false
        blocks = []
    }

    /// Adds a block with memory of its own, zero until written.
    private mutating func add(_ block: RAMBlock) throws(MigrationError) {
        guard block.maximumByteCount > 0 else { return append(block, at: 0) }
        do throws(MemoryError) {
            append(
                block, at: try space.addAnonymous(byteCount: Int(block.maximumByteCount)).lowerBound
            )
        } catch {
            throw MigrationError(
                .transfer, block: block.name, errno: error.errno, error.description)
        }
    }

    /// Adds a block that lies in a memory file; until a stream lists it, no record names it.
    ///
    /// - Parameter added: The block, of a name that is not here yet.
    /// - Throws: `MigrationError` of kind `malformed`, `limit` or `transfer`; nothing changed then.
    public mutating func add(_ added: MigratedBlock) throws(MigrationError) {
        let block = added.block
        _ = try Self.byteCount(of: [block], limit: .max)
        guard !local.contains(where: { $0.block.name == block.name }) else {
            throw MigrationError(
                .malformed, block: block.name, "the guest has two RAM blocks named \(block.name)")
        }
        guard block.maximumByteCount > 0 else { return append(block, at: 0) }
        let byteCount = Int(block.maximumByteCount)
        let place: Range<Int>
        let file: MemoryFile
        do throws(MemoryError) {
            file = MemoryFile(OwnedDescriptor(try added.memory.reopened()))
            place = try space.addFile(
                added.memory, byteCount: byteCount, isWritable: true,
                requiresSeal: added.requiresSeal)
        } catch {
            throw MigrationError(
                .transfer, block: block.name, errno: error.errno,
                "RAM block \(block.name): \(error.description)")
        }
        // What the file holds already is not known to be zero; its holes are.
        let first = place.lowerBound / pageByteCount
        var offset = 0
        while let data = file.data(in: offset..<byteCount) {
            let end = (data.upperBound + pageByteCount - 1) / pageByteCount
            for page in data.lowerBound / pageByteCount..<end { received.insert(first + page) }
            offset = data.upperBound
        }
        append(block, at: place.lowerBound, file: file)
    }

    private mutating func append(_ block: RAMBlock, at start: Int, file: MemoryFile? = nil) {
        local.append((block, start, file))
        guard !isMatched else { return }
        blocks.append(block)
        starts.append(start)
        usedByteCounts.append(Int(block.usedByteCount))
    }

    /// The memory that blocks take at most, in bytes, at least a page.
    private static func byteCount(
        of blocks: [RAMBlock], limit maximumByteCount: UInt64
    ) throws(MigrationError) -> Int {
        var total: UInt64 = 0
        for block in blocks {
            let (sum, overflow) = total.addingReportingOverflow(block.maximumByteCount)
            guard !overflow, sum <= maximumByteCount, sum <= UInt64(Int.max) else {
                throw MigrationError(
                    .limit, block: block.name,
                    "with block \(block.name) the guest's memory passes the limit of "
                        + "\(maximumByteCount) bytes: give a larger --maximum-memory if the guest is "
                        + "that large")
            }
            guard block.maximumByteCount % UInt64(pageByteCount) == 0,
                block.usedByteCount % UInt64(pageByteCount) == 0,
                block.usedByteCount <= block.maximumByteCount
            else {
                throw MigrationError(
                    .malformed, block: block.name,
                    "block \(block.name) has a length that is not whole pages, or above its "
                        + "maximum")
            }
            total = sum
        }
        return max(Int(total), pageByteCount)
    }

    /// Takes a stream's list of blocks: from then on a record's block is an index into it.
    ///
    /// A stream can list its blocks again, with more behind them.
    ///
    /// A block of the list must be here. One whose length differs is resized, up to its maximum;
    /// blocks that the list does not name are left alone.
    ///
    /// - Throws: `MigrationError` of kind `mismatch`; the memory is unchanged then.
    public mutating func match(_ list: [RAMBlockDescription]) throws(MigrationError) {
        var order: [Int] = []
        for described in list {
            guard let index = local.firstIndex(where: { $0.block.name == described.name }) else {
                throw MigrationError(
                    .mismatch, block: described.name,
                    "the stream has RAM block \(described.name), which this guest has not: give "
                        + "both sides the same devices")
            }
            let block = local[index].block
            let isResizable = block.maximumByteCount > block.usedByteCount
            guard
                described.usedByteCount == block.usedByteCount
                    || described.usedByteCount <= block.maximumByteCount && isResizable
            else {
                throw MigrationError(
                    .mismatch, block: block.name,
                    "RAM block \(block.name) has \(described.usedByteCount) bytes in the stream "
                        + "and \(block.usedByteCount) here (at most \(block.maximumByteCount)): "
                        + "give both sides the same memory")
            }
            order.append(index)
        }
        isMatched = true
        for (index, described) in zip(order, list) {
            local[index].block = RAMBlock(
                name: described.name, usedByteCount: described.usedByteCount,
                maximumByteCount: local[index].block.maximumByteCount)
        }
        blocks = order.map { local[$0].block }
        starts = order.map { local[$0].start }
        usedByteCounts = list.map { Int($0.usedByteCount) }
    }

    /// Applies a record.
    ///
    /// A zero page is written only where something else stands, so it takes no memory. A delta
    /// needs the page it was made against: one for a page that never came is refused.
    ///
    /// - Parameters:
    ///   - record: The record.
    ///   - body: Its body, as ``StreamHandler/page(_:_:)`` is given it.
    /// - Throws: `MigrationError` of kind `malformed`, with block, offset and reason.
    public mutating func apply(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        let place = try locate(record)
        let page = place / pageByteCount
        let isReceived = received.contains(page)
        switch record.kind {
        case .plain:
            guard body.byteCount == pageByteCount else { throw fault(record, "half a page") }
            replace(place, with: body)
        case .zero:
            guard body.byteCount == 1 else { throw fault(record, "a fill byte is missing") }
            let fill = body.loadBigEndian(at: 0, as: UInt8.self)
            if fill != 0 || isReceived { self.fill(place, with: fill) }
        case .delta:
            guard isReceived else {
                throw fault(record, "a delta against a page that was never sent")
            }
            try applyDelta(record, body, at: place)
        case .compressed:
            guard Self.inflate(body, into: space, at: place, &inflater) else {
                throw fault(record, "the compressed page cannot be decoded")
            }
        }
        received.insert(page)
    }

    /// Whether a record brings nothing new: its page was received and holds those bytes.
    ///
    /// - Parameters:
    ///   - record: The record.
    ///   - body: Its body.
    /// - Returns: `false` also for deltas and compressed pages, which are not looked into.
    public func holds(_ record: PageRecord, _ body: RawSpan) -> Bool {
        guard record.kind == .plain || record.kind == .zero, record.block < starts.count,
            record.offset < UInt64(usedByteCounts[record.block]),
            isReceived(block: record.block, offset: record.offset)
        else { return false }
        let page = space.page(at: starts[record.block] &+ Int(record.offset))
        if record.kind == .plain { return page.isEqual(to: body) }
        return body.byteCount == 1 && body.loadBigEndian(at: 0, as: UInt8.self) == 0 && page.isZero
    }

    private func locate(_ record: PageRecord) throws(MigrationError) -> Int {
        guard record.block >= 0, record.block < starts.count,
            record.offset < UInt64(usedByteCounts[record.block]),
            record.offset % UInt64(pageByteCount) == 0
        else { throw fault(record, "the page lies outside its block") }
        return starts[record.block] &+ Int(record.offset)
    }

    /// The number of a record's page in the space.
    func number(of record: PageRecord) throws(MigrationError) -> Int {
        try locate(record) / pageByteCount
    }

    /// Takes note of a record that somebody else applies to the space.
    ///
    /// - Returns: The number of its page in the space.
    mutating func receive(_ record: PageRecord) throws(MigrationError) -> Int {
        let page = try number(of: record)
        received.insert(page)
        return page
    }

    /// Whether a block is here, listed or not.
    func hasBlock(named name: String) -> Bool {
        local.contains { $0.block.name == name }
    }

    /// The digest of a block that a stream has listed; `nil` for another.
    func digest(named name: String) throws(MigrationError) -> BlockDigest? {
        guard let index = blocks.firstIndex(where: { $0.name == name }) else { return nil }
        let file = local.first { $0.block.name == name }?.file
        return try BlockDigest(of: blocks[index], at: starts[index], in: space, file: file)
    }

    private mutating func replace(_ place: Int, with body: RawSpan) {
        space.withMutablePage(at: place) { page in page.replaceAll(with: body) }
    }

    private mutating func fill(_ place: Int, with byte: UInt8) {
        if byte == 0 {
            guard !space.page(at: place).isZero else { return }
        }
        space.withMutablePage(at: place) { page in page.fill(with: byte) }
    }

    private mutating func applyDelta(
        _ record: PageRecord, _ body: RawSpan, at place: Int
    ) throws(MigrationError) {
        do throws(XBZRLE.Malformed) {
            try space.withMutablePage(at: place) { page throws(XBZRLE.Malformed) in
                try XBZRLE.decode(body, onto: &page)
            }
        } catch {
            throw fault(record, "the delta cannot be decoded (\(error))")
        }
    }

    /// Decodes a page in place, so that a stream of less than a page leaves the rest as it was,
    /// and bytes behind the stream are passed over: both as QEMU does.
    private static func inflate(
        _ body: RawSpan, into space: MemorySpace, at place: Int, _ inflater: inout Inflater
    ) -> Bool {
        inflater.reset()
        return space.withMutablePage(at: place) { page in
            inflater.inflate(body, into: &page).outcome == .end
        }
    }

    // The text is made in here, so that what applies pages counts no references.
    @inline(never)
    func fault(
        _ record: PageRecord, _ what: @autoclosure () -> String
    ) -> MigrationError {
        let name = blocks.indices.contains(record.block) ? blocks[record.block].name : "?"
        return MigrationError(
            .malformed, block: name, blockOffset: record.offset,
            streamOffset: record.streamOffset,
            "at stream offset \(record.streamOffset), block \(name) offset "
                + "0x\(hex(record.offset)): \(what())")
    }

    /// Whether a record has named a page.
    ///
    /// - Parameters:
    ///   - block: The block, as an index into the stream's list.
    ///   - offset: Where in the block, in bytes.
    /// - Returns: `false` for a page that the stream has not brought.
    /// - Precondition: The page lies in the block.
    public func isReceived(block: Int, offset: UInt64) -> Bool {
        precondition(offset < UInt64(usedByteCounts[block]))
        let page = (starts[block] &+ Int(offset)) / pageByteCount
        return received.contains(page)
    }

    /// Lends a page.
    ///
    /// - Parameters:
    ///   - block: The block, as an index into the stream's list.
    ///   - offset: Where in the block, in bytes, a multiple of `pageByteCount`.
    ///   - body: Is given the page's 4,096 bytes.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    /// - Precondition: The page lies in the block, at a whole number of pages.
    public func withPage<Result: ~Copyable, Failure: Error>(
        block: Int, offset: UInt64, _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(offset < UInt64(usedByteCounts[block]))
        precondition(offset % UInt64(pageByteCount) == 0)
        let place = starts[block] &+ Int(offset)
        return try body(space.page(at: place))
    }
}
