/// Ranges of pages that are free, lowest first.
struct PageRanges {
    private var ranges: [Range<Int>]

    init(count: Int) {
        ranges = [0..<count]
    }

    /// Takes pages from the first range that has enough.
    mutating func take(_ count: Int) -> Range<Int>? {
        guard let index = ranges.firstIndex(where: { $0.count >= count }) else { return nil }
        let start = ranges[index].lowerBound
        ranges[index] = start + count..<ranges[index].upperBound
        if ranges[index].isEmpty { ranges.remove(at: index) }
        return start..<start + count
    }

    /// Gives pages back that were taken.
    mutating func giveBack(_ range: Range<Int>) {
        var index = ranges.firstIndex { $0.lowerBound > range.lowerBound } ?? ranges.count
        ranges.insert(range, at: index)
        if index + 1 < ranges.count, ranges[index].upperBound == ranges[index + 1].lowerBound {
            ranges[index] = ranges[index].lowerBound..<ranges[index + 1].upperBound
            ranges.remove(at: index + 1)
        }
        if index > 0, ranges[index - 1].upperBound == ranges[index].lowerBound {
            index -= 1
            ranges[index] = ranges[index].lowerBound..<ranges[index + 1].upperBound
            ranges.remove(at: index + 1)
        }
    }
}
