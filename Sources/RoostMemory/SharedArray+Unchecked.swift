public import Synchronization

/// Reading without a check of the index, for lookups of a few nanoseconds whose indices were written by
/// the array's own writer.
extension SharedArray {
    /// An element.
    ///
    /// - Parameter index: Below ``count``: nothing is checked.
    /// - Returns: Its value.
    @unsafe
    @inlinable
    package func unchecked(_ index: Int) -> Element {
        assert(index >= 0 && index < count)
        // SAFETY: the caller's promise.
        return unsafe base[index]
    }
}

extension SharedArray where Element == UInt64 {
    /// The 16 bits at an index of as many, as if the array were one of them (little-endian).
    ///
    /// - Parameter index: Below four times ``count``: nothing is checked.
    /// - Returns: Their number.
    @unsafe
    @inlinable
    package func uncheckedQuarter(_ index: Int) -> UInt16 {
        assert(index >= 0 && index < count * 4)
        // SAFETY: the caller's promise; the elements are plain bits.
        return unsafe UnsafeRawPointer(base).load(fromByteOffset: index &* 2, as: UInt16.self)
    }
}

extension AtomicArray where Word == UInt32 {
    /// Reads a word, acquiring.
    ///
    /// - Parameter index: Below ``count``: nothing is checked.
    /// - Returns: Its value.
    @unsafe
    @inlinable
    package func acquireUnchecked(_ index: Int) -> UInt32 {
        assert(index >= 0 && index < count)
        // SAFETY: the caller's promise.
        return unsafe base[index].load(ordering: .acquiring)
    }
}
