import RoostMemory
import RoostMigration
import StreamSupport
import Testing

/// Finds pages that come in the section in which they came compressed.
private struct RepeatWatch: StreamHandler {
    private(set) var repeated: [PageRecord] = []
    private var compressed: Set<[UInt64]> = []

    mutating func sectionBegan(_ section: SectionHeader) { compressed = [] }

    mutating func page(_ record: PageRecord, _ body: RawSpan) {
        let place = [UInt64(record.block), record.offset]
        if compressed.contains(place) { repeated.append(record) }
        if record.kind == .compressed { compressed.insert(place) }
    }

    // Only pages are watched.
    mutating func streamBegan(version: UInt32) {}
    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {}
    mutating func blocksListed(_ blocks: [RAMBlockDescription]) {}
    mutating func blocksAdded(
        _ blocks: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(blocks, from: first) { throw error }
    }
    mutating func multifdFlushed() {}
    mutating func recordsEnded() {}
    mutating func opaque(_ bytes: RawSpan) {}
    mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {}
    mutating func command(_ command: StreamCommand, _ payload: RawSpan) {}
    mutating func tail(_ bytes: RawSpan) {}
}

/// The table of unusual and malformed streams: Roost says of each what the table says (MIG-11).
///
/// The laboratory runs the same rows against QEMU 7.2.
@Suite struct UnusualStreamTests {
    @Test(arguments: UnusualStream.all)
    func `MIG-11 an unusual stream is taken or refused with a reason`(row: UnusualStream) throws {
        let bytes = try row.bytes()
        let error: MigrationError?
        if row.needsBlocks {
            let blocks = try row.destinationBlocks()
            error = migrationError {
                var destination = try Destination(blocks)
                try read(bytes, into: &destination)
            }
        } else {
            error = migrationError { _ = try verify(bytes) }
        }
        switch row.roost {
        case .accepted:
            #expect(error == nil)
        case .refused(let kind, let says):
            let error = try #require(error)
            #expect(error.kind == kind, "\(error)")
            for text in says {
                #expect(error.description.contains(text), "\(error)")
            }
            #expect(error.block == row.block, "\(error)")
            #expect(error.blockOffset == row.blockOffset, "\(error)")
            if kind == .malformed, row.block == nil || row.blockOffset != nil {
                #expect(error.streamOffset != nil)
            }
        }
    }

    /// A row on which Roost and QEMU differ says why.
    @Test(arguments: UnusualStream.all)
    func `a difference from QEMU has its reason`(row: UnusualStream) {
        switch (row.roost, row.qemu) {
        case (.accepted, .refused), (.refused, .accepted):
            #expect(row.difference != nil)
        default:
            #expect(row.difference == nil)
        }
    }

    @Test func `a row has its own name`() {
        #expect(Set(UnusualStream.all.map(\.description)).count == UnusualStream.all.count)
    }

    /// QEMU inflates with threads that it waits for where a section ends: what it makes of a page
    /// that comes again before depends on which of them is faster.
    @Test(arguments: UnusualStream.all.filter(\.isTaken))
    func `no compressed page comes again in its section`(row: UnusualStream) throws {
        var watch = RepeatWatch()
        var reader = StreamReader()
        let bytes = try row.bytes()
        try reader.consume(unsafe bytes.span.bytes, into: &watch)
        #expect(watch.repeated == [])
    }

    // MARK: Dialects

    /// What Roost does not read is named, so that whoever has it knows what to change (MIG-14).
    @Test(
        arguments: [
            ("7.2-q35-multifd-none.channel-1", "multifd channel"),
            ("7.2-q35-multifd-zlib.channel-2", "multifd channel"),
            ("10.0-q35-multifd-zstd.channel-1", "multifd channel"),
            ("10.0-q35-mapped-ram.stream", "mapped-ram"),
            ("7.2-q35-postcopy.to-destination", "postcopy"),
            ("10.0-q35-postcopy.to-destination", "postcopy"),
        ])
    func `MIG-14 a dialect is refused by its name`(file: String, name: String) throws {
        let bytes = try StreamFixtures.bytes(file)
        let error = try #require(migrationError { _ = try verify(bytes) })
        #expect(error.kind == .unsupported)
        #expect(error.description.contains(name), "\(error)")
        #expect(error.streamOffset != nil)
    }

    @Test(arguments: StreamFixtures.names.filter { $0.hasSuffix(".to-source") })
    func `what a destination answers is no stream`(file: String) throws {
        let bytes = try StreamFixtures.bytes(file)
        let error = try #require(migrationError { _ = try verify(bytes) })
        #expect(error.kind == .malformed)
        #expect(error.description.contains("QEVM"))
    }

    @Test(arguments: 0..<4)
    func `no bytes, or not even a head, are a stream cut short`(count: Int) throws {
        let bytes = Array("QEVM".utf8.prefix(count))
        let error = try #require(migrationError { _ = try verify(bytes) })
        #expect(error.kind == .truncated)
    }
}
