/// A key of SipHash: 128 secret bits.
///
/// What addresses a guest sends to is its own choice, so a table it can fill must not let it choose
/// the bucket too: the hash is keyed, and the key never leaves the process. SipHash-c-d
/// (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012); the tables take c = 1, d = 3.
struct SipHashKey: BitwiseCopyable, Sendable {
    /// Bytes 0 to 7 of the key, little-endian.
    let low: UInt64
    /// Bytes 8 to 15 of the key, little-endian.
    let high: UInt64

    /// A key from the system's randomness.
    static func random() -> SipHashKey {
        var random = SystemRandomNumberGenerator()
        return SipHashKey(low: random.next(), high: random.next())
    }

    /// The hash of a message of 20 bytes.
    ///
    /// - Parameters:
    ///   - first: Bytes 0 to 7, little-endian.
    ///   - second: Bytes 8 to 15, little-endian.
    ///   - last: Bytes 16 to 19, little-endian.
    ///   - compressions: c, the rounds after each block.
    ///   - finalizations: d, the rounds at the end.
    /// - Returns: 64 bits that say nothing about the key.
    @inline(__always)  // The rounds are constants in each use, and it runs once a lookup.
    func hash(
        _ first: UInt64, _ second: UInt64, _ last: UInt32,
        compressions: Int = 1, finalizations: Int = 3
    ) -> UInt64 {
        var state = SipHashState(key: self)
        state.absorb(first, rounds: compressions)
        state.absorb(second, rounds: compressions)
        // The last block carries the message's length in its highest byte.
        state.absorb(20 << 56 | UInt64(last), rounds: compressions)
        return state.finish(rounds: finalizations)
    }
}

/// The four words that SipHash stirs.
private struct SipHashState {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64

    @inline(__always)
    init(key: SipHashKey) {
        // "somepseudorandomlygeneratedbytes", the paper's constants.
        v0 = key.low ^ 0x736f_6d65_7073_6575
        v1 = key.high ^ 0x646f_7261_6e64_6f6d
        v2 = key.low ^ 0x6c79_6765_6e65_7261
        v3 = key.high ^ 0x7465_6462_7974_6573
    }

    @inline(__always)
    mutating func absorb(_ block: UInt64, rounds: Int) {
        v3 ^= block
        for _ in 0..<rounds { stir() }
        v0 ^= block
    }

    @inline(__always)
    mutating func finish(rounds: Int) -> UInt64 {
        v2 ^= 0xFF
        for _ in 0..<rounds { stir() }
        return v0 ^ v1 ^ v2 ^ v3
    }

    @inline(__always)
    private mutating func stir() {
        // Sums wrap by the definition of the hash.
        v0 &+= v1
        v2 &+= v3
        v1 = v1.rotated(13) ^ v0
        v3 = v3.rotated(16) ^ v2
        v0 = v0.rotated(32)
        v2 &+= v1
        v0 &+= v3
        v1 = v1.rotated(17) ^ v2
        v3 = v3.rotated(21) ^ v0
        v2 = v2.rotated(32)
    }
}

extension UInt64 {
    @inline(__always)
    fileprivate func rotated(_ count: UInt64) -> UInt64 {
        self &<< count | self &>> (64 &- count)
    }
}
