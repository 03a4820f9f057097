extension SharedArray where Element == UInt8 {
    /// Bytes of the array, for as long as nobody may write them.
    ///
    /// - Precondition: The range lies in the array.
    @_lifetime(borrow self)
    public func bytes(_ range: Range<Int>) -> RawSpan {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        // SAFETY: the range lies in the array, and the span borrows self.
        let span = unsafe RawSpan(
            _unsafeStart: UnsafeRawPointer(base) + range.lowerBound, byteCount: range.count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Writes bytes that nobody can find yet, or that nobody can still be reading.
    ///
    /// - Precondition: They lie in the array.
    public func write(_ bytes: RawSpan, at offset: Int) {
        precondition(offset >= 0 && bytes.byteCount <= count && offset <= count &- bytes.byteCount)
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            // SAFETY: the place was checked; the contract of the type excludes readers.
            unsafe UnsafeMutableRawPointer(base + offset).copyMemory(
                from: start, byteCount: source.count)
        }
    }
}
