internal import RoostHypervisor
internal import RoostMemory

/// Finds what belongs to a grant reference, in constant time.
///
/// A table of a power of two of entries, at most half of them used, probed one behind the other;
/// what is taken out is closed up, so nothing of it stays. The place of a reference depends on a
/// number that the frontend does not know, so it cannot choose references that meet.
struct GrantIndex: ~Copyable {
    /// Each is a reference in the upper half and a value plus one in the lower; 0 is free.
    private var entries: FixedArray<UInt64>
    private let shift: Int
    private let factor: UInt64
    /// How many references there are.
    private(set) var count = 0

    private init(_ entries: consuming FixedArray<UInt64>, factor: UInt64) {
        shift = 64 - entries.count.trailingZeroBitCount
        self.entries = entries
        // Odd, so that no two references become one.
        self.factor = factor | 1
    }

    /// Makes an empty index.
    ///
    /// - Parameters:
    ///   - limit: How many references it holds at most, at least one.
    ///   - seed: Scatters them.
    /// - Returns: The index.
    /// - Throws: `MemoryError` of kind `mapping`.
    static func make(limit: Int, seed: UInt64) throws(MemoryError) -> GrantIndex {
        precondition(limit > 0 && limit < 1 << 30)
        let entryCount = 1 << (Int.bitWidth - (2 * limit - 1).leadingZeroBitCount)
        return GrantIndex(try FixedArray(count: max(entryCount, 4)), factor: seed)
    }

    private func home(_ reference: UInt32) -> Int {
        // Knuth's multiplicative hash: the upper bits of the product depend on all below them.
        Int(((UInt64(reference) &+ 1) &* factor) >> UInt64(shift))
    }

    private var mask: Int { entries.count &- 1 }

    /// What belongs to a reference.
    ///
    /// - Parameter reference: The reference.
    /// - Returns: Its value, or `nil`.
    func find(_ reference: UInt32) -> Int? {
        var place = home(reference)
        while true {
            let entry = entries[place]
            guard entry != 0 else { return nil }
            if UInt32(truncatingIfNeeded: entry >> 32) == reference {
                return Int(truncatingIfNeeded: entry & 0xffff_ffff) &- 1
            }
            place = (place &+ 1) & mask
        }
    }

    /// Puts a reference in that is not there.
    ///
    /// - Parameters:
    ///   - reference: The reference.
    ///   - value: What belongs to it, below 2 to the 31st.
    /// - Precondition: There is room.
    mutating func insert(_ reference: UInt32, _ value: Int) {
        precondition(count < entries.count / 2)
        var place = home(reference)
        while entries[place] != 0 { place = (place &+ 1) & mask }
        entries[place] = UInt64(reference) << 32 | UInt64(UInt32(value) &+ 1)
        count &+= 1
    }

    /// Takes a reference out, if it is there.
    mutating func remove(_ reference: UInt32) {
        var hole = home(reference)
        while entries[hole] != 0, UInt32(truncatingIfNeeded: entries[hole] >> 32) != reference {
            hole = (hole &+ 1) & mask
        }
        guard entries[hole] != 0 else { return }
        count &-= 1
        var place = hole
        while true {
            entries[hole] = 0
            repeat {
                place = (place &+ 1) & mask
                guard entries[place] != 0 else { return }
                // What has its home behind the hole and before this place stays.
            } while isBetween(
                hole, home(UInt32(truncatingIfNeeded: entries[place] >> 32)), place)
            entries[hole] = entries[place]
            hole = place
        }
    }

    /// Whether a home lies behind the hole, up to a place, going round the end.
    private func isBetween(_ hole: Int, _ home: Int, _ place: Int) -> Bool {
        hole <= place ? hole < home && home <= place : hole < home || home <= place
    }
}
