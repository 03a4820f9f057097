import TestSupport
import Testing

@testable import RoostHypervisor

@Suite("Free ranges of pages")
struct PageRangesTests {
    @Test("no page is given twice, and all come back as one range", arguments: 0..<32)
    func model(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var ranges = PageRanges(count: 100)
        var taken: [Range<Int>] = []
        var owned = [Bool](repeating: false, count: 100)
        for _ in 0..<400 {
            if Bool.random(using: &random) {
                let count = Int.random(in: 1...20, using: &random)
                guard let range = ranges.take(count) else { continue }
                #expect(range.count == count && range.lowerBound >= 0 && range.upperBound <= 100)
                #expect(!owned[range].contains(true))
                for page in range { owned[page] = true }
                taken.append(range)
            } else if let index = taken.indices.randomElement(using: &random) {
                let range = taken.remove(at: index)
                for page in range { owned[page] = false }
                ranges.giveBack(range)
            }
        }
        for range in taken { ranges.giveBack(range) }
        #expect(ranges.take(100) == 0..<100)
        #expect(ranges.take(1) == nil)
    }
}
