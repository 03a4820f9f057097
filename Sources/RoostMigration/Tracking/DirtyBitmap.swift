internal import RoostMemory

/// Which pages have to be sent, one bit for each page of every RAM block.
///
/// Blocks lie behind each other in one numbering of pages, the one of the `MemorySpace` they are
/// mapped in. Owned by one thread at a time.
public struct DirtyBitmap: ~Copyable, Sendable {
    /// Bit `p % 64` of word `p / 64` is page `p`.
    private var words: FixedArray<UInt64>
    /// How many pages the bitmap covers.
    public private(set) var pageCount: Int
    /// How many of them are dirty.
    public private(set) var dirtyCount = 0

    /// Makes a bitmap in which every page is dirty.
    ///
    /// - Parameter pageCount: How many pages it covers.
    /// - Throws: `MigrationError` of kind `transfer` when there is no memory.
    public init(pageCount: Int) throws(MigrationError) {
        let words = try Self.words(pageCount)
        self.init(words, pageCount)
        mark(0..<pageCount)
    }

    private init(_ words: consuming FixedArray<UInt64>, _ pageCount: Int) {
        self.words = words
        self.pageCount = pageCount
    }

    private static func words(_ pageCount: Int) throws(MigrationError) -> FixedArray<UInt64> {
        do throws(MemoryError) {
            return try FixedArray(count: (pageCount + 63) / 64)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
    }

    /// Covers more pages, which are dirty; the others stay as they are.
    ///
    /// - Parameter pageCount: The new number, not below the old.
    /// - Throws: `MigrationError` of kind `transfer` when there is no memory; nothing changed then.
    public mutating func grow(to pageCount: Int) throws(MigrationError) {
        precondition(pageCount >= self.pageCount)
        var larger = try Self.words(pageCount)
        larger.replaceStart(with: words)
        words = larger
        let added = self.pageCount..<pageCount
        self.pageCount = pageCount
        mark(added)
    }

    /// Whether a page is dirty.
    ///
    /// - Precondition: The page is below ``pageCount``.
    public func contains(_ page: Int) -> Bool {
        precondition(page >= 0 && page < pageCount)
        return words[page >> 6] & (1 << UInt64(page & 63)) != 0
    }

    /// Makes a page dirty.
    ///
    /// - Returns: Whether it was clean.
    /// - Precondition: The page is below ``pageCount``.
    @discardableResult
    public mutating func mark(_ page: Int) -> Bool {
        precondition(page >= 0 && page < pageCount)
        let bit: UInt64 = 1 << UInt64(page & 63)
        let word = words[page >> 6]
        guard word & bit == 0 else { return false }
        words[page >> 6] = word | bit
        dirtyCount &+= 1
        return true
    }

    /// Makes pages dirty.
    ///
    /// - Returns: How many of them were clean.
    /// - Precondition: They are below ``pageCount``.
    @discardableResult
    public mutating func mark(_ pages: Range<Int>) -> Int {
        precondition(pages.lowerBound >= 0 && pages.upperBound <= pageCount)
        let before = dirtyCount
        Self.eachWord(of: pages) { index, mask in
            let word = words[index]
            dirtyCount &+= (mask & ~word).nonzeroBitCount
            words[index] = word | mask
        }
        return dirtyCount - before
    }

    /// Makes the pages of a word dirty, as a tracker with a bitmap of its own reports them.
    ///
    /// - Parameters:
    ///   - bits: Bit `b` is page `64 * index + b`; bits of pages not covered are passed over.
    ///   - index: Which 64 pages.
    mutating func mark(bits: UInt64, word index: Int) {
        let left = pageCount &- index &* 64
        guard left > 0 else { return }
        let mask = left >= 64 ? bits : bits & ((1 << UInt64(left)) &- 1)
        let word = words[index]
        dirtyCount &+= (mask & ~word).nonzeroBitCount
        words[index] = word | mask
    }

    /// Makes a page clean.
    ///
    /// - Returns: Whether it was dirty.
    /// - Precondition: The page is below ``pageCount``.
    @discardableResult
    public mutating func clear(_ page: Int) -> Bool {
        precondition(page >= 0 && page < pageCount)
        let bit: UInt64 = 1 << UInt64(page & 63)
        let word = words[page >> 6]
        guard word & bit != 0 else { return false }
        words[page >> 6] = word & ~bit
        dirtyCount &-= 1
        return true
    }

    /// Makes pages clean.
    ///
    /// - Precondition: They are below ``pageCount``.
    public mutating func clear(_ pages: Range<Int>) {
        precondition(pages.lowerBound >= 0 && pages.upperBound <= pageCount)
        Self.eachWord(of: pages) { index, mask in
            let word = words[index]
            dirtyCount &-= (mask & word).nonzeroBitCount
            words[index] = word & ~mask
        }
    }

    /// The first dirty page of a range, or `nil`.
    ///
    /// - Precondition: The range lies below ``pageCount``.
    public func firstDirty(in pages: Range<Int>) -> Int? {
        precondition(pages.lowerBound >= 0 && pages.upperBound <= pageCount)
        guard !pages.isEmpty else { return nil }
        var index = pages.lowerBound >> 6
        var word = words[index] & (~0 << UInt64(pages.lowerBound & 63))
        let last = (pages.upperBound &- 1) >> 6
        while word == 0 {
            guard index < last else { return nil }
            index &+= 1
            word = words[index]
        }
        let page = index &* 64 &+ word.trailingZeroBitCount
        return page < pages.upperBound ? page : nil
    }

    /// Calls `body` with each word that a range touches and the bits that lie in the range.
    private static func eachWord(of pages: Range<Int>, _ body: (Int, UInt64) -> Void) {
        var page = pages.lowerBound
        while page < pages.upperBound {
            let index = page >> 6
            let end = min(pages.upperBound, (index &+ 1) &* 64)
            let count = UInt64(end &- page)
            let mask: UInt64 = count == 64 ? ~0 : ((1 << count) &- 1) << UInt64(page & 63)
            body(index, mask)
            page = end
        }
    }
}
