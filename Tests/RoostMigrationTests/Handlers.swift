import RoostMemory
import RoostMigration
import StreamSupport

/// What a reader told its handler, to be compared.
enum StreamEvent: Equatable {
    case began(UInt32)
    case configured(StreamConfiguration, [UInt8])
    case sectionBegan(SectionHeader)
    case blocks([RAMBlockDescription])
    case page(PageRecord, [UInt8])
    case flushed
    case recordsEnded
    case opaque([UInt8])
    case sectionEnded(SectionHeader, hasFooter: Bool)
    case command(StreamCommand, [UInt8])
    case tail([UInt8])
}

/// Writes down every event; the pieces of opaque payloads and of the tail as one.
struct EventLog: StreamHandler {
    private(set) var events: [StreamEvent] = []

    mutating func streamBegan(version: UInt32) { events.append(.began(version)) }
    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {
        events.append(.configured(configuration, [UInt8](copying: bytes)))
    }
    mutating func sectionBegan(_ section: SectionHeader) { events.append(.sectionBegan(section)) }
    mutating func blocksListed(_ blocks: [RAMBlockDescription]) { events.append(.blocks(blocks)) }
    mutating func blocksAdded(
        _ blocks: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(blocks, from: first) { throw error }
    }
    mutating func page(_ record: PageRecord, _ body: RawSpan) {
        events.append(.page(record, [UInt8](copying: body)))
    }
    mutating func multifdFlushed() { events.append(.flushed) }
    mutating func recordsEnded() { events.append(.recordsEnded) }
    mutating func opaque(_ bytes: RawSpan) {
        let more = [UInt8](copying: bytes)
        if case .opaque(let earlier) = events.last {
            events[events.count - 1] = .opaque(earlier + more)
        } else {
            events.append(.opaque(more))
        }
    }
    mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {
        events.append(.sectionEnded(section, hasFooter: hasFooter))
    }
    mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
        events.append(.command(command, [UInt8](copying: payload)))
    }
    private var tailBytes: [UInt8] = []
    mutating func tail(_ bytes: RawSpan) { tailBytes += [UInt8](copying: bytes) }

    /// Every event, the tail as the last.
    var all: [StreamEvent] { events + (tailBytes.isEmpty ? [] : [.tail(tailBytes)]) }
}

/// Writes again what it is told.
struct Echo: StreamHandler, ~Copyable {
    private var writer = StreamWriter()
    private(set) var output: [UInt8] = []

    private mutating func collect() {
        output += [UInt8](copying: writer.output.bytes)
        writer.output.removeAll()
    }

    mutating func streamBegan(version: UInt32) { writer.beginStream() }
    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {
        writer.configuration(bytes)
        collect()
    }
    mutating func sectionBegan(_ section: SectionHeader) {
        writer.beginSection(section)
        collect()
    }
    mutating func blocksListed(_ blocks: [RAMBlockDescription]) {
        writer.blocks(blocks) { _ in }
        collect()
    }
    mutating func blocksAdded(
        _ blocks: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(blocks, from: first) { throw error }
    }
    mutating func page(_ record: PageRecord, _ body: RawSpan) {
        switch record.kind {
        case .zero:
            let fill = body.loadBigEndian(at: 0, as: UInt8.self)
            writer.zeroPage(block: record.block, offset: record.offset, fill: fill)
        case .plain: writer.plainPage(block: record.block, offset: record.offset, body)
        case .delta: writer.deltaPage(block: record.block, offset: record.offset, body)
        case .compressed: writer.compressedPage(block: record.block, offset: record.offset, body)
        }
        collect()
    }
    mutating func multifdFlushed() { writer.multifdFlush() }
    mutating func recordsEnded() { writer.endRecords() }
    mutating func opaque(_ bytes: RawSpan) {
        collect()
        output += [UInt8](copying: bytes)
    }
    mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {
        writer.endSection(section.id, hasFooter: hasFooter)
        collect()
    }
    mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
        writer.command(command, payload)
        collect()
    }
    mutating func tail(_ bytes: RawSpan) {
        collect()
        output += [UInt8](copying: bytes)
    }
}

/// Loads a stream into blocks of its own, as a destination does.
struct Destination: StreamHandler, ~Copyable {
    var memory: GuestMemory
    private(set) var records = 0

    init(_ blocks: [RAMBlock]) throws(MigrationError) {
        memory = try GuestMemory(blocks: blocks, maximumByteCount: 1 << 30)
    }

    mutating func blocksListed(_ blocks: [RAMBlockDescription]) throws(MigrationError) {
        try memory.match(blocks)
    }
    mutating func blocksAdded(
        _ blocks: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(blocks, from: first) { throw error }
    }
    mutating func page(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        try memory.apply(record, body)
        records += 1
    }
    mutating func multifdFlushed() throws(MigrationError) {
        throw MigrationError.forTest
    }
    // Memory alone is loaded here.
    mutating func streamBegan(version: UInt32) {}
    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {}
    mutating func sectionBegan(_ section: SectionHeader) {}
    mutating func recordsEnded() {}
    mutating func opaque(_ bytes: RawSpan) {}
    mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {}
    mutating func command(_ command: StreamCommand, _ payload: RawSpan) {}
    mutating func tail(_ bytes: RawSpan) {}
}

extension MigrationError {
    /// What a handler of a test throws.
    static var forTest: MigrationError {
        // The library makes its errors itself; the reader's own for no bytes will do.
        do throws(MigrationError) {
            _ = try StreamReader().finish()
        } catch {
            return error
        }
        preconditionFailure("an empty stream was whole")
    }
}

extension [UInt8] {
    /// A copy of a span.
    init(copying span: RawSpan) {
        self = unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
    }
}

/// Reads bytes in pieces of the lengths given, over and over; a whole stream ends it.
///
/// - Returns: What followed the memory.
@discardableResult
func read<Handler: StreamHandler & ~Copyable>(
    _ bytes: [UInt8], pieces: [Int] = [.max], into handler: inout Handler
) throws(MigrationError) -> DeviceTail {
    var reader = StreamReader()
    let all = unsafe bytes.span.bytes
    var position = 0
    var piece = 0
    while position < bytes.count {
        let end = position + min(pieces[piece % pieces.count], bytes.count - position)
        try reader.consume(all.extracting(position..<end), into: &handler)
        position = end
        piece += 1
    }
    return try reader.finish()
}

/// The events of a stream.
func events(of bytes: [UInt8], pieces: [Int] = [.max]) throws(MigrationError) -> [StreamEvent] {
    var log = EventLog()
    try read(bytes, pieces: pieces, into: &log)
    return log.all
}

/// Verifies a stream as `roost stream verify` does, by way of a file.
func verify(_ bytes: [UInt8]) throws -> StreamReport {
    let folder = try TemporaryFolder()
    return try StreamTools.verify(
        path: try folder.file("stream", bytes), maximumRAMByteCount: 1 << 30
    ) { _ in }
}

/// The error that something throws, or `nil`.
func migrationError(_ body: () throws -> Void) -> MigrationError? {
    do {
        try body()
        return nil
    } catch {
        return error as? MigrationError
    }
}
