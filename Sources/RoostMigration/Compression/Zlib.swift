internal import CZlib
internal import RoostMemory

/// A zlib decoder, reused from one stream to the next.
///
/// The one place that touches `inflate`.
@safe
struct Inflater: ~Copyable, @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the one owner of the C state, which zlib never shares.

    /// How the bytes are framed.
    enum Format: Int32 {
        /// RFC 1950.
        case zlib = 15
        /// RFC 1952.
        case gzip = 31
    }

    /// What a call came to.
    enum Outcome: Equatable {
        /// More input or more room is needed.
        case more
        /// The stream ended.
        case end
        /// The bytes are no such stream.
        case corrupt
    }

    private let state: UnsafeMutablePointer<z_stream>

    /// Makes a decoder; `nil` when there is no memory for it.
    init?(_ format: Format) {
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: z_stream())
        guard
            unsafe inflateInit2_(
                state, format.rawValue, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else {
            unsafe state.deallocate()
            return nil
        }
    }

    /// Begins a new stream.
    mutating func reset() {
        unsafe inflateReset(state)
    }

    /// Decodes as much as input and room allow.
    ///
    /// - Parameters:
    ///   - input: What is left of the input.
    ///   - output: Where the result goes.
    /// - Returns: How many bytes were taken and given, and what it came to.
    mutating func inflate(
        _ input: RawSpan, into output: inout MutableRawSpan
    ) -> (taken: Int, given: Int, outcome: Outcome) {
        // SAFETY: zlib reads and writes only within the lengths given beside the pointers, and
        // both are set anew at each call, so no pointer outlives its span.
        unsafe input.withUnsafeBytes { from in
            unsafe output.withUnsafeMutableBytes { to in
                unsafe state.pointee.next_in = UnsafeMutablePointer(
                    mutating: from.bindMemory(to: UInt8.self).baseAddress)
                unsafe state.pointee.avail_in = UInt32(clamping: from.count)
                unsafe state.pointee.next_out = to.bindMemory(to: UInt8.self).baseAddress
                unsafe state.pointee.avail_out = UInt32(clamping: to.count)
                let result = unsafe CZlib.inflate(state, Z_NO_FLUSH)
                let taken = unsafe from.count - Int(state.pointee.avail_in)
                let given = unsafe to.count - Int(state.pointee.avail_out)
                let outcome: Outcome =
                    switch result {
                    case Z_STREAM_END: .end
                    case Z_OK, Z_BUF_ERROR: .more
                    default: .corrupt
                    }
                return (taken, given, outcome)
            }
        }
    }

    deinit {
        unsafe inflateEnd(state)
        unsafe state.deallocate()
    }
}

/// A zlib encoder that makes each page a stream of its own, as QEMU's `compress` does.
@safe
struct PageDeflater: ~Copyable, @unchecked Sendable {
    // SAFETY (@unchecked Sendable): as for `Inflater`.

    private let state: UnsafeMutablePointer<z_stream>

    /// Makes an encoder; `nil` when there is no memory for it.
    ///
    /// - Parameter level: 0 (none) to 9 (best), as zlib counts.
    init?(level: Int) {
        precondition((0...9).contains(level))
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: z_stream())
        guard
            unsafe deflateInit_(
                state, Int32(level), ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else {
            unsafe state.deallocate()
            return nil
        }
    }

    /// Encodes a page as one complete stream.
    ///
    /// - Parameters:
    ///   - page: The page.
    ///   - output: Room for ``StreamFormat/compressedPageLimit`` bytes.
    /// - Returns: The stream's length in bytes.
    mutating func deflate(_ page: RawSpan, into output: inout MutableRawSpan) -> Int {
        precondition(output.byteCount >= StreamFormat.compressedPageLimit)
        // SAFETY: as for `inflate`; the output has zlib's own bound of room for a page.
        return unsafe page.withUnsafeBytes { from in
            unsafe output.withUnsafeMutableBytes { to in
                unsafe deflateReset(state)
                unsafe state.pointee.next_in = UnsafeMutablePointer(
                    mutating: from.bindMemory(to: UInt8.self).baseAddress)
                unsafe state.pointee.avail_in = UInt32(clamping: from.count)
                unsafe state.pointee.next_out = to.bindMemory(to: UInt8.self).baseAddress
                unsafe state.pointee.avail_out = UInt32(clamping: to.count)
                let result = unsafe CZlib.deflate(state, Z_FINISH)
                precondition(result == Z_STREAM_END, "zlib broke its bound for a page")
                return unsafe to.count - Int(state.pointee.avail_out)
            }
        }
    }

    deinit {
        unsafe deflateEnd(state)
        unsafe state.deallocate()
    }
}

/// The CRC-32 of ISO 3309 (RFC 1952 section 8), going on from an earlier value.
func crc32(_ bytes: RawSpan, from earlier: UInt32 = 0) -> UInt32 {
    // SAFETY: zlib reads `count` bytes of the span.
    unsafe bytes.withUnsafeBytes { all in
        unsafe UInt32(
            truncatingIfNeeded: crc32_z(
                UInt(earlier), all.bindMemory(to: UInt8.self).baseAddress, all.count))
    }
}
