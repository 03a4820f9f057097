public import Synchronization

/// Groups of words looked at together.
extension AtomicArray where Word == UInt64 {
    /// Which of eight words have a given upper half; each is read as `acquire(_:)` reads it.
    ///
    /// For hash tables whose buckets are lines of eight words: there is no branch for each word, so
    /// the cost does not depend on where a match is.
    ///
    /// - Parameters:
    ///   - half: The upper 32 bits looked for.
    ///   - start: The first word's place.
    /// - Returns: A bit for each word that has them, the first one's lowest.
    /// - Precondition: The eight words lie in the array.
    @inlinable
    @inline(__always)  // Twice a lookup, with everything around it in registers.
    public func matches(upperHalf half: UInt32, from start: Int) -> UInt8 {
        precondition(start >= 0 && start <= count &- 8)
        var matches: UInt8 = 0
        for place in 0..<8 {
            // SAFETY: the word lies in the array, checked above for all eight.
            let word = unsafe (base + (start &+ place)).pointee.load(ordering: .acquiring)
            let isMatch: UInt8 = UInt32(truncatingIfNeeded: word &>> 32) == half ? 1 : 0
            matches |= isMatch &<< UInt8(truncatingIfNeeded: place)
        }
        return matches
    }
}
