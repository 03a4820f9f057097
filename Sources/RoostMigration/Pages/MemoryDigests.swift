internal import RoostMemory

/// A digest of 128 bits.
struct Digest128: Sendable, Hashable, BitwiseCopyable {
    var high: UInt64
    var low: UInt64

    static let zero = Digest128(high: 0, low: 0)

    /// The sum modulo 2¹²⁸.
    static func &+ (left: Digest128, right: Digest128) -> Digest128 {
        let (low, carry) = left.low.addingReportingOverflow(right.low)
        return Digest128(high: left.high &+ right.high &+ (carry ? 1 : 0), low: low)
    }

    /// The difference modulo 2¹²⁸.
    static func &- (left: Digest128, right: Digest128) -> Digest128 {
        let (low, borrow) = left.low.subtractingReportingOverflow(right.low)
        return Digest128(high: left.high &- right.high &- (borrow ? 1 : 0), low: low)
    }
}

/// Digests of a guest's memory, kept up as its pages pass.
///
/// Each page counts with a digest (XXH3) of what it holds and of where it lies; those of 2 MiB are
/// summed, and all sums make the root. A page that passes again takes what it counted before out of its
/// sum, so the root is known at any time without a look at the memory. A page of zeros counts nothing:
/// holes, pages that never passed and pages of zeros are the same. It finds accidents, not attacks.
///
/// It takes 16 bytes for each page that ever held something, 0.4 %. Owned by one thread.
struct MemoryDigests: ~Copyable, Sendable {
    /// A range that is not the same at both ends.
    struct Difference: Sendable, Equatable {
        /// The block's name.
        let block: String
        /// Where in the block it begins, and how long it is, in bytes.
        let offset: UInt64
        let byteCount: UInt64
    }

    private static let rangePageCount = WireFormat.digestRangeByteCount / pageByteCount
    /// The length of a piece's head: the number of its first range.
    private static let headByteCount = 8

    private struct Block {
        let name: String
        let byteCount: UInt64
        let firstPage: Int
        let firstRange: Int

        var pageCount: Int { Int(byteCount) / pageByteCount }
        var rangeCount: Int { (pageCount + rangePageCount - 1) / rangePageCount }
    }

    private let blocks: [Block]
    /// Where each block's pages and ranges begin, and how many pages it has, for the way of a page.
    private var places: FixedArray<Place>
    private let blockCount: Int
    /// What each page counts, and the sums.
    private var pages: FixedArray<Digest128>
    private var sums: FixedArray<Digest128>
    private let rangeCount: Int

    private struct Place: BitwiseCopyable, Sendable {
        var firstPage: Int
        var pageCount: Int
        var firstRange: Int
    }

    /// Makes digests of memory that is all zeros.
    ///
    /// - Parameter list: The blocks.
    /// - Throws: `MigrationError` of kind `transfer` when there is no memory for them.
    init(blocks list: [RAMBlockDescription]) throws(MigrationError) {
        var (pageCount, rangeCount) = (0, 0)
        var blocks: [Block] = []
        for block in list {
            let next = Block(
                name: block.name, byteCount: block.usedByteCount, firstPage: pageCount,
                firstRange: rangeCount)
            blocks.append(next)
            pageCount += next.pageCount
            rangeCount += next.rangeCount
        }
        self.init(
            blocks, try Self.array(blocks.count), try Self.array(pageCount),
            try Self.array(rangeCount))
    }

    private init(
        _ blocks: [Block], _ places: consuming FixedArray<Place>,
        _ pages: consuming FixedArray<Digest128>, _ sums: consuming FixedArray<Digest128>
    ) {
        self.blocks = blocks
        self.places = places
        self.pages = pages
        self.sums = sums
        blockCount = blocks.count
        rangeCount = self.sums.count
        for (index, block) in blocks.enumerated() {
            self.places[index] = Place(
                firstPage: block.firstPage, pageCount: block.pageCount,
                firstRange: block.firstRange)
        }
    }

    private static func array<Element>(
        _ count: Int
    ) throws(MigrationError) -> FixedArray<Element> {
        do throws(MemoryError) {
            return try FixedArray(count: count)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
    }

    // MARK: Pages

    /// Takes note of what a page holds now.
    ///
    /// - Parameters:
    ///   - block: The block, as an index into the list.
    ///   - offset: Where in the block, in bytes, a multiple of `pageByteCount`.
    ///   - page: Its 4,096 bytes.
    mutating func set(block: Int, offset: UInt64, page: RawSpan) {
        let digest = XXHash.digest(of: page)
        set(block, offset, digest == Self.zeroPage ? nil : digest)
    }

    /// Takes note of a page that one byte fills.
    mutating func set(block: Int, offset: UInt64, fill: UInt8) {
        guard fill != 0 else { return set(block, offset, nil) }
        let page = [UInt8](repeating: fill, count: pageByteCount)
        set(block, offset, XXHash.digest(of: unsafe page.span.bytes))
    }

    private mutating func set(_ block: Int, _ offset: UInt64, _ digest: Digest128?) {
        // What lies outside was refused where it was to be written.
        guard block >= 0, block < blockCount else { return }
        let place = places[block]
        let index = offset / UInt64(pageByteCount)
        guard index < UInt64(place.pageCount) else { return }
        let page = place.firstPage &+ Int(index)
        let range = place.firstRange &+ Int(index) / Self.rangePageCount
        let before = pages[page]
        let after = digest.map { Self.count($0, UInt64(page)) } ?? .zero
        guard before != after else { return }
        pages[page] = after
        sums[range] = sums[range] &- before &+ after
    }

    private static let zeroPage = XXHash.digest(
        of: unsafe [UInt8](repeating: 0, count: pageByteCount).span.bytes)

    /// What a page counts, by what it holds and where it lies: the finalizer of MurmurHash3 over both,
    /// so that pages that changed places do not make the same sum.
    private static func count(_ digest: Digest128, _ page: UInt64) -> Digest128 {
        Digest128(
            high: mixed(digest.high &+ page &* 0x9e37_79b9_7f4a_7c15),
            low: mixed(digest.low ^ (page &+ 1) &* 0xd1b5_4a32_d192_ed03))
    }

    private static func mixed(_ word: UInt64) -> UInt64 {
        var word = word
        word = (word ^ word >> 33) &* 0xff51_afd7_ed55_8ccd
        word = (word ^ word >> 33) &* 0xc4ce_b9fe_1a85_ec53
        return word ^ word >> 33
    }

    // MARK: Comparing

    /// The digest of all of the memory, with the blocks' names and lengths.
    var root: Digest128 {
        guard var hash = XXHash() else { return .zero }
        for block in blocks {
            let name = Array(block.name.utf8)
            hash.update(bigEndian: UInt64(name.count))
            hash.update(unsafe name.span.bytes)
            hash.update(bigEndian: block.byteCount)
        }
        for range in 0..<rangeCount {
            hash.update(bigEndian: sums[range].high)
            hash.update(bigEndian: sums[range].low)
        }
        let (high, low) = hash.digest()
        return Digest128(high: high, low: low)
    }

    /// The next of the sums, to be told the other end.
    ///
    /// - Parameters:
    ///   - position: The range that is next; moved on.
    ///   - limit: The most bytes.
    /// - Returns: `be64 first range │ { be64 high │ be64 low }`; `nil` behind the last.
    func piece(at position: inout Int, limit: Int) -> ByteQueue? {
        let count = min(rangeCount - position, (limit - Self.headByteCount) / 16)
        guard count > 0 else { return nil }
        var piece = ByteQueue(capacity: Self.headByteCount + count * 16)
        piece.append(bigEndian: UInt64(position))
        for range in position..<position + count {
            piece.append(bigEndian: sums[range].high)
            piece.append(bigEndian: sums[range].low)
        }
        position += count
        return piece
    }

    /// Compares some of the other end's sums with these.
    ///
    /// - Parameter bytes: What ``piece(at:limit:)`` gave there.
    /// - Returns: The first range that differs; `nil` when none of them does.
    /// - Throws: `MigrationError` of kind `peer`: they are not sums of this memory.
    func firstDifference(from bytes: RawSpan) throws(MigrationError) -> Difference? {
        var cursor = SpanCursor(bytes)
        guard let first = cursor.read(UInt64.self), first < UInt64(rangeCount),
            cursor.remaining % 16 == 0, cursor.remaining / 16 <= rangeCount - Int(first)
        else {
            throw MigrationError(
                .peer, "the other side told digests of memory that the guest does not have")
        }
        var range = Int(first)
        while let high = cursor.read(UInt64.self), let low = cursor.read(UInt64.self) {
            if sums[range] != Digest128(high: high, low: low) { return difference(at: range) }
            range += 1
        }
        return nil
    }

    private func difference(at range: Int) -> Difference? {
        guard
            let block = blocks.last(where: { $0.firstRange <= range && $0.rangeCount > 0 })
        else { return nil }
        let offset = UInt64((range - block.firstRange) * WireFormat.digestRangeByteCount)
        return Difference(
            block: block.name, offset: offset,
            byteCount: min(UInt64(WireFormat.digestRangeByteCount), block.byteCount - offset))
    }
}
