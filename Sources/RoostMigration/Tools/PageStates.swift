/// What an inspection keeps of a page.
struct PageState {
    /// How often it was sent, up to 255.
    var timesSent: UInt8 = 0
    /// The kind of its last record.
    var lastKind: UInt8 = 0
    /// The round of its last record.
    var lastRound: UInt16 = 0
}

/// What an inspection keeps of the pages of a block, in pieces that are made when a page of
/// theirs is first named: a stream can announce terabytes in a few bytes.
struct PageStates {
    /// The pages of a piece: 2 KiB of states.
    static let pieceCount = 512

    /// How many pages the block has.
    let count: Int
    /// The pieces; one that is empty has no page that was named.
    private var pieces: [[PageState]]

    /// Makes states of pages that were never sent.
    init(count: Int) {
        self.count = count
        pieces = Array(repeating: [], count: (count + Self.pieceCount - 1) / Self.pieceCount)
    }

    /// The state of a page.
    subscript(index: Int) -> PageState {
        get {
            let piece = pieces[index / Self.pieceCount]
            return piece.isEmpty ? PageState() : piece[index % Self.pieceCount]
        }
        set {
            precondition(index < count)
            if pieces[index / Self.pieceCount].isEmpty {
                pieces[index / Self.pieceCount] = Array(
                    repeating: PageState(), count: Self.pieceCount)
            }
            pieces[index / Self.pieceCount][index % Self.pieceCount] = newValue
        }
    }

    /// Calls a closure with each page of a range that was sent.
    func forEachSent(in range: Range<Int>, _ body: (PageState) -> Void) {
        var index = range.lowerBound
        while index < range.upperBound {
            let piece = pieces[index / Self.pieceCount]
            let end = min(range.upperBound, (index / Self.pieceCount + 1) * Self.pieceCount)
            if !piece.isEmpty {
                for state in piece[index % Self.pieceCount...(end - 1) % Self.pieceCount]
                where state.timesSent > 0 {
                    body(state)
                }
            }
            index = end
        }
    }
}
