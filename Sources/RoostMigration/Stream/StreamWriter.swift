public import RoostMemory

/// Produces a QEMU migration stream.
///
/// The writer does no input or output: bytes gather in ``output``, and its owner takes them away
/// whenever less than ``longestItem`` bytes of room are left. Items come in the order in which
/// they are asked for; what QEMU requires of the order is the caller's part.
///
/// Owned by one thread at a time.
public struct StreamWriter: ~Copyable, Sendable {
    /// The most bytes that one call adds, a piece of opaque bytes aside.
    public static let longestItem = 128 << 10

    /// What has been written and not yet taken away.
    public var output: ByteQueue

    /// The blocks' names behind each other, each with its length in front, and where each begins.
    private var names: [UInt8] = []
    private var nameStarts: [Int] = []
    private var lastBlock = -1

    /// Makes a writer at the start of a stream.
    ///
    /// - Parameter capacity: The most bytes ``output`` holds, at least ``longestItem``.
    public init(capacity: Int = 1 << 20) {
        precondition(capacity >= Self.longestItem)
        output = ByteQueue(capacity: capacity)
    }

    /// Whether ``output`` has room for any item.
    public var hasRoom: Bool { output.room >= Self.longestItem }

    /// Writes the file header.
    public mutating func beginStream() {
        output.append(bigEndian: StreamFormat.magic)
        output.append(bigEndian: StreamFormat.version)
    }

    /// Writes CONFIGURATION.
    ///
    /// - Parameter bytes: The item behind its first byte, as ``StreamHandler`` is given it.
    /// - Precondition: It is below ``longestItem``.
    public mutating func configuration(_ bytes: RawSpan) {
        output.append(bigEndian: StreamFormat.Item.configuration)
        output.append(bytes)
    }

    /// Writes the head of a section.
    ///
    /// - Precondition: The name is 1 to 255 bytes long.
    public mutating func beginSection(_ header: SectionHeader) {
        precondition((1...255).contains(header.name.utf8.count))
        output.append(bigEndian: header.kind.rawValue)
        output.append(bigEndian: header.id)
        guard header.kind == .start || header.kind == .full else { return }
        output.append(bigEndian: UInt8(truncatingIfNeeded: header.name.utf8.count))
        output.append(utf8: header.name)
        output.append(bigEndian: header.instance)
        output.append(bigEndian: header.version)
    }

    /// Writes the list of RAM blocks that opens the memory.
    ///
    /// - Parameters:
    ///   - blocks: The blocks, whose names are known from then on.
    ///   - flush: Carries out ``output``'s bytes; called between entries when room is short.
    /// - Throws: What `flush` throws.
    /// - Precondition: Names are 1 to 255 bytes long, lengths whole pages.
    public mutating func blocks<Failure: Error>(
        _ blocks: [RAMBlockDescription], flush: (inout ByteQueue) throws(Failure) -> Void
    ) throws(Failure) {
        let total = blocks.reduce(0) { $0 + $1.usedByteCount }
        output.append(bigEndian: total | StreamFormat.Flag.memorySize)
        for block in blocks {
            precondition((1...255).contains(block.name.utf8.count))
            precondition(block.usedByteCount & StreamFormat.Flag.mask == 0)
            if !hasRoom { try flush(&output) }
            output.append(bigEndian: UInt8(truncatingIfNeeded: block.name.utf8.count))
            output.append(utf8: block.name)
            output.append(bigEndian: block.usedByteCount)
            if let size = block.backingPageByteCount { output.append(bigEndian: size) }
            if let address = block.guestAddress { output.append(bigEndian: address) }
        }
        names = []
        nameStarts = []
        for block in blocks {
            nameStarts.append(names.count)
            names.append(UInt8(truncatingIfNeeded: block.name.utf8.count))
            names.append(contentsOf: block.name.utf8)
        }
        lastBlock = -1
    }

    /// Writes a page that one byte fills.
    ///
    /// - Parameters:
    ///   - block: The block, as an index into the list.
    ///   - offset: Where in the block, in bytes, a multiple of `pageByteCount`.
    ///   - fill: The byte; QEMU from 8.0 on takes only zero.
    public mutating func zeroPage(block: Int, offset: UInt64, fill: UInt8 = 0) {
        beginPage(block, offset, StreamFormat.Flag.zero)
        output.append(bigEndian: fill)
    }

    /// Writes a page whole.
    ///
    /// - Parameters:
    ///   - block: The block, as an index into the list.
    ///   - offset: Where in the block, in bytes, a multiple of `pageByteCount`.
    ///   - bytes: The page.
    public mutating func plainPage(block: Int, offset: UInt64, _ bytes: RawSpan) {
        precondition(bytes.byteCount == pageByteCount)
        beginPage(block, offset, StreamFormat.Flag.page)
        output.append(bytes)
    }

    /// Writes a page as an XBZRLE delta.
    ///
    /// - Parameters:
    ///   - block: The block, as an index into the list.
    ///   - offset: Where in the block, in bytes, a multiple of `pageByteCount`.
    ///   - delta: The encoding, at most a page long.
    public mutating func deltaPage(block: Int, offset: UInt64, _ delta: RawSpan) {
        precondition(delta.byteCount <= pageByteCount)
        beginPage(block, offset, StreamFormat.Flag.xbzrle)
        output.append(bigEndian: StreamFormat.xbzrleEncoding)
        output.append(bigEndian: UInt16(truncatingIfNeeded: delta.byteCount))
        output.append(delta)
    }

    /// Writes a page as a zlib stream, which QEMU loads up to version 9.0 with `compress` on.
    ///
    /// - Parameters:
    ///   - block: The block, as an index into the list.
    ///   - offset: Where in the block, in bytes, a multiple of `pageByteCount`.
    ///   - bytes: The zlib stream, at most 4,110 bytes.
    public mutating func compressedPage(block: Int, offset: UInt64, _ bytes: RawSpan) {
        precondition(bytes.byteCount <= StreamFormat.compressedPageLimit)
        beginPage(block, offset, StreamFormat.Flag.compressed)
        output.append(bigEndian: UInt32(truncatingIfNeeded: bytes.byteCount))
        output.append(bytes)
    }

    /// The record's word, and the block's name unless the last page was of the same block.
    private mutating func beginPage(_ block: Int, _ offset: UInt64, _ flag: UInt64) {
        precondition(offset & StreamFormat.Flag.mask == 0)
        guard block != lastBlock else {
            output.append(bigEndian: offset | flag | StreamFormat.Flag.continuation)
            return
        }
        lastBlock = block
        output.append(bigEndian: offset | flag)
        Self.append(names, from: nameStarts[block], to: &output)
    }

    private static func append(_ names: [UInt8], from start: Int, to output: inout ByteQueue) {
        let bytes = unsafe names.span.bytes
        output.append(bytes.extracting(start..<start + 1 + Int(names[start])))
    }

    /// Writes a `MULTIFD_FLUSH` record.
    public mutating func multifdFlush() {
        output.append(bigEndian: StreamFormat.Flag.multifdFlush)
    }

    /// Ends the records of a section of memory (`EOS`).
    public mutating func endRecords() {
        output.append(bigEndian: StreamFormat.Flag.endOfSection)
    }

    /// Ends a section, with a footer unless the machine type has none.
    public mutating func endSection(_ id: UInt32, hasFooter: Bool) {
        guard hasFooter else { return }
        output.append(bigEndian: StreamFormat.Item.footer)
        output.append(bigEndian: id)
    }

    /// Writes a command.
    ///
    /// - Parameters:
    ///   - command: Its number.
    ///   - payload: Its payload.
    /// - Precondition: The payload is at most 65,535 bytes.
    public mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
        precondition(payload.byteCount <= Int(UInt16.max))
        output.append(bigEndian: StreamFormat.Item.command)
        output.append(bigEndian: command.rawValue)
        output.append(bigEndian: UInt16(truncatingIfNeeded: payload.byteCount))
        output.append(payload)
    }

    /// Writes bytes as they are.
    ///
    /// - Parameters:
    ///   - bytes: Any number of bytes.
    ///   - flush: Carries out ``output``'s bytes; called when room is short.
    /// - Throws: What `flush` throws.
    public mutating func opaque<Failure: Error>(
        _ bytes: RawSpan, flush: (inout ByteQueue) throws(Failure) -> Void
    ) throws(Failure) {
        var position = 0
        while position < bytes.byteCount {
            if output.room == 0 { try flush(&output) }
            let count = min(output.room, bytes.byteCount - position)
            output.append(bytes.extracting(position..<position + count))
            position += count
        }
    }

    /// Writes the end-of-file mark.
    public mutating func endStream() {
        output.append(bigEndian: StreamFormat.Item.endOfFile)
    }
}
