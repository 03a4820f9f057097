extension RawSpan {
    /// The sum of the 16-bit words in one's complement arithmetic, the heart of the Internet's
    /// checksum (RFC 1071); an odd last byte is the high half of a word.
    ///
    /// It adds 64-bit words in memory order, their halves apart, so that no carry is lost, and swaps
    /// the bytes of the result: the sum does not depend on the order of bytes (RFC 1071, section
    /// 2(B)). Exact for spans below 16 GiB.
    public var onesComplementSum: UInt16 {
        var low: UInt64 = 0
        var high: UInt64 = 0
        var offset = 0
        let end = byteCount & ~7
        while offset < end {
            // SAFETY: `offset + 8 <= byteCount`: both are multiples of 8 below it. Below 16 GiB there
            // are at most 2^31 words, so neither sum overflows.
            let word = unsafe unsafeLoadUnaligned(
                fromUncheckedByteOffset: offset, as: UInt64.self)
            low &+= word & 0xFFFF_FFFF
            high &+= word >> 32
            offset &+= 8
        }
        var sum = low &+ high &+ tailSum(from: end)
        sum = sum >> 32 &+ sum & 0xFFFF_FFFF
        sum = sum >> 32 &+ sum & 0xFFFF_FFFF
        sum = sum >> 16 &+ sum & 0xFFFF
        sum = sum >> 16 &+ sum & 0xFFFF
        sum = sum >> 16 &+ sum & 0xFFFF
        return UInt16(bigEndian: UInt16(truncatingIfNeeded: sum))
    }

    /// The last 0 to 7 bytes as words in memory order.
    private func tailSum(from start: Int) -> UInt64 {
        var sum: UInt64 = 0
        var offset = start
        // SAFETY: each step reads as many bytes as its bit of the length says are left.
        if byteCount & 4 != 0 {
            sum &+= UInt64(
                unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
            offset &+= 4
        }
        if byteCount & 2 != 0 {
            sum &+= UInt64(
                unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
            offset &+= 2
        }
        if byteCount & 1 != 0 {
            let last = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt8.self)
            sum &+= UInt64(UInt16(last).littleEndian)
        }
        return sum
    }
}
