internal import RoostMemory
internal import RoostSystem

/// How a conversion writes pages.
public enum PageEncoding: Sendable, Equatable {
    /// Whole, or as zero.
    case plain
    /// Pages that are mostly zero as a zero page and a delta against it; others whole.
    case xbzrle
    /// As zlib streams of a level from 1 to 9, which QEMU loads up to 9.0 with `compress` on.
    case compressed(level: Int)
}

/// What a conversion came to.
public struct ConversionReport: Sendable, Encodable {
    /// The stream's file, as it was given.
    public let file: String
    /// The file that was written, as it was given.
    public let output: String
    /// The length of the stream that was read in bytes, unpacked.
    public let bytesRead: UInt64
    /// The length of the stream that was written in bytes.
    public let bytesWritten: UInt64
    /// How many page records were read.
    public let recordsRead: UInt64
    /// How many pages were written.
    public let pagesWritten: UInt64
}

extension StreamTools {
    /// Writes a stream anew with each page once.
    ///
    /// Everything but the memory's records passes byte for byte, except what asks the other side
    /// to answer (OPEN_RETURN_PATH, PING), which has no place in a file.
    ///
    /// - Parameters:
    ///   - path: The file, or `-`.
    ///   - output: The file to write, or `-`.
    ///   - mayReplace: Whether an existing file that is not empty is replaced.
    ///   - encoding: How pages are written.
    ///   - maximumRAMByteCount: The most memory the stream may announce.
    ///   - observer: Is told how far it is.
    /// - Returns: What it came to.
    /// - Throws: `MigrationError`; no file is left behind then.
    public static func convert(
        path: String, output: String, mayReplace: Bool = false, encoding: PageEncoding,
        maximumRAMByteCount: UInt64, _ observer: Observer
    ) throws(MigrationError) -> ConversionReport {
        var input = try StreamInput.open(path: path)
        var converter = StreamConverter(
            sink: StreamSink(file: try OutputFile.open(output, mayReplace: mayReplace)),
            pages: try .make(encoding), maximumRAMByteCount: maximumRAMByteCount)
        let tail = try readWhole(
            &input, into: &converter, maximumRAMByteCount: maximumRAMByteCount, observer)
        try converter.finish(tail)
        let read = converter.recordsRead
        let written = converter.pagesWritten
        let bytesWritten = try converter.commit()
        return ConversionReport(
            file: input.name, output: output, bytesRead: tail.streamByteCount,
            bytesWritten: bytesWritten, recordsRead: read, pagesWritten: written)
    }
}

/// Gathers the memory of a stream and writes it once, before its last part.
struct StreamConverter: StreamHandler, ~Copyable {
    private(set) var recordsRead: UInt64 = 0
    private(set) var pagesWritten: UInt64 = 0
    private var sink: StreamSink
    private var pages: PageWriter
    private var memory: GuestMemory?
    private let maximumRAMByteCount: UInt64
    private var capabilities: [String] = []
    private var ramID: UInt32 = 0
    private var ramHasFooter = true
    private var hasWrittenPages = false
    /// Whether the section being read is a part of the memory, which is written elsewhere.
    private var isInsidePart = false
    /// SWITCHOVER_START, held back so that what the memory's last part brings stands before it.
    private var heldSwitchover = false
    /// The memory's last part while its records come: its head is written behind them.
    private var lastPart: SectionHeader?

    init(
        sink: consuming StreamSink, pages: consuming PageWriter, maximumRAMByteCount: UInt64
    ) {
        self.sink = sink
        self.pages = pages
        self.maximumRAMByteCount = maximumRAMByteCount
    }

    consuming func commit() throws(MigrationError) -> UInt64 { try sink.commit() }

    mutating func streamBegan(version: UInt32) throws(MigrationError) {
        sink.writer.beginStream()
        try sink.makeRoom()
    }

    mutating func configured(
        _ configuration: StreamConfiguration, _ bytes: RawSpan
    ) throws(MigrationError) {
        capabilities = configuration.capabilities
        sink.writer.configuration(bytes)
        try sink.makeRoom()
    }

    mutating func sectionBegan(_ section: SectionHeader) throws(MigrationError) {
        if section.isRAM {
            ramID = section.id
            isInsidePart = section.kind == .part
            if section.kind == .end, !hasWrittenPages {
                lastPart = section
                return
            }
        }
        guard !isInsidePart else { return }
        try releaseSwitchover()
        sink.writer.beginSection(section)
        try sink.makeRoom()
    }

    mutating func blocksListed(_ list: [RAMBlockDescription]) throws(MigrationError) {
        memory = try GuestMemory(accepting: list, maximumByteCount: maximumRAMByteCount)
        try sink.blocks(list)
    }

    mutating func blocksAdded(
        _ list: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(list, from: first) { throw error }
    }

    mutating func page(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        // Where other handlers' state stands between the switchover and the last part, its pages
        // are written in it, as they come.
        recordsRead += 1
        try memory?.apply(record, body)
        guard hasWrittenPages else { return }
        try write(block: record.block, offset: record.offset)
    }

    mutating func multifdFlushed() throws(MigrationError) { throw StreamLoader.multifdError }

    mutating func recordsEnded() throws(MigrationError) {
        guard !isInsidePart else { return }
        if let section = lastPart {
            lastPart = nil
            try writePages()
            try releaseSwitchover()
            sink.writer.beginSection(section)
        }
        sink.writer.endRecords()
        try sink.makeRoom()
    }

    mutating func opaque(_ bytes: RawSpan) throws(MigrationError) { try sink.opaque(bytes) }

    mutating func sectionEnded(
        _ section: SectionHeader, hasFooter: Bool
    ) throws(MigrationError) {
        ramHasFooter = hasFooter
        guard !isInsidePart else {
            isInsidePart = false
            return
        }
        sink.writer.endSection(section.id, hasFooter: hasFooter)
        try sink.makeRoom()
    }

    mutating func command(
        _ command: StreamCommand, _ payload: RawSpan
    ) throws(MigrationError) {
        guard command != .openReturnPath, command != .ping else { return }
        try releaseSwitchover()
        guard command != .switchoverStart || hasWrittenPages else {
            heldSwitchover = true
            return
        }
        sink.writer.command(command, payload)
        try sink.makeRoom()
    }

    /// Writes the command that was held back, behind the pages that came so far.
    private mutating func releaseSwitchover() throws(MigrationError) {
        guard heldSwitchover else { return }
        heldSwitchover = false
        try writePages()
        sink.writer.command(.switchoverStart, RawSpan())
        try sink.makeRoom()
    }

    /// Writes the memory, if it waits still; the tail itself comes by ``finish(_:)``.
    mutating func tail(_ bytes: RawSpan) throws(MigrationError) {
        try writePages()
        try releaseSwitchover()
    }

    /// Writes what followed the memory, without what lies behind the end of the stream.
    mutating func finish(_ tail: borrowing DeviceTail) throws(MigrationError) {
        guard let list = memory?.blocks else {
            throw MigrationError(
                .unsupported,
                "the stream has no memory, only the state of devices: there is nothing to convert")
        }
        try AbsentPages.check(
            memory: list.reduce(0) { $0 + $1.usedByteCount }, records: recordsRead,
            stored: capabilities)
        try tail.withStreamBytes { bytes throws(MigrationError) in try sink.opaque(bytes) }
    }

    /// Writes one part with every page that came so far, once.
    private mutating func writePages() throws(MigrationError) {
        guard !hasWrittenPages, let list = memory?.blocks else { return }
        hasWrittenPages = true
        sink.writer.beginSection(
            SectionHeader(
                kind: .part, id: ramID, name: StreamFormat.ramSection, instance: 0,
                version: StreamFormat.ramVersion, streamOffset: 0))
        for (index, block) in list.enumerated() {
            var next: UInt64 = 0
            while next < block.usedByteCount,
                let offset = memory?.nextReceived(block: index, from: next)
            {
                try write(block: index, offset: offset)
                next = offset + UInt64(pageByteCount)
            }
        }
        sink.writer.endRecords()
        sink.writer.endSection(ramID, hasFooter: ramHasFooter)
        try sink.makeRoom()
    }

    private mutating func write(block: Int, offset: UInt64) throws(MigrationError) {
        pagesWritten += 1
        Self.write(block, offset, of: memory, by: &pages, to: &sink.writer)
        try sink.makeRoom()
    }

    private static func write(
        _ block: Int, _ offset: UInt64, of memory: borrowing GuestMemory?,
        by pages: inout PageWriter, to writer: inout StreamWriter
    ) {
        switch memory {
        case .some(let guest):
            guest.withPage(block: block, offset: offset) { page in
                pages.write(page, block: block, offset: offset, to: &writer)
            }
        case .none: break
        }
    }
}
