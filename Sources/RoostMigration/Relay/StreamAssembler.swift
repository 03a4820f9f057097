internal import RoostMemory

/// The receiving half of a relay: takes frames, keeps the memory, and writes QEMU's stream with
/// plain records.
///
/// It does no input or output. The other side may send anything: what does not fit is refused.
struct StreamAssembler: ~Copyable, Sendable {
    /// QEMU's stream, to be taken away.
    var writer = StreamWriter(capacity: 4 << 20)
    /// The guest's memory as decoded so far.
    private(set) var memory: GuestMemory?
    private(set) var statistics = RelayStatistics()
    /// Whether the source asked the destination to answer.
    private(set) var opensReturnPath = false
    /// The value of a PING that this side must answer, when the stream goes to a file.
    var unansweredPing: UInt32?

    private let maximumRAMByteCount: UInt64
    /// Whether the stream goes to a file, where nobody answers.
    private let isStored: Bool
    private var place = Place.start

    /// Where in the stream the frames are.
    private enum Place: Equatable {
        /// Before its first byte.
        case start
        /// Behind the file header, where CONFIGURATION can follow.
        case header
        /// Between two items.
        case items
        /// In a section of memory.
        case memory(id: UInt32, isStart: Bool)
        /// In another section.
        case section(id: UInt32)
        /// In what follows the memory.
        case tail
        /// Behind its last byte.
        case end
    }

    init(maximumRAMByteCount: UInt64, isStored: Bool) {
        self.maximumRAMByteCount = maximumRAMByteCount
        self.isStored = isStored
    }

    /// Applies a frame of the stream.
    ///
    /// - Parameters:
    ///   - kind: What it carries.
    ///   - payload: Its payload.
    ///   - offset: Where on the wire it begins, for messages.
    ///   - flush: Takes the writer's bytes away; called when they fill it.
    /// - Throws: `MigrationError` of kind `peer`, `limit` or `malformed`, or what `flush` throws.
    mutating func take(
        _ kind: WireFormat.Kind, _ payload: RawSpan, at offset: UInt64,
        flush: (inout ByteQueue) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        if !writer.hasRoom { try flush(&writer.output) }
        switch (kind, place) {
        case (.pages, .memory): try takePages(payload, at: offset, flush: flush)
        case (.begin, .start): try takeBegin(payload)
        case (.configuration, .header):
            guard payload.byteCount < StreamWriter.longestItem else { throw Self.unexpected(kind) }
            writer.configuration(payload)
            place = .items
        case (.section, .header), (.section, .items): try takeSection(payload)
        case (.blocks, .memory(_, isStart: true)): try takeBlocks(payload, flush: flush)
        case (.opaque, .section), (.opaque, .tail): try writer.opaque(payload, flush: flush)
        case (.opaque, .items):
            place = .tail
            statistics.isPastMemory = true
            try writer.opaque(payload, flush: flush)
        case (.endOfRecords, .memory): writer.endRecords()
        case (.endOfSection, .memory(let id, _)), (.endOfSection, .section(let id)):
            try takeEndOfSection(payload, id)
        case (.command, .header), (.command, .items): try takeCommand(payload)
        case (.end, .tail): place = .end
        default: throw Self.unexpected(kind)
        }
    }

    private mutating func takeBegin(_ payload: RawSpan) throws(MigrationError) {
        var cursor = SpanCursor(payload)
        guard cursor.read(UInt32.self) == StreamFormat.version, cursor.remaining == 0 else {
            throw Self.unexpected(.begin)
        }
        writer.beginStream()
        place = .header
    }

    private mutating func takeSection(_ payload: RawSpan) throws(MigrationError) {
        guard let header = Self.section(payload) else { throw Self.unexpected(.section) }
        place =
            header.isRAM
            ? .memory(id: header.id, isStart: header.kind == .start) : .section(id: header.id)
        writer.beginSection(header)
    }

    private mutating func takeEndOfSection(
        _ payload: RawSpan, _ id: UInt32
    ) throws(MigrationError) {
        var cursor = SpanCursor(payload)
        guard cursor.read(UInt32.self) == id, let footer = cursor.read(UInt8.self), footer <= 1,
            cursor.remaining == 0
        else { throw Self.unexpected(.endOfSection) }
        writer.endSection(id, hasFooter: footer == 1)
        place = .items
    }

    private static func section(_ payload: RawSpan) -> SectionHeader? {
        var cursor = SpanCursor(payload)
        guard let kind = cursor.read(UInt8.self).flatMap(SectionHeader.Kind.init),
            let id = cursor.read(UInt32.self), let instance = cursor.read(UInt32.self),
            let version = cursor.read(UInt32.self), (1...255).contains(cursor.remaining),
            let name = cursor.readText(cursor.remaining), name.utf8.count <= 255
        else { return nil }
        return SectionHeader(
            kind: kind, id: id, name: name, instance: instance, version: version,
            streamOffset: 0)
    }

    private mutating func takeBlocks(
        _ payload: RawSpan, flush: (inout ByteQueue) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        var cursor = SpanCursor(payload)
        guard memory == nil, let flags = cursor.read(UInt8.self),
            let count = cursor.read(UInt16.self), count <= StreamFormat.blockLimit
        else { throw Self.unexpected(.blocks) }
        var list: [RAMBlockDescription] = []
        var total: UInt64 = 0
        for _ in 0..<count {
            guard let length = cursor.read(UInt8.self), length > 0,
                let name = cursor.readText(Int(length)), name.utf8.count <= 255,
                let usedByteCount = cursor.read(UInt64.self),
                let pageSize = cursor.read(UInt64.self), let address = cursor.read(UInt64.self),
                usedByteCount % UInt64(pageByteCount) == 0
            else { throw Self.unexpected(.blocks) }
            let (sum, overflow) = total.addingReportingOverflow(usedByteCount)
            guard !overflow else { throw Self.unexpected(.blocks) }
            total = sum
            list.append(
                RAMBlockDescription(
                    name: name, usedByteCount: usedByteCount,
                    backingPageByteCount: pageSize == 0 ? nil : pageSize,
                    guestAddress: flags & 1 == 0 ? nil : address))
        }
        guard cursor.remaining == 0 else { throw Self.unexpected(.blocks) }
        memory = try GuestMemory(accepting: list, maximumByteCount: maximumRAMByteCount)
        statistics.memoryBytes = total
        try writer.blocks(list, flush: flush)
    }

    private mutating func takeCommand(_ payload: RawSpan) throws(MigrationError) {
        var cursor = SpanCursor(payload)
        guard let number = cursor.read(UInt16.self), let command = StreamCommand(rawValue: number),
            let rest = cursor.skip(cursor.remaining), rest.count <= Int(UInt16.max)
        else { throw Self.unexpected(.command) }
        if command == .openReturnPath { opensReturnPath = true }
        place = .items
        if isStored, command == .openReturnPath || command == .ping {
            // What asks for answers has no place in a file; this side answers in its stead.
            if command == .ping, opensReturnPath, rest.count == 4 {
                unansweredPing = payload.loadBigEndian(at: rest.lowerBound, as: UInt32.self)
            }
            return
        }
        writer.command(command, payload.extracting(rest))
    }

    // MARK: Pages

    private mutating func takePages(
        _ payload: RawSpan, at wireOffset: UInt64,
        flush: (inout ByteQueue) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        guard memory != nil else { throw Self.unexpected(.pages) }
        var position = 0
        while position < payload.byteCount {
            guard payload.byteCount - position >= WireFormat.recordHeadByteCount else {
                throw Self.unexpected(.pages)
            }
            let word = payload.loadBigEndian(at: position, as: UInt64.self)
            let block = Int(payload.loadBigEndian(at: position + 8, as: UInt16.self))
            let count = Int(payload.loadBigEndian(at: position + 10, as: UInt16.self))
            position += WireFormat.recordHeadByteCount
            guard let code = WireFormat.PageCode(rawValue: word & StreamFormat.Flag.mask) else {
                throw Self.unexpected(.pages)
            }
            let offset = word & ~StreamFormat.Flag.mask
            let bodyCount: Int =
                switch code {
                case .zeroRun, .fill: 0
                case .plain: pageByteCount
                case .delta: min(count, pageByteCount)
                case .compressed: min(count, StreamFormat.compressedPageLimit)
                }
            guard payload.byteCount - position >= bodyCount else { throw Self.unexpected(.pages) }
            let body = payload.extracting(position..<position + bodyCount)
            position += bodyCount
            switch code {
            case .zeroRun:
                let (end, overflow) = offset.addingReportingOverflow(
                    UInt64(count * pageByteCount))
                guard !overflow else { throw Self.unexpected(.pages) }
                var place = offset
                while place < end {
                    try takeFill(0, block, place, at: wireOffset)
                    place += UInt64(pageByteCount)
                    if !writer.hasRoom { try flush(&writer.output) }
                }
            case .fill:
                try takeFill(UInt8(truncatingIfNeeded: count), block, offset, at: wireOffset)
            case .plain: try takeBody(.plain, block, offset, body, at: wireOffset)
            case .delta: try takeBody(.delta, block, offset, body, at: wireOffset)
            case .compressed: try takeBody(.compressed, block, offset, body, at: wireOffset)
            }
            if !writer.hasRoom { try flush(&writer.output) }
        }
    }

    private mutating func takeFill(
        _ fill: UInt8, _ block: Int, _ offset: UInt64, at wireOffset: UInt64
    ) throws(MigrationError) {
        let record = PageRecord(
            kind: .zero, block: block, offset: offset, streamOffset: wireOffset, byteCount: 0)
        let byte: [1 of UInt8] = [fill]
        try memory?.apply(record, unsafe byte.span.bytes)
        statistics.count(.zero)
        writer.zeroPage(block: block, offset: offset, fill: fill)
    }

    private mutating func takeBody(
        _ kind: PageKind, _ block: Int, _ offset: UInt64, _ body: RawSpan, at wireOffset: UInt64
    ) throws(MigrationError) {
        let record = PageRecord(
            kind: kind, block: block, offset: offset, streamOffset: wireOffset, byteCount: 0)
        statistics.count(kind)
        guard kind != .plain else {
            try memory?.apply(record, body)
            writer.plainPage(block: block, offset: offset, body)
            return
        }
        try Self.apply(record, body, &memory, &writer)
    }

    /// Applies a record and writes the page that it makes.
    private static func apply(
        _ record: PageRecord, _ body: RawSpan, _ memory: inout GuestMemory?,
        _ writer: inout StreamWriter
    ) throws(MigrationError) {
        try memory?.apply(record, body)
        memory?.withPage(block: record.block, offset: record.offset) { page in
            writer.plainPage(block: record.block, offset: record.offset, page)
        }
    }

    static func unexpected(_ kind: WireFormat.Kind) -> MigrationError {
        MigrationError(
            .peer, "the sending relay sent a frame (\(kind)) that is damaged or out of place")
    }
}
