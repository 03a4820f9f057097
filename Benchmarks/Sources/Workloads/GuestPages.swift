import RoostMemory

/// The contents of a guest's pages, each different, by a fixed seed: random and text by turns.
public struct GuestPages: ~Copyable {
    /// How many pages are made; the rest are these with their own number in front.
    private static let poolCount = 4096

    private let pool: MappedRegion
    private var scratch: MappedRegion

    /// Makes the pages.
    ///
    /// - Throws: What the system says when there is no memory for them.
    public init() throws {
        var random = SeededRandom(seed: 2015)
        var pool = try MappedRegion.anonymous(byteCount: Self.poolCount * pageByteCount)
        for index in 0..<Self.poolCount {
            let page =
                index.isMultiple(of: 2)
                ? PageContents.random(using: &random) : PageContents.text(using: &random)
            var target = pool.mutablePage(at: index * pageByteCount)
            for (offset, byte) in page.enumerated() {
                target.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
            }
        }
        let scratch = try MappedRegion.anonymous(byteCount: pageByteCount)
        self.pool = pool
        self.scratch = scratch
    }

    /// Lends a page.
    ///
    /// - Parameters:
    ///   - index: Which one.
    ///   - isChanged: Whether the guest has since changed 8 runs of 8 bytes in it.
    ///   - body: Is given the page.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    public mutating func withPage<Result>(
        _ index: Int, isChanged: Bool = false, _ body: (RawSpan) throws -> Result
    ) rethrows -> Result {
        Self.make(index, isChanged, from: pool, in: &scratch)
        return try body(scratch.page(at: 0))
    }

    private static func make(
        _ index: Int, _ isChanged: Bool, from pool: borrowing MappedRegion,
        in scratch: inout MappedRegion
    ) {
        var page = scratch.mutablePage(at: 0)
        page.replaceAll(with: pool.page(at: index % poolCount * pageByteCount))
        page.storeBytes(of: UInt64(index), toByteOffset: 0, as: UInt64.self)
        guard isChanged else { return }
        for run in 0..<8 {
            let offset = run * 512 + index % 56 * 8
            let old = page.word(at: offset)
            page.storeBytes(of: ~old, toByteOffset: offset, as: UInt64.self)
        }
    }
}

extension MutableRawSpan {
    fileprivate func word(at offset: Int) -> UInt64 {
        bytes.loadBigEndian(at: offset, as: UInt64.self).byteSwapped
    }
}
