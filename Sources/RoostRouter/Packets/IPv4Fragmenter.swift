internal import RoostMemory

/// Cuts an IPv4 packet into fragments for a smaller link (RFC 791, section 3.2), one at a time.
///
/// Each fragment has a header as long as the packet's: the options that fragments do not copy become
/// "no operation" in all but the first, so that all fragments take the same payload.
struct IPv4Fragmenter: BitwiseCopyable, Sendable {
    private let header: IPv4Header
    /// How many bytes of payload a fragment takes, a multiple of 8.
    private let pieceByteCount: Int
    /// How many bytes of payload are in fragments already.
    private var position = 0

    /// Begins with a packet; whether it may be fragmented is the caller's question.
    ///
    /// nil when not even 8 bytes of payload go with the header, or when the packet is a fragment of
    /// one longer than 65,535 bytes, which no receiver can put together.
    ///
    /// - Parameters:
    ///   - header: The packet's header.
    ///   - mtu: How many bytes a fragment has at most.
    init?(_ header: IPv4Header, mtu: Int) {
        let room = mtu - header.headerByteCount
        guard room >= 8, header.fragmentByteOffset + header.payloadByteCount <= 65_535
        else { return nil }
        self.header = header
        pieceByteCount = room & ~7
    }

    /// Whether all fragments are written.
    var isDone: Bool { position >= header.payloadByteCount }

    /// Writes the next fragment.
    ///
    /// - Parameters:
    ///   - frame: The frame that the header was read from; its checksum and time to live may have
    ///     changed since.
    ///   - output: Room for the MTU from the start on.
    ///   - start: Where its IP header goes.
    /// - Returns: The fragment's length from its IP header on; nil when there are no more.
    mutating func next(
        from frame: RawSpan, into output: inout MutableRawSpan, at start: Int
    ) -> Int? {
        let left = header.payloadByteCount - position
        guard left > 0 else { return nil }
        let count = min(left, pieceByteCount)
        let body = header.payloadOffset + position
        let length = header.headerByteCount
        output.replaceBytes(
            at: start, with: frame.extracting(header.offset..<header.payloadOffset))
        output.replaceBytes(at: start + length, with: frame.extracting(body..<body + count))
        if position > 0 { Self.blankOptions(&output, at: start, headerByteCount: length) }

        let isLast = count == left && !header.moreFragments
        var word = UInt16(truncatingIfNeeded: (header.fragmentByteOffset + position) / 8)
        word |= isLast ? 0 : IPv4Header.moreFragmentsBit
        word |= header.dontFragment ? IPv4Header.dontFragmentBit : 0
        output.storeBigEndian(UInt16(truncatingIfNeeded: length + count), at: start + 2)
        output.storeBigEndian(word, at: start + 6)
        IPv4Header.finishChecksum(&output, at: start, headerByteCount: length)
        position += count
        return length + count
    }

    /// Replaces the options whose type lacks the copy bit, and what cannot be read as options.
    private static func blankOptions(
        _ output: inout MutableRawSpan, at start: Int, headerByteCount: Int
    ) {
        var offset = start + IPv4Header.minimumByteCount
        let end = start + headerByteCount
        while offset < end {
            let kind = output.bytes.loadBigEndian(at: offset, as: UInt8.self)
            guard kind != IPv4Options.Kind.end else { return }
            let length = IPv4Options.length(in: output.bytes, at: offset, before: end)
            let next = offset + (length ?? end - offset)
            if kind & 0x80 == 0 || length == nil {
                for place in offset..<next {
                    output.storeBigEndian(IPv4Options.Kind.noOperation, at: place)
                }
            }
            offset = next
        }
    }
}

extension IPv4Fragmenter {
    /// Writes the next fragment with the packet's link header as a frame of another batch.
    ///
    /// - Parameters:
    ///   - batch: Where the packet is.
    ///   - slot: Which frame it is.
    ///   - target: A frame with room for the MTU behind its link header.
    ///   - output: Where that is.
    /// - Returns: The length of the frame.
    mutating func write(
        from batch: borrowing FrameBatch, _ slot: Int, to target: Int, of output: inout FrameBatch
    ) -> Int {
        let offset = EthernetHeader.byteCount
        var frame = output.mutableFrame(target)
        frame.replaceBytes(at: 0, with: batch.frame(slot).extracting(0..<offset))
        return offset + (next(from: batch.frame(slot), into: &frame, at: offset) ?? 0)
    }
}
