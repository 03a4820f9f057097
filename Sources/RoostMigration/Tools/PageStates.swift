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
    /// The pieces that have a page which was named, but for the one at hand.
    private var pieces: [Int: [PageState]] = [:]
    /// The piece that was used last, since pages come mostly in order, and its number.
    private var piece: [PageState] = []
    private var number = -1

    /// Makes states of pages that were never sent.
    init(count: Int) {
        self.count = count
    }

    /// Changes the state of a page.
    mutating func update(_ index: Int, _ body: (inout PageState) -> Void) {
        precondition(index >= 0 && index < count)
        if index / Self.pieceCount != number { turn(to: index / Self.pieceCount) }
        body(&piece[index % Self.pieceCount])
    }

    private mutating func turn(to next: Int) {
        if number >= 0 { pieces[number] = piece }
        piece =
            pieces.removeValue(forKey: next)
            ?? Array(repeating: PageState(), count: Self.pieceCount)
        number = next
    }

    /// Calls a closure with each page that was sent, by its number, in no order.
    func forEachSent(_ body: (Int, PageState) -> Void) {
        func visit(_ number: Int, _ piece: [PageState]) {
            for (index, state) in piece.enumerated() where state.timesSent > 0 {
                body(number * Self.pieceCount + index, state)
            }
        }
        for (number, piece) in pieces { visit(number, piece) }
        visit(number, piece)
    }
}
