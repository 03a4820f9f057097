/// Finds the next page to send: block by block in the order of the list, round after round.
///
/// A value that decides and does nothing else. The first round visits every page; it has ended
/// when the search begins again at the first block.
struct PageSearch: Equatable, Sendable {
    /// What a step found.
    enum Found: Equatable, Sendable {
        /// A dirty page of the block with this index.
        case page(Int, block: Int)
        /// Every block was visited: a round has ended, and the search is at the start again.
        case roundEnded
        /// No page is dirty.
        case nothing
    }

    /// Whether the first round is not over yet.
    private(set) var isFirstRound = true
    private var block = 0
    /// Where in the block to go on, in the common numbering, or `nil` at its start.
    private var next: Int?
    /// Whether a page was found since the search began at the first block.
    private var hasFound = false

    /// Begins anew at the first block with a first round, as a changed list of blocks asks for.
    mutating func restart() {
        self = PageSearch()
    }

    /// Looks for the next dirty page from where the last one was found.
    ///
    /// - Parameters:
    ///   - bitmap: Which pages are dirty; the one found stays so.
    ///   - blocks: Each block's pages in use, in the order of the list.
    /// - Returns: What it found.
    mutating func step(in bitmap: borrowing DirtyBitmap, _ blocks: [Range<Int>]) -> Found {
        while block < blocks.count {
            let pages = blocks[block]
            let start = max(next ?? pages.lowerBound, pages.lowerBound)
            if start < pages.upperBound, let page = bitmap.firstDirty(in: start..<pages.upperBound)
            {
                next = page + 1
                hasFound = true
                return .page(page, block: block)
            }
            block += 1
            next = nil
        }
        let isOver = !hasFound && !isFirstRound
        block = 0
        hasFound = false
        isFirstRound = false
        return isOver ? .nothing : .roundEnded
    }
}
