internal import CRoost

/// A way to count the bits of a word: lookups are compiled for each, and choose once.
protocol BitCounter {
    /// How many bits are set.
    static func count(_ word: UInt64) -> Int
}

/// By the processor's instruction, where it has one.
enum ProcessorBitCounter: BitCounter {
    /// Whether it has one.
    static var isAvailable: Bool { croost_counts_bits() != 0 }

    @inline(__always)  // One instruction.
    static func count(_ word: UInt64) -> Int {
        Int(truncatingIfNeeded: croost_count_bits(word))
    }
}

/// By a dozen operations that every processor has.
enum PortableBitCounter: BitCounter {
    @inline(__always)  // Within a loop of a few instructions.
    static func count(_ word: UInt64) -> Int {
        word.nonzeroBitCount
    }
}
