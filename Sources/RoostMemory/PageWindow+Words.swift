public import Synchronization

/// Runs of words in memory that other processes write at the same time, each read or written once.
///
/// A plain copy may be read again by the compiler where it is used; these cannot be.
extension PageWindow {
    /// Reads words, each once and without ordering anything.
    ///
    /// - Parameters:
    ///   - offset: Where the first lies, in bytes, a multiple of 4.
    ///   - words: Where they go.
    ///   - limit: How many are read at most; the others stay as they are.
    /// - Precondition: They are mapped and aligned.
    @inlinable
    public func loadWords<let count: Int>(
        at offset: Int, into words: inout [count of UInt32], limit: Int = count
    ) {
        let reading = min(count, limit)
        checkRange(offset, reading &* 4)
        precondition(offset & 3 == 0)
        for index in 0..<reading {
            // SAFETY: aligned words of the reservation, checked above; every pattern is a word.
            words[index] = unsafe (base + (offset &+ index &* 4))
                .assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .relaxed)
        }
    }

    /// Writes words, each once and without ordering anything.
    ///
    /// - Parameters:
    ///   - words: What.
    ///   - offset: Where the first goes, in bytes, a multiple of 4.
    ///   - limit: How many are written at most, from the first.
    /// - Precondition: The place is mapped, writable and aligned.
    @inlinable
    public func storeWords<let count: Int>(
        _ words: [count of UInt32], at offset: Int, limit: Int = count
    ) {
        let writing = min(count, limit)
        checkRange(offset, writing &* 4)
        precondition(offset & 3 == 0)
        for index in 0..<writing {
            // SAFETY: as above.
            unsafe (base + (offset &+ index &* 4))
                .assumingMemoryBound(to: Atomic<UInt32>.self).pointee
                .store(words[index], ordering: .relaxed)
        }
    }
}
