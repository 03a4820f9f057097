internal import RoostMemory

/// A decoder of whichever packing a file has: members of gzip, or frames of zstd.
struct Unpacker: ~Copyable {
    /// The most bytes of a frame's head, which must lie in one piece (RFC 8878, section 3.1.1.1).
    static let headByteCount = 18

    /// What unpacking came to.
    enum Outcome: Equatable {
        /// What there was is unpacked, as far as there is room.
        case unpacked
        /// What comes next is no further frame.
        case other
        /// The next frame needs a window of so many bytes, more than ``ZstdDecoder`` may take.
        case window(UInt64)
        /// The bytes cannot be decoded.
        case corrupt
    }

    private let packing: StreamInput.Packing
    private var inflater: Inflater?
    private var zstd: ZstdDecoder?
    private var isBehind = false

    /// Whether the decoder stands before, between or behind frames, where the input may end.
    private(set) var isBetweenFrames = true

    /// Makes a decoder; `nil` when nothing is packed or there is no memory for one.
    init?(_ packing: StreamInput.Packing) {
        self.packing = packing
        switch packing {
        case .none: return nil
        case .gzip: inflater = Inflater(.gzip)
        case .zstd: zstd = ZstdDecoder()
        }
        guard inflater != nil || zstd != nil else { return nil }
    }

    /// How bytes are packed, by their first ones.
    ///
    /// zstd's frames can be such that are skipped, which its parallel packer writes first.
    static func packing(of bytes: RawSpan) -> StreamInput.Packing {
        guard bytes.byteCount >= 2 else { return .none }
        if bytes.loadBigEndian(at: 0, as: UInt16.self) == 0x1f8b { return .gzip }
        guard bytes.byteCount >= 4 else { return .none }
        let word = bytes.loadBigEndian(at: 0, as: UInt32.self)
        return word == 0x28b5_2ffd || word & 0xf0ff_ffff == 0x502a_4d18 ? .zstd : .none
    }

    /// Decodes from one queue into another, as far as both reach.
    ///
    /// - Parameters:
    ///   - packed: What is to be decoded; what was is taken away.
    ///   - unpacked: Where the result goes.
    ///   - isAtEnd: Whether nothing follows what is packed.
    /// - Returns: What it came to.
    mutating func unpack(
        from packed: inout ByteQueue, into unpacked: inout ByteQueue, isAtEnd: Bool
    ) -> Outcome {
        while !packed.isEmpty, unpacked.room > 0 {
            if isBetweenFrames {
                guard isAtEnd || packed.count >= Self.headByteCount else { return .unpacked }
                guard !isBehind, Self.packing(of: packed.bytes) == packing else {
                    isBehind = true
                    return .other
                }
                if let window = ZstdDecoder.windowByteCount(packed.bytes),
                    window > ZstdDecoder.windowLimit
                {
                    return .window(window)
                }
            }
            let step = decode(packed.bytes, into: &unpacked)
            packed.removeFirst(step.taken)
            switch step.outcome {
            case .corrupt: return .corrupt
            case .end:
                isBetweenFrames = true
                inflater?.reset()
            case .more:
                isBetweenFrames = false
                if step.taken == 0, step.given == 0 { return .unpacked }
            }
        }
        return .unpacked
    }

    private mutating func decode(
        _ source: RawSpan, into unpacked: inout ByteQueue
    ) -> (taken: Int, given: Int, outcome: Inflater.Outcome) {
        var step = (taken: 0, given: 0, outcome: Inflater.Outcome.corrupt)
        _ = unpacked.append(upTo: unpacked.room) { room in
            if inflater != nil {
                step = inflater?.inflate(source, into: &room) ?? step
            } else {
                step = zstd?.decode(source, into: &room) ?? step
            }
            return step.given
        }
        return step
    }
}
