internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// A guest's memory as its source reads it: every block mapped, to read only, under one numbering
/// of pages.
///
/// Owned by the source's thread.
struct SourceMemory: ~Copyable, Sendable {
    /// A block in the list of the stream.
    struct Block: Sendable {
        let block: RAMBlock
        /// The pages it can have, in the common numbering; those in use come first.
        let pages: Range<Int>
        /// The memory file, to ask for its holes.
        let file: MemoryFile

        /// The pages in use.
        var usedPages: Range<Int> {
            pages.lowerBound..<pages.lowerBound + Int(block.usedByteCount) / pageByteCount
        }

        /// The block as a tracker sees it.
        var tracked: TrackedBlock { TrackedBlock(name: block.name, pages: pages) }
    }

    /// The least addresses to reserve, in bytes: blocks may be added later, and addresses that
    /// nothing is mapped at cost nothing.
    private static let addressFloor = 1 << 38

    /// The guest's memory.
    let live: MemorySpace
    /// What pages are read from: the guest's memory, or a tracker's copy of it.
    private(set) var readable: MemorySpace
    /// The blocks in the order of the stream's list.
    private(set) var blocks: [Block] = []
    /// The piece of the file that holds data around the page last asked for, in pages of the
    /// common numbering, and what of the block before it is known to be a hole.
    private var data = 0..<0
    private var hole = 0..<0

    /// How many pages are looked at before the page tables of those before them are given back.
    ///
    /// 4 GiB of guest take 8 MiB of tables, and a guest of any size no more than twice that. Giving
    /// them back costs 60 ms a GiB, so guests below that size do without.
    static let windowPageCount = 1 << 20

    /// The window that was looked at last, as the number of its first page.
    private var window = 0

    /// Makes memory without blocks, with room for those given and as much again.
    static func make(for blocks: [MigratedBlock]) throws(MigrationError) -> SourceMemory {
        var total: UInt64 = 0
        for block in blocks {
            total = total.addingReportingOverflow(block.block.maximumByteCount).partialValue
        }
        // A total that cannot be is refused when the blocks are added.
        let wanted = Int(min(total, 1 << 45)) * 2 / pageByteCount * pageByteCount
        do throws(MemoryError) {
            return SourceMemory(try MemorySpace(capacity: max(wanted, addressFloor)))
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
    }

    private init(_ space: MemorySpace) {
        live = space
        readable = space
    }

    /// How many pages there are in the common numbering.
    var pageCount: Int { live.byteCount / pageByteCount }

    /// The memory in use, in bytes.
    var usedByteCount: UInt64 { blocks.reduce(0) { $0 + $1.block.usedByteCount } }

    /// Adds blocks behind those of the list, the largest first.
    ///
    /// - Returns: The index of the first.
    /// - Throws: `MigrationError`; the blocks before the one refused are added.
    mutating func add(_ added: [MigratedBlock]) throws(MigrationError) -> Int {
        let first = blocks.count
        let largestFirst = added.sorted { $0.block.maximumByteCount > $1.block.maximumByteCount }
        for block in largestFirst { try add(block) }
        return first
    }

    private mutating func add(_ added: MigratedBlock) throws(MigrationError) {
        let block = added.block
        let page = UInt64(pageByteCount)
        guard (1...255).contains(block.name.utf8.count), block.maximumByteCount > 0,
            block.maximumByteCount % page == 0, block.usedByteCount % page == 0,
            block.usedByteCount <= block.maximumByteCount,
            block.maximumByteCount <= StreamFormat.ramLimit
        else {
            throw MigrationError(
                .malformed, block: block.name,
                "RAM block '\(block.name)' of \(block.usedByteCount) bytes, at most "
                    + "\(block.maximumByteCount), cannot be moved: give a name of 1 to 255 bytes "
                    + "and lengths in whole pages")
        }
        guard !blocks.contains(where: { $0.block.name == block.name }) else {
            throw MigrationError(
                .malformed, block: block.name, "the guest has two RAM blocks named \(block.name)")
        }
        guard blocks.count < StreamFormat.blockLimit else {
            throw MigrationError(
                .limit, block: block.name, "more than \(StreamFormat.blockLimit) RAM blocks")
        }
        do throws(MemoryError) {
            let place = try live.addFile(
                added.memory, byteCount: Int(block.maximumByteCount), isWritable: false,
                requiresSeal: added.requiresSeal)
            blocks.append(
                Block(
                    block: block,
                    pages: place.lowerBound / pageByteCount..<place.upperBound / pageByteCount,
                    file: MemoryFile(OwnedDescriptor(try added.memory.reopened()))))
        } catch {
            throw MigrationError(
                .transfer, block: block.name, errno: error.errno,
                "RAM block \(block.name): \(error.description)")
        }
    }

    /// Reads pages from a copy from now on.
    mutating func read(from snapshot: MemorySpace) {
        readable = snapshot
    }

    /// Takes note that a page is looked at next; when it lies in another window than the last, the
    /// page tables of that one are given back.
    mutating func willLook(at page: Int) {
        let start = page & ~(Self.windowPageCount &- 1)
        if start != window { move(to: start) }
    }

    @inline(never)  // Once a window.
    private mutating func move(to start: Int) {
        let end = min(window + Self.windowPageCount, pageCount)
        // A tracker's copy is memory of its own, which must not be dropped.
        if readable === live, window < end {
            live.forgetTables(of: window * pageByteCount..<end * pageByteCount)
        }
        window = start
    }

    /// Whether a page lies in a hole of its file, so that it reads as zero and looking at it would
    /// give it memory.
    ///
    /// The cost is two system calls for each piece of data or hole, when pages come in order.
    mutating func isHole(_ page: Int, block index: Int) -> Bool {
        if data.contains(page) { return false }
        if hole.contains(page) { return true }
        return look(page, block: index)
    }

    @inline(never)  // Once a piece.
    private mutating func look(_ page: Int, block index: Int) -> Bool {
        let block = blocks[index]
        let start = block.pages.lowerBound
        let found = block.file.data(
            in: (page - start) * pageByteCount..<block.pages.count * pageByteCount)
        guard let found else {
            hole = page..<block.pages.upperBound
            return true
        }
        let first = start + found.lowerBound / pageByteCount
        data = first..<start + (found.upperBound + pageByteCount - 1) / pageByteCount
        hole = page..<max(first, page)
        return page < first
    }

    /// Forgets which pages lie in holes.
    mutating func forgetHoles() {
        data = 0..<0
        hole = 0..<0
    }
}
