internal import RoostMemory

/// What the destination holds of the pages that were sent last, for deltas to be made against
/// (QEMU: `migration/page_cache.c`).
///
/// Direct mapped: a page has one slot, `page & (slotCount - 1)`, where pages are numbered through
/// all blocks. A slot that was touched in this round or the one before keeps its page, so that two
/// pages that are written again and again do not push each other out.
///
/// Memory comes from the kernel page by page as slots are used; nothing is allocated afterwards.
/// Owned by one thread at a time.
struct PageCache: ~Copyable, Sendable {
    /// How long a slot keeps its page against others, in rounds: QEMU's `CACHED_PAGE_LIFETIME`.
    static let lifetime: UInt64 = 2
    /// QEMU's default size, 64 MiB.
    static let defaultByteCount = 64 << 20

    /// Whose content a slot holds.
    struct Owner: BitwiseCopyable, Sendable {
        /// The page's number plus one; 0 in an empty slot.
        var page: UInt64
        /// The round in which the slot was last hit or filled.
        var round: UInt64
    }

    private var owners: FixedArray<Owner>
    private var contents: MappedRegion

    /// How many pages it can hold, a power of two.
    var slotCount: Int { owners.count }

    /// The size in bytes: that of the pages it can hold.
    var byteCount: Int { owners.count &* pageByteCount }

    /// Makes an empty cache.
    ///
    /// - Parameter byteCount: The size in bytes, at least a page; rounded down to a power of two.
    /// - Throws: `MigrationError` of kind `limit` for less than a page, `transfer` when there is
    ///   no memory.
    init(byteCount: Int = defaultByteCount) throws(MigrationError) {
        let slotCount = try Self.slotCount(byteCount)
        self.init(try Self.memory(slotCount), try Self.owners(slotCount))
    }

    private init(_ contents: consuming MappedRegion, _ owners: consuming FixedArray<Owner>) {
        self.contents = contents
        self.owners = owners
    }

    static func slotCount(_ byteCount: Int) throws(MigrationError) -> Int {
        guard byteCount >= pageByteCount else {
            throw MigrationError(
                .limit,
                "cannot make an XBZRLE cache of \(byteCount) bytes: give at least a page, "
                    + "\(pageByteCount) bytes")
        }
        let pages = byteCount / pageByteCount
        return 1 << (Int.bitWidth - 1 - pages.leadingZeroBitCount)
    }

    private static func memory(_ slotCount: Int) throws(MigrationError) -> MappedRegion {
        do throws(MemoryError) {
            return try .anonymous(byteCount: slotCount * pageByteCount)
        } catch {
            throw refused(slotCount, error)
        }
    }

    private static func owners(_ slotCount: Int) throws(MigrationError) -> FixedArray<Owner> {
        do throws(MemoryError) {
            return try FixedArray(count: slotCount)
        } catch {
            throw refused(slotCount, error)
        }
    }

    private static func refused(_ slotCount: Int, _ error: MemoryError) -> MigrationError {
        MigrationError(
            .transfer, errno: error.errno,
            "cannot make an XBZRLE cache of \(slotCount * pageByteCount) bytes "
                + "(\(error.description)): give a smaller one")
    }

    /// Makes the cache larger or smaller; it is empty afterwards, as in QEMU 7.2.
    ///
    /// A size that comes to the same number of slots changes nothing, content included.
    ///
    /// - Parameter byteCount: The new size in bytes, at least a page; rounded down to a power of
    ///   two.
    /// - Throws: `MigrationError` of kind `limit` for less than a page, `transfer` when there is
    ///   no memory; the cache and its content stay as they are then.
    mutating func resize(toByteCount byteCount: Int) throws(MigrationError) {
        let slotCount = try Self.slotCount(byteCount)
        guard slotCount != self.slotCount else { return }
        // Both before either is kept, so that a refusal leaves the old ones.
        let contents = try Self.memory(slotCount)
        let owners = try Self.owners(slotCount)
        self.contents = contents
        self.owners = owners
    }

    /// Forgets every page; the size stays.
    mutating func removeAll() {
        for slot in 0..<owners.count where owners[slot].page != 0 {
            owners[slot] = Owner(page: 0, round: 0)
        }
    }

    /// Looks for a page.
    ///
    /// - Parameters:
    ///   - page: Its number.
    ///   - round: The count of dirty syncs, which becomes the age of a slot that was hit.
    /// - Returns: The slot that holds it, or `nil`.
    mutating func slot(of page: Int, round: UInt64) -> Int? {
        let slot = slotFor(page)
        guard owners[slot].page == Self.mark(page) else { return nil }
        owners[slot].round = round
        return slot
    }

    /// Keeps a page's content, unless the slot holds another that is still in use.
    ///
    /// - Parameters:
    ///   - page: Its number.
    ///   - bytes: What the destination will hold of it.
    ///   - round: The count of dirty syncs.
    /// - Returns: The slot, or `nil` when it is not kept.
    mutating func insert(_ page: Int, _ bytes: RawSpan, round: UInt64) -> Int? {
        guard let slot = claim(page, round: round) else { return nil }
        replace(slot, with: bytes)
        return slot
    }

    /// Takes note that the destination holds zeros, so that no older copy serves as base.
    ///
    /// - Parameters:
    ///   - page: Its number.
    ///   - round: The count of dirty syncs.
    mutating func zeroed(_ page: Int, round: UInt64) {
        guard let slot = claim(page, round: round) else { return }
        var content = contents.mutablePage(at: slot &* pageByteCount)
        content.fill(with: 0)
    }

    /// Replaces what a slot holds of its page.
    ///
    /// - Precondition: The slot is below ``slotCount``, and the bytes are a page.
    mutating func replace(_ slot: Int, with bytes: RawSpan) {
        var content = contents.mutablePage(at: slot &* pageByteCount)
        content.replaceAll(with: bytes)
    }

    /// Lends what a slot holds.
    ///
    /// - Precondition: The slot is below ``slotCount``.
    func withContent<Result: ~Copyable>(of slot: Int, _ body: (RawSpan) -> Result) -> Result {
        body(contents.page(at: slot &* pageByteCount))
    }

    /// Gives a page its slot, or answers `nil` when another page keeps it.
    private mutating func claim(_ page: Int, round: UInt64) -> Int? {
        let slot = slotFor(page)
        let owner = owners[slot]
        let mark = Self.mark(page)
        guard owner.page == mark || owner.page == 0 || owner.round &+ Self.lifetime <= round else {
            return nil
        }
        owners[slot] = Owner(page: mark, round: round)
        return slot
    }

    private func slotFor(_ page: Int) -> Int { page & (owners.count &- 1) }

    private static func mark(_ page: Int) -> UInt64 { UInt64(truncatingIfNeeded: page) &+ 1 }
}
