internal import RoostMemory

/// Decides how a page travels while XBZRLE is on, and keeps the cache equal to what the
/// destination holds (QEMU: `save_xbzrle_page` of `migration/ram.c`).
///
/// The guest goes on writing while its page is looked at. So the page is copied once, the delta is
/// made from the copy, and the copy becomes the cache's content; a page that is sent whole although
/// the cache has it is sent from the cache. What the destination holds and what the next delta is
/// made against are therefore the same bytes, whatever the guest does meanwhile.
///
/// Owned by one thread at a time. Nothing is allocated for a page.
struct DeltaEncoder: ~Copyable, Sendable {
    /// What became of a page.
    enum Outcome: Equatable, Sendable {
        /// The destination holds these bytes already: nothing was sent, the page is dealt with.
        case skipped
        /// A delta was sent.
        case delta
        /// The delta would be longer than the page, which was sent whole.
        case overflow
        /// The cache did not have the page, which was sent whole and is kept if so marked.
        case miss(isKept: Bool)
    }

    /// What was counted since the encoder was made; QEMU's `xbzrle-cache`.
    struct Counters: Equatable, Sendable {
        /// Pages that the cache had (``MigrationDialect/qemu72``), or deltas sent (`qemu2015`).
        var pages: UInt64 = 0
        /// What deltas took: without the record's word, and 4,096 for each overflow
        /// (``MigrationDialect/qemu72``), or their whole records (`qemu2015`).
        var bytes: UInt64 = 0
        /// Pages that the cache did not have.
        var misses: UInt64 = 0
        /// Pages whose delta would have been longer than they are.
        var overflows: UInt64 = 0
        /// Pages that were not sent because nothing had changed.
        var skipped: UInt64 = 0
        /// Deltas sent.
        var deltas: UInt64 = 0
    }

    /// The length of a record's word, `be64 offset | flags`.
    private static let wordByteCount = 8

    /// What the destination holds.
    var cache: PageCache
    private var copy: MappedRegion
    private var delta: MappedRegion
    private let dialect: MigrationDialect

    /// What was counted so far.
    private(set) var counters = Counters()

    /// Makes an encoder with an empty cache.
    ///
    /// - Parameters:
    ///   - cacheByteCount: As ``PageCache/init(byteCount:)``.
    ///   - dialect: Whose way of counting.
    /// - Throws: `MigrationError`, as ``PageCache/init(byteCount:)``.
    init(
        cacheByteCount: Int = PageCache.defaultByteCount, dialect: MigrationDialect = .standard
    ) throws(MigrationError) {
        self.init(
            try PageCache(byteCount: cacheByteCount), try Self.page(), try Self.page(), dialect)
    }

    private init(
        _ cache: consuming PageCache, _ copy: consuming MappedRegion,
        _ delta: consuming MappedRegion, _ dialect: MigrationDialect
    ) {
        self.cache = cache
        self.copy = copy
        self.delta = delta
        self.dialect = dialect
    }

    private static func page() throws(MigrationError) -> MappedRegion {
        do throws(MemoryError) {
            return try .anonymous(byteCount: pageByteCount)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
    }

    /// Writes a page that is not zero in the way that costs least.
    ///
    /// In the last round a page comes once: the next delta would be made against what the
    /// destination held before it.
    ///
    /// - Parameters:
    ///   - live: The page, which the guest may be writing.
    ///   - page: Its number through all blocks.
    ///   - block: Its block, as an index into the stream's list.
    ///   - offset: Where in the block, in bytes.
    ///   - round: The count of dirty syncs.
    ///   - isLastRound: Whether the guest stands still: the cache is neither filled nor updated
    ///     any more.
    ///   - writer: Where the record goes; it has room.
    /// - Returns: What became of the page.
    mutating func encode(
        _ live: RawSpan, page: Int, block: Int, offset: UInt64, round: UInt64, isLastRound: Bool,
        into writer: inout StreamWriter
    ) -> Outcome {
        guard let slot = cache.slot(of: page, round: round) else {
            counters.misses &+= 1
            guard !isLastRound, let slot = cache.insert(page, live, round: round) else {
                writer.plainPage(block: block, offset: offset, live)
                return .miss(isKept: false)
            }
            Self.sendWhole(slot, of: cache, block, offset, into: &writer)
            return .miss(isKept: true)
        }
        if dialect == .qemu72 { counters.pages &+= 1 }
        Self.copy(live, into: &copy)
        switch Self.encode(copy, against: slot, of: cache, into: &delta) {
        case .unchanged:
            counters.skipped &+= 1
            return .skipped
        case .overflow:
            counters.overflows &+= 1
            if dialect == .qemu72 { counters.bytes &+= UInt64(pageByteCount) }
            if isLastRound {
                Self.sendWhole(copy, block, offset, into: &writer)
            } else {
                Self.keep(copy, in: slot, of: &cache)
                Self.sendWhole(slot, of: cache, block, offset, into: &writer)
            }
            return .overflow
        case .delta(let byteCount):
            if !isLastRound { Self.keep(copy, in: slot, of: &cache) }
            let before = writer.output.count
            Self.send(delta, byteCount, block, offset, into: &writer)
            count(recordByteCount: writer.output.count &- before)
            return .delta
        }
    }

    private mutating func count(recordByteCount: Int) {
        counters.deltas &+= 1
        switch dialect {
        case .qemu72:
            counters.bytes &+= UInt64(recordByteCount &- Self.wordByteCount)
        case .qemu2015:
            counters.pages &+= 1
            counters.bytes &+= UInt64(recordByteCount)
        }
    }

    // Each takes the parts it works on: two parts of self cannot be lent at once.

    private static func copy(_ live: RawSpan, into copy: inout MappedRegion) {
        var page = copy.mutableBytes
        page.replaceAll(with: live)
    }

    private static func encode(
        _ copy: borrowing MappedRegion, against slot: Int, of cache: borrowing PageCache,
        into delta: inout MappedRegion
    ) -> XBZRLE.Encoded {
        let new = copy.bytes
        var output = delta.mutableBytes
        return cache.withContent(of: slot) { XBZRLE.encode(old: $0, new: new, into: &output) }
    }

    private static func keep(
        _ copy: borrowing MappedRegion, in slot: Int, of cache: inout PageCache
    ) {
        cache.replace(slot, with: copy.bytes)
    }

    private static func sendWhole(
        _ slot: Int, of cache: borrowing PageCache, _ block: Int, _ offset: UInt64,
        into writer: inout StreamWriter
    ) {
        cache.withContent(of: slot) { writer.plainPage(block: block, offset: offset, $0) }
    }

    private static func sendWhole(
        _ copy: borrowing MappedRegion, _ block: Int, _ offset: UInt64,
        into writer: inout StreamWriter
    ) {
        writer.plainPage(block: block, offset: offset, copy.bytes)
    }

    private static func send(
        _ delta: borrowing MappedRegion, _ byteCount: Int, _ block: Int, _ offset: UInt64,
        into writer: inout StreamWriter
    ) {
        writer.deltaPage(
            block: block, offset: offset, delta.bytes.extracting(0..<byteCount))
    }
}
