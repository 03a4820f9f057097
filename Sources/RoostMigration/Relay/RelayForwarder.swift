internal import RoostMemory

/// The sending half of a relay: takes what a stream's reader finds, keeps the memory, and writes
/// the frames that the other side can rebuild it from.
struct RelayForwarder: StreamHandler, ~Copyable, Sendable {
    /// The guest's memory as decoded so far.
    private(set) var memory: GuestMemory?
    private(set) var statistics = RelayStatistics()
    /// Whether the source asked the destination to answer.
    private(set) var opensReturnPath = false
    /// A digest of what the memory is once all that was written is applied.
    private(set) var digests: MemoryDigests?
    /// The wire, whose writer takes the frames.
    var link: WireLink

    private let admission: MemoryAdmission

    init(_ link: consuming WireLink, _ admission: MemoryAdmission) {
        self.link = link
        self.admission = admission
    }

    /// The most bytes of a stream that one piece may have: its frames then fit the writer's output,
    /// of which half was free before.
    static let pieceLimit = 256 << 10

    /// Whether there is room for the frames of another piece.
    var hasRoom: Bool { link.writer.output.count < link.writer.output.capacity / 2 }

    /// Refuses a piece of a stream that is made of nothing but heads of sections.
    private func checkRoom() throws(MigrationError) {
        guard link.writer.hasRoom else {
            throw MigrationError(
                .limit, "the stream has more sections than pages: no QEMU writes that")
        }
    }

    /// The digest of the memory as it will be once all that was written is applied.
    mutating func root() -> Digest128 { digests?.root ?? .zero }

    /// Compares the digests in a frame with this side's.
    ///
    /// - Returns: The first range that differs, where one does.
    mutating func difference(
        in frame: FrameReader.Frame
    ) throws(MigrationError) -> MemoryDigests.Difference? {
        try Self.difference(&digests, link, frame)
    }

    private static func difference(
        _ digests: inout MemoryDigests?, _ link: borrowing WireLink,
        _ frame: FrameReader.Frame
    ) throws(MigrationError) -> MemoryDigests.Difference? {
        try digests?.firstDifference(
            from: link.reader.input.bytes.extracting(frame.payload))
    }

    /// Gives the memory up, at the end.
    mutating func takeMemory() -> GuestMemory? { memory.take() }

    // MARK: StreamHandler

    mutating func streamBegan(version: UInt32) { link.writer.begin(streamVersion: version) }

    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {
        link.writer.frame(.configuration, bytes)
    }

    mutating func sectionBegan(_ section: SectionHeader) throws(MigrationError) {
        try check(name: section.name)
        link.writer.section(section)
        try checkRoom()
    }

    mutating func blocksListed(_ list: [RAMBlockDescription]) throws(MigrationError) {
        for block in list { try check(name: block.name) }
        memory = try admission.memory(for: list)
        digests = try MemoryDigests(blocks: list)
        statistics.memoryBytes = list.reduce(0) { $0 + $1.usedByteCount }
        link.writer.blocks(list)
        try checkRoom()
    }

    mutating func blocksAdded(
        _ list: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(list, from: first) { throw error }
    }

    /// Refuses a name that is no UTF-8, and has grown by being read as such.
    private func check(name: String) throws(MigrationError) {
        guard name.utf8.count <= 255 else {
            throw MigrationError(.malformed, "a name in the stream is no UTF-8: \(name)")
        }
    }

    mutating func page(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        guard memory?.holds(record, body) != true else {
            statistics.unchangedPages += 1
            return
        }
        try memory?.apply(record, body)
        Self.note(record, body, memory, &digests)
        statistics.count(record.kind)
        link.writer.page(record, body)
        try checkRoom()
    }

    private static func note(
        _ record: PageRecord, _ body: RawSpan, _ memory: borrowing GuestMemory?,
        _ digests: inout MemoryDigests?
    ) {
        switch record.kind {
        case .zero:
            let fill = body.loadBigEndian(at: 0, as: UInt8.self)
            digests?.set(block: record.block, offset: record.offset, fill: fill)
        case .plain:
            digests?.set(block: record.block, offset: record.offset, page: body)
        case .delta, .compressed:
            memory?.withPage(block: record.block, offset: record.offset) { page in
                digests?.set(block: record.block, offset: record.offset, page: page)
            }
        }
    }

    mutating func multifdFlushed() throws(MigrationError) {
        throw MigrationRelay.multifdError
    }

    mutating func recordsEnded() throws(MigrationError) {
        link.writer.frame(.endOfRecords)
        try checkRoom()
    }

    mutating func opaque(_ bytes: RawSpan) throws(MigrationError) {
        var position = 0
        while position < bytes.byteCount {
            let end = min(position + WireFormat.payloadLimit, bytes.byteCount)
            link.writer.frame(.opaque, bytes.extracting(position..<end))
            position = end
            try checkRoom()
        }
    }

    mutating func sectionEnded(
        _ section: SectionHeader, hasFooter: Bool
    ) throws(MigrationError) {
        link.writer.endOfSection(section.id, hasFooter: hasFooter)
        try checkRoom()
    }

    mutating func command(
        _ command: StreamCommand, _ payload: RawSpan
    ) throws(MigrationError) {
        if command == .openReturnPath { opensReturnPath = true }
        link.writer.command(command, payload)
        try checkRoom()
    }

    mutating func tail(_ bytes: RawSpan) throws(MigrationError) {
        if !statistics.isPastMemory {
            try AbsentPages.check(memory: statistics.memoryBytes, records: statistics.pages)
            statistics.isPastMemory = true
        }
        try opaque(bytes)
    }
}
