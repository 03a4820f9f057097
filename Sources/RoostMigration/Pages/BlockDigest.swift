internal import RoostMemory
internal import SystemPackage

/// What a RAM block holds, in 16 bytes: equal blocks have equal digests.
///
/// Pages of zeros do not count, so holes and zeros are the same. Both ends of a move compute it at
/// the switch-over, and the destination starts nothing when they differ.
struct BlockDigest: Equatable, Sendable {
    let name: String
    let usedByteCount: UInt64
    let high: UInt64
    let low: UInt64

    /// Computes a block's digest; the memory must not change meanwhile.
    ///
    /// - Parameters:
    ///   - block: The block.
    ///   - start: Where it begins in the space, in bytes.
    ///   - space: Where it is mapped.
    ///   - file: The block's memory file, whose holes are passed over; `nil` looks at every page.
    /// - Throws: `MigrationError` of kind `transfer` when there is no memory.
    init(
        of block: RAMBlock, at start: Int, in space: MemorySpace, file: MemoryFile?
    ) throws(MigrationError) {
        guard var hash = XXHash() else {
            throw MigrationError(.transfer, errno: .noMemory, "no memory for a digest")
        }
        let byteCount = Int(block.usedByteCount)
        var position = 0
        while position < byteCount {
            let end = min(position + SourceMemory.windowPageCount * pageByteCount, byteCount)
            var page = position
            while let data = Self.piece(of: file, page..<end) {
                page = data.lowerBound / pageByteCount * pageByteCount
                while page < data.upperBound {
                    let bytes = space.page(at: start + page)
                    if !bytes.isZero {
                        hash.update(bigEndian: UInt64(page))
                        hash.update(bytes)
                    }
                    page += pageByteCount
                }
            }
            if file != nil { space.forgetTables(of: start + position..<start + end) }
            position = end
        }
        name = block.name
        usedByteCount = block.usedByteCount
        (high, low) = hash.digest()
    }

    /// The next piece of a range that may hold something.
    private static func piece(of file: MemoryFile?, _ range: Range<Int>) -> Range<Int>? {
        guard !range.isEmpty else { return nil }
        guard let file else { return range }
        return file.data(in: range)
    }

    private init(name: String, usedByteCount: UInt64, high: UInt64, low: UInt64) {
        self.name = name
        self.usedByteCount = usedByteCount
        self.high = high
        self.low = low
    }

    // MARK: The section

    /// The section that carries digests, behind the memory: a stream that has it is for Roost.
    ///
    ///     be16 count │ { u8 length, id │ be64 used length │ be64 high │ be64 low }
    static let sectionName = "roost-digests"
    static let sectionVersion: UInt32 = 1
    /// A number that no QEMU gives a section: it counts from zero.
    static let sectionID: UInt32 = 0x726f_6f73

    /// The most bytes of a section: every block that a list may have, with the longest names.
    static let sectionLimit = 64 + StreamFormat.blockLimit * (1 + 255 + 24)

    /// Writes a section with digests.
    ///
    /// - Returns: The length of its payload in bytes.
    static func write(
        _ digests: [BlockDigest], to writer: inout StreamWriter,
        flush: (inout ByteQueue) throws(MigrationError) -> Void
    ) throws(MigrationError) -> Int {
        writer.beginSection(
            SectionHeader(
                kind: .full, id: sectionID, name: sectionName, instance: 0,
                version: sectionVersion))
        writer.output.append(bigEndian: UInt16(truncatingIfNeeded: digests.count))
        var byteCount = 2
        for digest in digests {
            if !writer.hasRoom { try flush(&writer.output) }
            writer.output.append(bigEndian: UInt8(truncatingIfNeeded: digest.name.utf8.count))
            writer.output.append(utf8: digest.name)
            writer.output.append(bigEndian: digest.usedByteCount)
            writer.output.append(bigEndian: digest.high)
            writer.output.append(bigEndian: digest.low)
            byteCount += 1 + digest.name.utf8.count + 24
        }
        writer.endSection(sectionID, hasFooter: true)
        return byteCount
    }

    /// Reads the section from the start of what follows the memory.
    ///
    /// - Returns: The digests; `nil` when something else stands there.
    /// - Throws: `MigrationError` of kind `malformed` when the section is damaged.
    static func read(_ tail: RawSpan) throws(MigrationError) -> [BlockDigest]? {
        var cursor = SpanCursor(tail)
        guard cursor.read(UInt8.self) == SectionHeader.Kind.full.rawValue,
            cursor.read(UInt32.self) != nil, let nameCount = cursor.read(UInt8.self),
            cursor.readText(Int(nameCount)) == sectionName
        else { return nil }
        guard cursor.read(UInt32.self) == 0, cursor.read(UInt32.self) == sectionVersion,
            let count = cursor.read(UInt16.self), count <= StreamFormat.blockLimit
        else { throw malformed }
        var digests: [BlockDigest] = []
        for _ in 0..<count {
            guard let length = cursor.read(UInt8.self), let name = cursor.readText(Int(length)),
                let usedByteCount = cursor.read(UInt64.self),
                let high = cursor.read(UInt64.self), let low = cursor.read(UInt64.self)
            else { throw malformed }
            digests.append(
                BlockDigest(name: name, usedByteCount: usedByteCount, high: high, low: low))
        }
        return digests
    }

    private static var malformed: MigrationError {
        MigrationError(
            .malformed,
            "the section \(sectionName) is damaged: nothing was started, move the guest again")
    }
}
