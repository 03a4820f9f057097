/// XBZRLE: the delta of a page against the content that the other side already holds.
///
/// An encoding is pairs of runs: how many bytes are equal, how many differ, and the new bytes of
/// those that differ. Run lengths are ULEB128 of at most 14 bits. QEMU names the format in
/// `docs/xbzrle.txt`; its encoder and decoder agree with these byte for byte.
///
///     uleb128 equal │ uleb128 differing │ differing × new byte │ … │ a last equal run is left out
public enum XBZRLE {
    /// What encoding a page came to.
    public enum Encoded: Equatable, Sendable {
        /// The pages are equal: nothing is to be sent.
        case unchanged
        /// The delta, so many bytes from the start of the output.
        case delta(byteCount: Int)
        /// The delta does not fit into a page: the page is to be sent whole.
        case overflow
    }

    /// Why bytes are not a delta of a page.
    public enum Malformed: Error, Equatable, Sendable {
        /// The bytes end inside a pair of runs.
        case truncated
        /// A run length is longer than 14 bits.
        case runLength
        /// A run of no bytes where there must be some.
        case emptyRun
        /// The runs pass the end of the page.
        case pastPage
    }

    /// Encodes what changed between two copies of a page.
    ///
    /// Where QEMU's encoder gives up, this one does: it asks for two bytes of room before each
    /// run length, although one may do.
    ///
    /// - Parameters:
    ///   - old: The page as the other side has it.
    ///   - new: The page as it is to be.
    ///   - output: Where the delta goes; its length is the limit.
    /// - Returns: Whether there is a delta to send, and its length.
    /// - Precondition: All three are a page (4,096 bytes) long.
    public static func encode(
        old: RawSpan, new: RawSpan, into output: inout MutableRawSpan
    ) -> Encoded {
        precondition(old.byteCount == pageByteCount && new.byteCount == pageByteCount)
        precondition(output.byteCount == pageByteCount)
        var position = 0
        var written = 0
        while position < pageByteCount {
            guard written &+ 2 <= pageByteCount else { return .overflow }
            let equalEnd = endOfEqualRun(old, new, from: position)
            if equalEnd == pageByteCount { break }
            written = unsafe store(runLength: equalEnd &- position, at: written, in: &output)
            guard written &+ 2 <= pageByteCount else { return .overflow }
            position = endOfDifferingRun(old, new, from: equalEnd)
            let count = position &- equalEnd
            written = unsafe store(runLength: count, at: written, in: &output)
            guard written &+ count <= pageByteCount else { return .overflow }
            unsafe copy(new, from: equalEnd, count: count, to: written, in: &output)
            written &+= count
        }
        return written == 0 ? .unchanged : .delta(byteCount: written)
    }

    /// Applies a delta to the page it was made against.
    ///
    /// A delta that ends early, or of no bytes, is a delta: what it does not name stays. When a
    /// delta is refused, runs before the fault have been applied.
    ///
    /// - Parameters:
    ///   - delta: The encoding, of any length.
    ///   - page: The content the delta was made against; the new content afterwards.
    /// - Throws: ``Malformed``; nothing outside the page is written.
    /// - Precondition: `page` is a page (4,096 bytes) long.
    public static func decode(
        _ delta: RawSpan, onto page: inout MutableRawSpan
    ) throws(Malformed) {
        precondition(page.byteCount == pageByteCount)
        let count = delta.byteCount
        var read = 0
        var position = 0
        while read < count {
            guard count &- read >= 2 else { throw .truncated }
            let equal = try runLength(delta, at: &read)
            guard equal > 0 || position == 0 else { throw .emptyRun }
            position &+= equal
            guard position <= pageByteCount else { throw .pastPage }
            guard count &- read >= 2 else { throw .truncated }
            let differing = try runLength(delta, at: &read)
            guard differing > 0 else { throw .emptyRun }
            guard position &+ differing <= pageByteCount else { throw .pastPage }
            guard read &+ differing <= count else { throw .truncated }
            unsafe copy(delta, from: read, count: differing, to: position, in: &page)
            read &+= differing
            position &+= differing
        }
    }

    // Offsets below are sums of lengths that were checked against a page, so they cannot
    // overflow, and wrapping operators spare the test.

    /// Where the bytes from `start` on first differ, or the end of the page.
    @inline(__always)  // A call per run costs as much as the short runs it finds.
    private static func endOfEqualRun(_ old: RawSpan, _ new: RawSpan, from start: Int) -> Int {
        var position = start
        while position &+ 8 <= pageByteCount {
            let difference = unsafe word(old, position) ^ word(new, position)
            if difference != 0 { return position &+ difference.trailingZeroBitCount >> 3 }
            position &+= 8
        }
        while position < pageByteCount, unsafe byte(old, position) == byte(new, position) {
            position &+= 1
        }
        return position
    }

    /// Where the bytes from `start` on are first equal, or the end of the page.
    @inline(__always)  // As above.
    private static func endOfDifferingRun(_ old: RawSpan, _ new: RawSpan, from start: Int) -> Int {
        var position = start
        while position &+ 8 <= pageByteCount {
            let difference = unsafe word(old, position) ^ word(new, position)
            // The lowest byte whose top bit is set here is the lowest zero byte: a borrow only
            // reaches the bytes above one.
            let zeros =
                (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
            if zeros != 0 { return position &+ zeros.trailingZeroBitCount >> 3 }
            position &+= 8
        }
        while position < pageByteCount, unsafe byte(old, position) != byte(new, position) {
            position &+= 1
        }
        return position
    }

    /// A run length of at most 14 bits.
    @inline(__always)  // As above.
    private static func runLength(_ delta: RawSpan, at read: inout Int) throws(Malformed) -> Int {
        // SAFETY: the caller has checked that two bytes are left.
        let low = unsafe Int(byte(delta, read))
        guard low & 0x80 != 0 else {
            read &+= 1
            return low
        }
        let high = unsafe Int(byte(delta, read &+ 1))
        guard high & 0x80 == 0 else { throw .runLength }
        read &+= 2
        return high << 7 | low & 0x7f
    }

    @unsafe @inline(__always)  // As above. SAFETY: the caller keeps two bytes of room.
    private static func store(
        runLength: Int, at written: Int, in output: inout MutableRawSpan
    ) -> Int {
        guard runLength >= 0x80 else {
            unsafe output.storeBytes(
                of: UInt8(truncatingIfNeeded: runLength), toUncheckedByteOffset: written,
                as: UInt8.self)
            return written &+ 1
        }
        let both = UInt16(truncatingIfNeeded: runLength & 0x7f | 0x80 | (runLength >> 7) << 8)
        unsafe output.storeBytes(
            of: both.littleEndian, toUncheckedByteOffset: written, as: UInt16.self)
        return written &+ 2
    }

    @unsafe @inline(__always)  // As above. SAFETY: the caller keeps `offset + 8` in the page.
    private static func word(_ page: RawSpan, _ offset: Int) -> UInt64 {
        // The lowest address in the lowest byte, on any host.
        unsafe UInt64(
            littleEndian: page.unsafeLoadUnaligned(
                fromUncheckedByteOffset: offset, as: UInt64.self))
    }

    @unsafe @inline(__always)  // As above. SAFETY: the caller keeps `offset` in the span.
    private static func byte(_ span: RawSpan, _ offset: Int) -> UInt8 {
        unsafe span.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
    }

    @unsafe @inline(__always)  // As above. SAFETY: the caller keeps both ranges in their spans.
    private static func copy(
        _ source: RawSpan, from: Int, count: Int, to: Int, in destination: inout MutableRawSpan
    ) {
        unsafe source.withUnsafeBytes { bytes in
            unsafe destination.withUnsafeMutableBytes { target in
                guard let origin = bytes.baseAddress, let base = target.baseAddress else { return }
                unsafe (base + to).copyMemory(from: origin + from, byteCount: count)
            }
        }
    }
}
