internal import CZstd
internal import Glibc
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
        // Each frame's own window is looked at before, see `windowLimit`.
        unsafe ZSTD_DCtx_setParameter(state, ZSTD_d_windowLogMax, 31)
    }

    /// The largest window a frame may ask for, in bytes: libzstd's own bound, and no more than half
    /// of this machine's memory; always the 128 MiB that the program takes without an option.
    static let windowLimit: UInt64 = {
        let memory = UInt64(max(0, sysconf(Int32(_SC_PHYS_PAGES)))) * UInt64(getpagesize())
        return min(1 << 31, max(1 << 27, memory / 2))
    }()

    /// The window that a frame asks for (RFC 8878, section 3.1.1.1.2), from its first bytes.
    ///
    ///     magic │ descriptor │ [window] │ [dictionary] │ [content size]
    ///
    /// - Returns: Bytes; `nil` for a frame that is skipped, and where the head is not all there.
    static func windowByteCount(_ head: RawSpan) -> UInt64? {
        guard head.byteCount >= 6, head.loadBigEndian(at: 0, as: UInt32.self) == 0x28b5_2ffd else {
            return nil
        }
        let descriptor = head.loadBigEndian(at: 4, as: UInt8.self)
        guard descriptor & 0x20 != 0 else {
            let byte = head.loadBigEndian(at: 5, as: UInt8.self)
            let base: UInt64 = 1 << (10 + UInt64(byte >> 3))
            return base + base / 8 * UInt64(byte & 7)
        }
        // The content is one segment, and its size is the window's.
        let start = 5 + [0, 1, 2, 4][Int(descriptor & 3)]
        let count = 1 << Int(descriptor >> 6)
        guard head.byteCount >= start + count else { return nil }
        var size: UInt64 = count == 2 ? 256 : 0
        for index in 0..<count {
            let byte = head.loadBigEndian(at: start + index, as: UInt8.self)
            size &+= UInt64(byte) << UInt64(8 * index)
        }
        return size
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
