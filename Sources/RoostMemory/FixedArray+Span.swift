/// Parts of a fixed array as spans.
extension FixedArray {
    /// Some of the elements, to read.
    ///
    /// - Parameters:
    ///   - start: Which is the first.
    ///   - count: How many.
    /// - Returns: The elements.
    /// - Precondition: They lie in the array.
    @inlinable
    @_lifetime(borrow self)
    public borrowing func span(from start: Int, count: Int) -> Span<Element> {
        checkRange(start, count)
        // SAFETY: the elements lie in the array, checked above, which lives as long as self.
        let span = unsafe Span(_unsafeStart: base + start, count: count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Some of the elements, to write.
    ///
    /// - Parameters:
    ///   - start: Which is the first.
    ///   - count: How many.
    /// - Returns: The elements.
    /// - Precondition: They lie in the array.
    @inlinable
    @_lifetime(&self)
    public mutating func mutableSpan(from start: Int, count: Int) -> MutableSpan<Element> {
        checkRange(start, count)
        // SAFETY: as above, and self is held exclusively as long as the span lives.
        let span = unsafe MutableSpan(_unsafeStart: base + start, count: count)
        return unsafe _overrideLifetime(span, mutating: &self)
    }

    @inlinable
    internal func checkRange(_ start: Int, _ wanted: Int) {
        precondition(start >= 0 && wanted >= 0 && wanted <= count && start <= count &- wanted)
    }
}
