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
    var statistics = RelayStatistics()
    /// Whether the source asked the destination to answer.
    private(set) var opensReturnPath = false
    /// The value of a PING that this side must answer, when the stream goes to a file.
    var unansweredPing: UInt32?
    /// The length and the digest that END told.
    private(set) var claim: (length: UInt64, digest: Digest128)?

    private let admission: MemoryAdmission
    /// A digest of what was written, as it was written.
    private(set) var digests: MemoryDigests?
    /// How far a frame of pages is taken: its bytes, and the pages of the run that is there.
    private var taken: (byteCount: Int, pages: UInt64) = (0, 0)
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
    }

    init(_ admission: MemoryAdmission, isStored: Bool) {
        self.admission = admission
        self.isStored = isStored
    }

    /// The digest of all that was written.
    mutating func root() -> Digest128 { digests?.root ?? .zero }

    /// A piece of this side's digests, to be told the other one.
    mutating func digestPiece(at position: inout Int) -> ByteQueue? {
        digests?.piece(at: &position, limit: WireFormat.payloadLimit)
    }

    /// Whether a frame is of the guest's memory, whose bytes this side makes itself.
    func isMemory(_ kind: WireFormat.Kind) -> Bool {
        guard case .memory = place else { return false }
        return kind == .pages || kind == .blocks || kind == .endOfRecords
    }

    /// Applies a frame of the stream, as far as there is room for what it makes.
    ///
    /// - Parameters:
    ///   - kind: What it carries.
    ///   - payload: Its payload.
    ///   - offset: Where on the wire it begins, for messages.
    /// - Returns: Whether it was taken whole; else the writer's bytes are to be taken away, and it is
    ///   to be given again.
    /// - Throws: `MigrationError` of kind `peer`, `limit` or `malformed`.
    mutating func take(
        _ kind: WireFormat.Kind, _ payload: RawSpan, at offset: UInt64
    ) throws(MigrationError) -> Bool {
        guard writer.output.room >= payload.byteCount + StreamWriter.longestItem else {
            return false
        }
        switch (kind, place) {
        case (.pages, .memory): return try takePages(payload, at: offset)
        case (.begin, .start): try takeBegin(payload)
        case (.configuration, .header):
            guard payload.byteCount < StreamWriter.longestItem else { throw Self.unexpected(kind) }
            writer.configuration(payload)
            place = .items
        case (.section, .header), (.section, .items): try takeSection(payload)
        case (.blocks, .memory(_, isStart: true)): try takeBlocks(payload)
        case (.opaque, .section), (.opaque, .tail): writer.output.append(payload)
        case (.opaque, .items):
            place = .tail
            statistics.isPastMemory = true
            writer.output.append(payload)
        case (.endOfRecords, .memory): writer.endRecords()
        case (.endOfSection, .memory(let id, _)), (.endOfSection, .section(let id)):
            try takeEndOfSection(payload, id)
        case (.command, .header), (.command, .items): try takeCommand(payload)
        case (.end, .tail):
            var cursor = SpanCursor(payload)
            guard let length = cursor.read(UInt64.self), let high = cursor.read(UInt64.self),
                let low = cursor.read(UInt64.self)
            else { throw Self.unexpected(kind) }
            claim = (length, Digest128(high: high, low: low))
        default: throw Self.unexpected(kind)
        }
        return true
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

    private mutating func takeBlocks(_ payload: RawSpan) throws(MigrationError) {
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
        memory = try admission.memory(for: list)
        digests = try MemoryDigests(blocks: list)
        statistics.memoryBytes = total
        // The stream's list is shorter than the frame's, for which there is room.
        try writer.blocks(list) { (_: inout ByteQueue) throws(MigrationError) in
            throw Self.unexpected(.blocks)
        }
    }

    private mutating func takeCommand(_ payload: RawSpan) throws(MigrationError) {
        var cursor = SpanCursor(payload)
        guard let number = cursor.read(UInt16.self), let command = StreamCommand(rawValue: number),
            let rest = cursor.skip(cursor.remaining), rest.count <= Int(UInt16.max)
        else { throw Self.unexpected(.command) }
        switch command {
        case .openReturnPath: opensReturnPath = true
        case .ping, .postcopyAdvise, .switchoverStart: break
        case .postcopyListen, .postcopyRun, .postcopyDiscard, .packaged, .enableCOLO,
            .postcopyResume, .receivedBitmap:
            // Some of them start the guest without the mark, none is part of precopy.
            throw MigrationError(
                .unsupported,
                "the stream uses \(command.name), which is not carried: migrate by precopy")
        }
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
        _ payload: RawSpan, at wireOffset: UInt64
    ) throws(MigrationError) -> Bool {
        guard memory != nil else { throw Self.unexpected(.pages) }
        var position = taken.byteCount
        while position < payload.byteCount {
            guard writer.hasRoom else {
                taken.byteCount = position
                return false
            }
            let start = position
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
                var place = offset + taken.pages * UInt64(pageByteCount)
                while place < end {
                    // One frame of zero pages can make gigabytes.
                    guard writer.hasRoom else {
                        taken.byteCount = start
                        return false
                    }
                    try takeFill(0, block, place, at: wireOffset)
                    place += UInt64(pageByteCount)
                    taken.pages += 1
                }
                taken.pages = 0
            case .fill:
                try takeFill(UInt8(truncatingIfNeeded: count), block, offset, at: wireOffset)
            case .plain: try takeBody(.plain, block, offset, body, at: wireOffset)
            case .delta: try takeBody(.delta, block, offset, body, at: wireOffset)
            case .compressed: try takeBody(.compressed, block, offset, body, at: wireOffset)
            }
        }
        taken = (0, 0)
        return true
    }

    private mutating func takeFill(
        _ fill: UInt8, _ block: Int, _ offset: UInt64, at wireOffset: UInt64
    ) throws(MigrationError) {
        let record = PageRecord(
            kind: .zero, block: block, offset: offset, streamOffset: wireOffset, byteCount: 0)
        let byte: [1 of UInt8] = [fill]
        try memory?.apply(record, unsafe byte.span.bytes)
        digests?.set(block: block, offset: offset, fill: fill)
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
            digests?.set(block: block, offset: offset, page: body)
            writer.plainPage(block: block, offset: offset, body)
            return
        }
        try Self.apply(record, body, &memory, &digests, &writer)
    }

    /// Applies a record and writes the page that it makes.
    private static func apply(
        _ record: PageRecord, _ body: RawSpan, _ memory: inout GuestMemory?,
        _ digests: inout MemoryDigests?, _ writer: inout StreamWriter
    ) throws(MigrationError) {
        try memory?.apply(record, body)
        memory?.withPage(block: record.block, offset: record.offset) { page in
            digests?.set(block: record.block, offset: record.offset, page: page)
            writer.plainPage(block: record.block, offset: record.offset, page)
        }
    }

    /// Gives the memory up, at the end.
    mutating func takeMemory() -> GuestMemory? { memory.take() }

    static func unexpected(_ kind: WireFormat.Kind) -> MigrationError {
        MigrationError(
            .peer, "the sending relay sent a frame (\(kind)) that is damaged or out of place")
    }
}
