internal import CXxhash

/// A 128-bit digest by XXH3, fed piece by piece.
///
/// It finds accidents, not attacks. The one place that touches libxxhash.
@safe
struct XXHash: ~Copyable, @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the one owner of the C state, which the library never shares.

    private let state: OpaquePointer

    /// Makes a digest of nothing; `nil` when there is no memory for it.
    init?() {
        guard let state = unsafe XXH3_createState() else { return nil }
        unsafe self.state = state
        unsafe XXH3_128bits_reset(state)
    }

    /// The digest of bytes that lie in one piece.
    static func digest(of bytes: RawSpan) -> Digest128 {
        let digest = unsafe bytes.withUnsafeBytes { all in
            // SAFETY: the library reads `count` bytes of the span.
            unsafe XXH3_128bits(all.baseAddress, all.count)
        }
        return Digest128(high: digest.high64, low: digest.low64)
    }

    /// Feeds bytes.
    mutating func update(_ bytes: RawSpan) {
        // SAFETY: the library reads `count` bytes of the span.
        unsafe bytes.withUnsafeBytes { all in
            _ = unsafe XXH3_128bits_update(state, all.baseAddress, all.count)
        }
    }

    /// Feeds an integer, most significant byte first.
    mutating func update(bigEndian value: UInt64) {
        let bytes: [1 of UInt64] = [value.bigEndian]
        update(unsafe bytes.span.bytes)
    }

    /// The digest of what was fed so far.
    func digest() -> (high: UInt64, low: UInt64) {
        let digest = unsafe XXH3_128bits_digest(state)
        return (digest.high64, digest.low64)
    }

    deinit {
        unsafe XXH3_freeState(state)
    }
}
