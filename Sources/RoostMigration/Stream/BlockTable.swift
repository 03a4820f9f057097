internal import RoostMemory

/// The RAM blocks of a stream, found by the bytes of their names without a `String`.
struct BlockTable {
    private(set) var descriptions: [RAMBlockDescription] = []
    private(set) var usedByteCounts: [UInt64] = []
    private var nameBytes: [UInt8] = []
    private var nameStarts: [Int] = [0]
    /// The blocks in the order of their names, so that no list makes finding one slow.
    private var byName: [Int] = []

    /// Adds a block.
    ///
    /// Its name must not be in the table: ``index(named:from:count:hint:)`` tells.
    mutating func append(_ block: RAMBlockDescription) {
        let index = descriptions.count
        descriptions.append(block)
        usedByteCounts.append(block.usedByteCount)
        nameBytes.append(contentsOf: block.name.utf8)
        nameStarts.append(nameBytes.count)
        let name = Array(block.name.utf8)
        let place = unsafe place(of: name.span.bytes, from: 0, count: name.count)
        byName.insert(index, at: place)
    }

    /// The block whose name is `count` bytes of `span` from `start` on, or `nil`.
    ///
    /// `hint` is the block to try first, since records of one block come together.
    func index(named span: RawSpan, from start: Int, count: Int, hint: Int = -1) -> Int? {
        if hint >= 0, compare(hint, span, from: start, count: count) == 0 { return hint }
        let place = place(of: span, from: start, count: count)
        guard place < byName.count,
            compare(byName[place], span, from: start, count: count) == 0
        else { return nil }
        return byName[place]
    }

    /// The first place in ``byName`` whose name is not before the one given.
    private func place(of span: RawSpan, from start: Int, count: Int) -> Int {
        var range = 0..<byName.count
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            if compare(byName[middle], span, from: start, count: count) < 0 {
                range = middle + 1..<range.upperBound
            } else {
                range = range.lowerBound..<middle
            }
        }
        return range.lowerBound
    }

    /// How a block's name compares: shorter names first, then by their bytes.
    private func compare(_ block: Int, _ span: RawSpan, from start: Int, count: Int) -> Int {
        let first = nameStarts[block]
        let length = nameStarts[block + 1] - first
        guard length == count else { return length - count }
        for index in 0..<count {
            let mine = nameBytes[first + index]
            let theirs = span.loadBigEndian(at: start + index, as: UInt8.self)
            if mine != theirs { return Int(mine) - Int(theirs) }
        }
        return 0
    }
}
