/// A number of 32-bit integers of the network, most significant byte first, in memory order.
///
/// A header is read as one of these: one check of its length, then plain words.
public struct BigEndianWords<let count: Int>: BitwiseCopyable, Sendable {
    @usableFromInline internal var stored: InlineArray<count, UInt32>

    @inlinable
    internal init(stored: InlineArray<count, UInt32>) {
        self.stored = stored
    }

    /// A word in host order.
    ///
    /// - Precondition: The index is below `count`.
    @inlinable
    public subscript(index: Int) -> UInt32 { UInt32(bigEndian: stored[index]) }
}

extension RawSpan {
    /// Some 32-bit integers in a row, at any alignment.
    ///
    /// - Precondition: They lie in the span.
    @inlinable  // Another module cannot specialize it otherwise.
    public func loadWords<let count: Int>(
        at offset: Int, as type: BigEndianWords<count>.Type
    ) -> BigEndianWords<count> {
        precondition(offset >= 0 && offset <= byteCount &- 4 &* count)
        // SAFETY: the offset was checked; every bit pattern is an integer.
        return BigEndianWords(
            stored: unsafe unsafeLoadUnaligned(
                fromUncheckedByteOffset: offset, as: InlineArray<count, UInt32>.self))
    }
}

extension MutableRawSpan {
    /// Writes an integer, most significant byte first, at any alignment.
    ///
    /// - Precondition: It lies in the span.
    @inlinable  // Another module cannot specialize it otherwise.
    public mutating func storeBigEndian<Value: FixedWidthInteger & BitwiseCopyable>(
        _ value: Value, at offset: Int
    ) {
        precondition(offset >= 0 && offset <= byteCount &- MemoryLayout<Value>.size)
        // SAFETY: the offset was checked.
        unsafe storeBytes(
            of: value.bigEndian, toUncheckedByteOffset: offset, as: Value.self)
    }
}
