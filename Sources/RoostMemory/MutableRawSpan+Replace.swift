extension MutableRawSpan {
    /// Copies a span over some of the bytes.
    ///
    /// - Parameters:
    ///   - offset: Where the first byte goes.
    ///   - source: The bytes.
    /// - Precondition: They fit, and the memory is not the same.
    public mutating func replaceBytes(at offset: Int, with source: RawSpan) {
        let count = source.byteCount
        precondition(offset >= 0 && count <= byteCount && offset <= byteCount &- count)
        unsafe source.withUnsafeBytes { from in
            guard let start = from.baseAddress else { return }
            unsafe withUnsafeMutableBytes { to in
                // SAFETY: the place was checked, and exclusive access rules out overlap.
                unsafe to.baseAddress?.advanced(by: offset).copyMemory(
                    from: start, byteCount: count)
            }
        }
    }
}
