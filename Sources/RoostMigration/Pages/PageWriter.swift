internal import RoostMemory

/// Chooses the record for a page and writes it.
struct PageWriter: ~Copyable {
    private let encoding: PageEncoding
    private var deflater: PageDeflater?
    private var scratch: MappedRegion
    private let zeroPage: MappedRegion

    static func make(_ encoding: PageEncoding) throws(MigrationError) -> PageWriter {
        PageWriter(encoding, scratch: try pages(2), zeroPage: try pages(1))
    }

    private static func pages(_ count: Int) throws(MigrationError) -> MappedRegion {
        do throws(MemoryError) {
            return try .anonymous(byteCount: count * pageByteCount)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
    }

    private init(
        _ encoding: PageEncoding, scratch: consuming MappedRegion,
        zeroPage: consuming MappedRegion
    ) {
        self.scratch = scratch
        self.zeroPage = zeroPage
        self.encoding = encoding
        if case .compressed(let level) = encoding { deflater = PageDeflater(level: level) }
    }

    /// Writes the final content of a page, which the destination need not hold yet.
    mutating func write(
        _ page: RawSpan, block: Int, offset: UInt64, to writer: inout StreamWriter
    ) {
        guard !page.isZero else {
            writer.zeroPage(block: block, offset: offset)
            return
        }
        switch encoding {
        case .plain: break
        case .xbzrle:
            let encoded = Self.encode(page, against: zeroPage, into: &scratch)
            // The zero page that the delta is made against costs a record of 9 bytes, the
            // delta's own head 11.
            if case .delta(let count) = encoded, count + 20 < pageByteCount {
                writer.zeroPage(block: block, offset: offset)
                writer.deltaPage(
                    block: block, offset: offset, scratch.bytes.extracting(0..<count))
                return
            }
        case .compressed:
            if let count = Self.deflate(page, into: &scratch, &deflater), count < pageByteCount {
                writer.compressedPage(
                    block: block, offset: offset, scratch.bytes.extracting(0..<count))
                return
            }
        }
        writer.plainPage(block: block, offset: offset, page)
    }

    private static func encode(
        _ page: RawSpan, against base: borrowing MappedRegion, into scratch: inout MappedRegion
    ) -> XBZRLE.Encoded {
        var room = scratch.mutablePage(at: 0)
        return XBZRLE.encode(old: base.bytes, new: page, into: &room)
    }

    private static func deflate(
        _ page: RawSpan, into scratch: inout MappedRegion, _ deflater: inout PageDeflater?
    ) -> Int? {
        var room = scratch.mutableBytes
        return deflater?.deflate(page, into: &room)
    }
}
