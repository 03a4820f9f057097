import RoostMigration
import StreamSupport
import TestSupport
import Testing

/// A stream can come in any pieces: what it means does not depend on them (MIG-11).
@Suite struct StreamPiecesTests {
    static let small = ["7.2-q35-stopped.stream", "7.2-q35-ignore-shared.stream"]

    /// Byte by byte, only recordings with few pages, or it would take minutes in a debug build.
    @Test(arguments: small)
    func `MIG-11 single bytes mean what the whole means`(file: String) throws {
        let bytes = try StreamFixtures.bytes(file)
        #expect(try events(of: bytes, pieces: [1]) == events(of: bytes))
    }

    @Test(arguments: StreamFixtures.sound, [7, 4099, 65_537])
    func `MIG-11 pieces of one length mean what the whole means`(
        file: String, length: Int
    ) throws {
        let bytes = try StreamFixtures.bytes(file)
        #expect(try events(of: bytes, pieces: [length]) == events(of: bytes))
    }

    @Test(arguments: StreamFixtures.sound, 1...3 as ClosedRange<UInt64>)
    func `MIG-11 pieces of random lengths mean what the whole means`(
        file: String, seed: UInt64
    ) throws {
        var random = SeededRandom(seed: seed)
        let pieces = (0..<100).map { _ in
            Bool.random(using: &random)
                ? Int.random(in: 0...30, using: &random)
                : Int.random(in: 0...20_000, using: &random)
        }
        let bytes = try StreamFixtures.bytes(file)
        #expect(try events(of: bytes, pieces: pieces) == events(of: bytes))
    }

    /// Cut anywhere in the head, the block list and the first records, a stream is too short.
    @Test func `every cut of a head is a stream cut short`() throws {
        let edit = try StreamEdit("7.2-q35-ignore-shared.stream")
        for end in 0..<edit.section(.part).end + 20 {
            let error = migrationError { _ = try events(of: Array(edit.bytes[..<end])) }
            #expect(error?.kind == .truncated, "cut at \(end): \(String(describing: error))")
        }
    }

    /// Postcopy's advice names 2 MiB pages, and one block has them: only that one tells its size.
    @Test(arguments: [[1], [.max]] as [[Int]])
    func `a block tells the size of its backing's pages after postcopy's advice`(
        pieces: [Int]
    ) throws {
        for carriesAddress in [false, true] {
            let blocks = [
                RAMBlockDescription(
                    name: "huge", usedByteCount: 1 << 21, backingPageByteCount: 1 << 21,
                    guestAddress: carriesAddress ? 0 : nil),
                RAMBlockDescription(
                    name: "pc.bios", usedByteCount: 1 << 16,
                    guestAddress: carriesAddress ? 0xffff_0000 : nil),
                RAMBlockDescription(
                    name: "last", usedByteCount: 1 << 21, backingPageByteCount: 1 << 21,
                    guestAddress: carriesAddress ? 1 << 32 : nil),
            ]
            let original = try StreamEdit(
                carriesAddress ? "7.2-q35-ignore-shared.stream" : "7.2-q35-paused.stream")
            var stream = original
            // Only the list is of interest: behind it the memory ends.
            stream.cut(at: stream.section(.start).payload)
            stream.bytes += StreamEdit.integer(UInt64(2 << 21 + 1 << 16 | 4))
            for block in blocks {
                stream.bytes += StreamEdit.counted(block.name)
                stream.bytes += StreamEdit.integer(block.usedByteCount)
                stream.bytes += block.backingPageByteCount.map(StreamEdit.integer) ?? []
                stream.bytes += block.guestAddress.map(StreamEdit.integer) ?? []
            }
            stream.bytes += StreamEdit.record(0x10) + [0x7e, 0, 0, 0, 2]
            stream.bytes +=
                original.bytes[original.section(.end).payload - 5..<original.section(.end).payload]
            stream.bytes += StreamEdit.record(0x10) + [0x7e, 0, 0, 0, 2, 0]
            let advice = StreamEdit.integer(UInt64(0x20_1000)) + StreamEdit.integer(UInt64(0x1000))
            stream.insert(
                [8, 0, 3, 0, 16] + advice, at: stream.map.configuration.upperBound)
            let events = try events(of: stream.bytes, pieces: pieces)
            #expect(events.contains(.blocks(blocks)), "addresses: \(carriesAddress)")
            var echo = Echo()
            try read(stream.bytes, into: &echo)
            #expect(echo.output == stream.bytes)
        }
    }

    @Test func `a handler's error ends the reading`() throws {
        struct Refusing: StreamHandler {
            mutating func recordsEnded() throws(MigrationError) { throw .forTest }
            // It is not to get further, or what comes before is of no matter.
            mutating func streamBegan(version: UInt32) {}
            mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {}
            mutating func sectionBegan(_ section: SectionHeader) {}
            mutating func blocksListed(_ blocks: [RAMBlockDescription]) {}
            mutating func blocksAdded(
                _ blocks: [RAMBlockDescription], from first: Int
            ) throws(MigrationError) {
                if let error = MigrationError.addedBlocks(blocks, from: first) { throw error }
            }
            mutating func page(_ record: PageRecord, _ body: RawSpan) {}
            mutating func multifdFlushed() {}
            mutating func opaque(_ bytes: RawSpan) {}
            mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {}
            mutating func command(_ command: StreamCommand, _ payload: RawSpan) {}
            mutating func tail(_ bytes: RawSpan) {}
        }
        var refusing = Refusing()
        let bytes = try StreamFixtures.bytes("7.2-q35-stopped.stream")
        #expect(throws: MigrationError.forTest) { try read(bytes, into: &refusing) }
    }

    @Test func `a reader that threw is of no further use`() async {
        await #expect(processExitsWith: .failure) {
            var reader = StreamReader()
            var log = EventLog()
            let bytes = [UInt8](repeating: 1, count: 16)
            try? reader.consume(unsafe bytes.span.bytes, into: &log)
            try? reader.consume(unsafe bytes.span.bytes, into: &log)
        }
    }
}
