internal import RoostMemory

extension StreamParser {
    /// The page sizes of targets, in bytes, that are not handled (QEMU: `TARGET_PAGE_BITS`).
    private static let otherPageByteCounts = [1024, 2048, 8192, 16384, 32768, 65536]

    /// The size of the target's pages, where what cannot be a record shows that it is another one.
    ///
    /// Nothing in a stream need tell it before the description at its end. Offsets of smaller pages
    /// have bits where flags are; behind the body of a page of another size stands a record.
    ///
    /// - Parameters:
    ///   - flags: What stands in the low bits of the word at `position`.
    ///   - bytes: The piece of the stream.
    ///   - position: Where in it the word stands.
    /// - Returns: Bytes, or `nil` where the stream is just damaged.
    @inline(never)  // Once a stream.
    func otherPageByteCount(
        _ flags: UInt64, _ bytes: RawSpan, at position: Int
    ) -> Int? {
        let small = flags & 0xc00
        if small != 0, Self.isPage(flags & 0x3ff) { return small & 0x400 != 0 ? 1024 : 2048 }
        guard lastBlock >= 0 else { return nil }
        // The page before was read as one of 4,096 bytes, with its block's name or without.
        let body = position - pageByteCount
        let nameCount = blocks.descriptions[lastBlock].name.utf8.count
        for head in [body - 8, body - 9 - nameCount] where head >= 0 {
            let word = bytes.loadBigEndian(at: head, as: UInt64.self)
            let isContinued = word & StreamFormat.Flag.continuation != 0
            guard isContinued == (head == body - 8),
                word & StreamFormat.Flag.mask & ~StreamFormat.Flag.continuation
                    == StreamFormat.Flag.page
            else { continue }
            let offset = word & ~StreamFormat.Flag.mask
            if let found = Self.otherPageByteCounts.first(where: {
                isRecord(bytes, at: body + $0, behind: offset, pageByteCount: UInt64($0))
            }) {
                return found
            }
        }
        return nil
    }

    /// Whether a record stands here that can follow a page at `offset`: a further page of the block,
    /// or the end of the section.
    private func isRecord(
        _ bytes: RawSpan, at position: Int, behind offset: UInt64, pageByteCount: UInt64
    ) -> Bool {
        guard position + 9 <= bytes.byteCount else { return false }
        let word = bytes.loadBigEndian(at: position, as: UInt64.self)
        guard word != StreamFormat.Flag.endOfSection else {
            return bytes.loadBigEndian(at: position + 8, as: UInt8.self)
                == StreamFormat.Item.footer
        }
        let mask = min(pageByteCount - 1, StreamFormat.Flag.mask)
        let next = word & ~mask
        return Self.isPage(word & mask) && word & StreamFormat.Flag.continuation != 0
            && next > offset && next % pageByteCount == 0
            && next < blocks.usedByteCounts[lastBlock]
    }

    /// Whether flags are those of a page as every QEMU sends it.
    private static func isPage(_ flags: UInt64) -> Bool {
        let kind = flags & ~StreamFormat.Flag.continuation
        return kind == StreamFormat.Flag.page || kind == StreamFormat.Flag.zero
    }
}
