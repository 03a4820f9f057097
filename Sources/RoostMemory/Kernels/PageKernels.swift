internal import Glibc

extension RawSpan {
    /// Whether every byte is zero.
    ///
    /// Works in 64-bit words, 256 bytes a step, and ends at the first step that holds a one.
    ///
    /// - Precondition: `byteCount` is a multiple of 256.
    public var isZero: Bool {
        precondition(byteCount % 256 == 0)
        var offset = 0
        while offset < byteCount {
            var any: UInt64 = 0
            for word in 0..<32 {
                // SAFETY: `offset + 256 <= byteCount`: precondition and loop condition. The
                // offsets cannot overflow: they are below the length of a span.
                any |= unsafe unsafeLoadUnaligned(
                    fromUncheckedByteOffset: offset &+ word &* 8, as: UInt64.self)
            }
            guard any == 0 else { return false }
            offset &+= 256
        }
        return true
    }

    /// An integer of the stream, most significant byte first.
    ///
    /// - Precondition: It lies in the span.
    @inlinable  // Another module cannot specialize it otherwise.
    public func loadBigEndian<Value: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as type: Value.Type
    ) -> Value {
        precondition(offset >= 0 && offset <= byteCount &- MemoryLayout<Value>.size)
        // SAFETY: the offset was checked; every bit pattern is an integer.
        return Value(
            bigEndian: unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: type))
    }

    /// Whether two spans hold the same bytes.
    public func isEqual(to other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        return unsafe withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { theirs in
                guard let left = mine.baseAddress, let right = theirs.baseAddress else {
                    return true
                }
                // SAFETY: both are `byteCount` bytes long.
                return unsafe memcmp(left, right, mine.count) == 0
            }
        }
    }
}

extension MutableRawSpan {
    /// Copies a span of the same length over this one.
    ///
    /// - Precondition: The lengths are equal, and the memory is not the same.
    public mutating func replaceAll(with source: RawSpan) {
        precondition(byteCount == source.byteCount)
        unsafe source.withUnsafeBytes { from in
            unsafe withUnsafeMutableBytes { to in
                // SAFETY: equal lengths, and exclusive access rules out overlap.
                unsafe to.copyMemory(from: from)
            }
        }
    }

    /// Sets every byte to one value.
    public mutating func fill(with byte: UInt8) {
        unsafe withUnsafeMutableBytes { all in
            guard let base = all.baseAddress else { return }
            // SAFETY: the buffer's own length.
            unsafe memset(base, Int32(byte), all.count)
        }
    }
}
