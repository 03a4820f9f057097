internal import CZstd
internal import RoostMemory

/// A zstd decoder (RFC 8878).
///
/// The one place that touches libzstd.
@safe
struct ZstdDecoder: ~Copyable, @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the one owner of the C state, which libzstd never shares.

    private let state: OpaquePointer

    /// Makes a decoder; `nil` when there is no memory for it.
    init?() {
        guard let state = unsafe ZSTD_createDStream() else { return nil }
        unsafe self.state = state
        // The largest window a frame may ask for, as an exponent; the program's own default.
        unsafe ZSTD_DCtx_setParameter(state, ZSTD_d_windowLogMax, 27)
    }

    /// Decodes as much as input and room allow.
    ///
    /// - Returns: How many bytes were taken and given, and whether a frame ended, more is to
    ///   come, or the bytes are no zstd.
    mutating func decode(
        _ input: RawSpan, into output: inout MutableRawSpan
    ) -> (taken: Int, given: Int, outcome: Inflater.Outcome) {
        // SAFETY: libzstd stays within the sizes given beside the pointers, and the buffers are
        // local to the call.
        unsafe input.withUnsafeBytes { from in
            unsafe output.withUnsafeMutableBytes { to in
                var source = unsafe ZSTD_inBuffer(src: from.baseAddress, size: from.count, pos: 0)
                var target = unsafe ZSTD_outBuffer(dst: to.baseAddress, size: to.count, pos: 0)
                let result = unsafe ZSTD_decompressStream(state, &target, &source)
                let outcome: Inflater.Outcome =
                    ZSTD_isError(result) != 0 ? .corrupt : result == 0 ? .end : .more
                return unsafe (source.pos, target.pos, outcome)
            }
        }
    }

    deinit {
        unsafe ZSTD_freeDStream(state)
    }
}
