internal import RoostMemory
internal import SystemPackage

/// A RAM block that a stream can be loaded into.
public struct RAMBlock: Sendable, Equatable {
    /// The block's id, such as `pc.ram`.
    public let name: String
    /// The length in use in bytes, a multiple of `pageByteCount`.
    public let usedByteCount: UInt64
    /// The most it can grow to in bytes: equal to the used length unless it is resizable.
    public let maximumByteCount: UInt64

    /// Describes a block.
    ///
    /// - Parameters:
    ///   - name: The id, 1 to 255 bytes.
    ///   - usedByteCount: The length in use in bytes, a multiple of `pageByteCount`.
    ///   - maximumByteCount: The most it can grow to; `nil` for a block of fixed length.
    public init(name: String, usedByteCount: UInt64, maximumByteCount: UInt64? = nil) {
        self.name = name
        self.usedByteCount = usedByteCount
        self.maximumByteCount = maximumByteCount ?? usedByteCount
    }
}

/// A guest's memory as a stream has brought it so far.
///
/// All blocks lie in one mapping, one behind the other; a page takes memory only once something
/// other than zero was written to it. Records are applied in place and in the order of the
/// stream. Nothing outside the blocks is ever written: a record's offset is checked again here.
///
/// Owned by one thread at a time.
public struct GuestMemory: ~Copyable, Sendable {
    private var region: MappedRegion
    /// Where each block of the stream's list begins in the region, and how long it is.
    private var starts: [Int] = []
    private var usedByteCounts: [Int] = []
    /// One bit for each page of the region that a record has named.
    private var received: PageBits
    private var inflater: Inflater

    /// The blocks, in the order of the stream's list.
    public private(set) var blocks: [RAMBlock] = []

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
        let byteCount = try Self.byteCount(of: blocks, limit: maximumByteCount)
        guard let inflater = Inflater(.zlib) else {
            throw MigrationError(.transfer, errno: .noMemory, "no memory for a zlib decoder")
        }
        let mapped: MappedRegion
        do throws(MemoryError) {
            mapped = try MappedRegion.anonymous(byteCount: byteCount)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
        let bits: PageBits
        do throws(MemoryError) {
            bits = try PageBits(pageCount: byteCount / pageByteCount)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
        region = mapped
        received = bits
        self.inflater = inflater
        self.blocks = blocks
        var start = 0
        for block in blocks {
            starts.append(start)
            usedByteCounts.append(Int(block.usedByteCount))
            start += Int(block.maximumByteCount)
        }
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
                        + "\(maximumByteCount) bytes: raise it if the guest is that large")
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
    /// A block of the list must be here. One whose length differs is resized, up to its maximum;
    /// blocks that the list does not name are left alone.
    ///
    /// - Throws: `MigrationError` of kind `mismatch`; the memory is unchanged then.
    public mutating func match(_ list: [RAMBlockDescription]) throws(MigrationError) {
        var order: [Int] = []
        for described in list {
            guard let index = blocks.firstIndex(where: { $0.name == described.name }) else {
                throw MigrationError(
                    .mismatch, block: described.name,
                    "the stream has RAM block \(described.name), which this guest has not: give "
                        + "both sides the same devices")
            }
            let block = blocks[index]
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
        let (oldStarts, oldBlocks) = (starts, blocks)
        starts = order.map { oldStarts[$0] }
        usedByteCounts = list.map { Int($0.usedByteCount) }
        blocks = zip(order, list).map { index, described in
            RAMBlock(
                name: described.name, usedByteCount: described.usedByteCount,
                maximumByteCount: oldBlocks[index].maximumByteCount)
        }
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
            guard Self.inflate(body, into: &region, at: place, &inflater) else {
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
        let page = region.page(at: starts[record.block] &+ Int(record.offset))
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

    private mutating func replace(_ place: Int, with body: RawSpan) {
        var page = region.mutablePage(at: place)
        page.replaceAll(with: body)
    }

    private mutating func fill(_ place: Int, with byte: UInt8) {
        if byte == 0 {
            guard !region.page(at: place).isZero else { return }
        }
        var page = region.mutablePage(at: place)
        page.fill(with: byte)
    }

    private mutating func applyDelta(
        _ record: PageRecord, _ body: RawSpan, at place: Int
    ) throws(MigrationError) {
        var page = region.mutablePage(at: place)
        do throws(XBZRLE.Malformed) {
            try XBZRLE.decode(body, onto: &page)
        } catch {
            throw fault(record, "the delta cannot be decoded (\(error))")
        }
    }

    /// Decodes a page in place, so that a stream of less than a page leaves the rest as it was,
    /// and bytes behind the stream are passed over: both as QEMU does.
    private static func inflate(
        _ body: RawSpan, into region: inout MappedRegion, at place: Int,
        _ inflater: inout Inflater
    ) -> Bool {
        inflater.reset()
        var page = region.mutablePage(at: place)
        return inflater.inflate(body, into: &page).outcome == .end
    }

    // The text is made in here, so that what applies pages counts no references.
    @inline(never)
    private func fault(
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
        return try body(region.page(at: place))
    }
}
