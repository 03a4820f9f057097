internal import RoostMemory

/// A decoder of whichever packing a file has.
struct Unpacker: ~Copyable {
    private var inflater: Inflater?
    private var zstd: ZstdDecoder?

    /// Whether the decoder stands between two members or frames, where the input may end.
    private(set) var isBetweenFrames = false

    /// Makes a decoder; `nil` when nothing is packed or there is no memory for one.
    init?(_ packing: StreamInput.Packing) {
        switch packing {
        case .none: return nil
        case .gzip: inflater = Inflater(.gzip)
        case .zstd: zstd = ZstdDecoder()
        }
        guard inflater != nil || zstd != nil else { return nil }
    }

    /// Decodes from one queue into another, as far as both reach.
    ///
    /// - Returns: Whether the bytes could be decoded.
    mutating func unpack(from packed: inout ByteQueue, into unpacked: inout ByteQueue) -> Bool {
        while !packed.isEmpty, unpacked.room > 0 {
            let step = decode(packed.bytes, into: &unpacked)
            packed.removeFirst(step.taken)
            switch step.outcome {
            case .corrupt: return false
            case .end:
                isBetweenFrames = true
                inflater?.reset()
            case .more:
                isBetweenFrames = false
                if step.taken == 0, step.given == 0 { return true }
            }
        }
        return true
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
