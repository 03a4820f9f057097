extension FixedArray {
    /// The address in this process at which an element lies, for the kernel to be told; it is
    /// the same as long as the array lives.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    package func address(of index: Int) -> UInt64 {
        precondition(index >= 0 && index < count)
        // SAFETY: the index lies in the array; nothing is read here.
        return UInt64(UInt(bitPattern: unsafe base + index))
    }
}
