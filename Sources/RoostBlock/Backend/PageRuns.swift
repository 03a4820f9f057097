internal import RoostMemory

/// Which pages of an area are free, given out in runs.
struct PageRuns: ~Copyable {
    /// Pages that lie behind each other.
    struct Run: Equatable {
        var start: Int
        var count: Int
    }

    private var used: FixedArray<UInt64>
    private let limit: Int
    private var hint = 0

    private init(_ used: consuming FixedArray<UInt64>, limit: Int) {
        self.used = used
        self.limit = limit
    }

    /// Makes an area of free pages.
    ///
    /// - Parameter limit: How many there are.
    /// - Returns: The area.
    /// - Throws: `MemoryError` of kind `mapping`.
    static func make(limit: Int) throws(MemoryError) -> PageRuns {
        PageRuns(try FixedArray(count: (limit + 63) / 64), limit: limit)
    }

    private func isUsed(_ page: Int) -> Bool {
        used[page >> 6] & 1 << UInt64(page & 63) != 0
    }

    /// The run of free pages that begins at or behind a page, up to the area's end.
    private func run(from page: Int, atMost count: Int) -> Run? {
        var start = page
        while start < limit {
            let free = ~used[start >> 6] >> UInt64(start & 63)
            guard free == 0 else {
                start &+= free.trailingZeroBitCount
                break
            }
            start = (start >> 6 &+ 1) << 6
        }
        guard start < limit else { return nil }
        var end = start &+ 1
        while end < limit, end &- start < count, !isUsed(end) { end &+= 1 }
        return Run(start: start, count: end &- start)
    }

    /// Takes pages, as many behind each other as there are up to a number.
    ///
    /// - Parameter count: How many are wanted, at least one.
    /// - Returns: The first run that is long enough, looking on from where the last was; else the
    ///   longest; `nil` when no page is free.
    mutating func take(upTo count: Int) -> Run? {
        var best: Run?
        var from = hint
        var isSecondPass = false
        while true {
            if let found = run(from: from, atMost: count) {
                if found.count > best?.count ?? 0 { best = found }
                if found.count == count { break }
                from = found.start &+ found.count
            } else {
                guard !isSecondPass, hint > 0 else { break }
                isSecondPass = true
                from = 0
            }
            if isSecondPass, from >= hint { break }
        }
        guard let best else { return nil }
        for page in best.start..<best.start &+ best.count {
            used[page >> 6] |= 1 << UInt64(page & 63)
        }
        hint = best.start &+ best.count < limit ? best.start &+ best.count : 0
        return best
    }

    /// Gives pages back that were taken.
    mutating func give(_ run: Run) {
        for page in run.start..<run.start &+ run.count {
            precondition(isUsed(page))
            used[page >> 6] &= ~(1 << UInt64(page & 63))
        }
    }
}
