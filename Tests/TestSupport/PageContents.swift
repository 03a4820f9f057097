import RoostMemory

/// Contents of a page, as tests and benchmarks need them.
public enum PageContents {
    /// A page of zeros.
    public static let zero = [UInt8](repeating: 0, count: pageByteCount)

    /// A page that does not compress.
    public static func random(using random: inout SeededRandom) -> [UInt8] {
        var page: [UInt8] = []
        page.reserveCapacity(pageByteCount)
        for _ in 0..<pageByteCount / 8 {
            let word = random.next()
            for byte in 0..<8 {
                page.append(UInt8(truncatingIfNeeded: word >> (8 * byte)))
            }
        }
        return page
    }

    /// A page of words and line ends, which compresses as a text does.
    public static func text(using random: inout SeededRandom) -> [UInt8] {
        let words = [
            "page", "guest", "memory", "dirty", "of", "the", "round", "source", "and", "a",
            "destination", "stream", "block", "is", "sent",
        ]
        var page: [UInt8] = []
        page.reserveCapacity(pageByteCount + 16)
        while page.count < pageByteCount {
            page.append(contentsOf: words[Int.random(in: 0..<words.count, using: &random)].utf8)
            page.append(Int.random(in: 0..<10, using: &random) == 0 ? 0x0a : 0x20)
        }
        page.removeSubrange(pageByteCount...)
        return page
    }

    /// A page in which runs of bytes differ from another's.
    ///
    /// - Parameters:
    ///   - page: The page to start from.
    ///   - runs: How many runs; they may touch or overlap.
    ///   - byteCount: The length of each, 1 up to a page.
    ///   - random: Chooses the places; each byte of a run gets another value than it had.
    /// - Returns: The changed page.
    public static func changing(
        _ page: [UInt8], runs: Int, byteCount: Int, using random: inout SeededRandom
    ) -> [UInt8] {
        var changed = page
        for _ in 0..<runs {
            let start = Int.random(in: 0...page.count - byteCount, using: &random)
            for offset in start..<start + byteCount {
                changed[offset] = page[offset] ^ UInt8.random(in: 1...255, using: &random)
            }
        }
        return changed
    }

    /// A page each of whose bytes differs from another's with a probability.
    public static func changing(
        _ page: [UInt8], probability: Double, using random: inout SeededRandom
    ) -> [UInt8] {
        page.map { byte in
            Double.random(in: 0..<1, using: &random) < probability
                ? byte ^ UInt8.random(in: 1...255, using: &random) : byte
        }
    }
}
