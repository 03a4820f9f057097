import RoostMemory
import RoostSystem
import StreamSupport
import SystemPackage
import Testing

@testable import RoostMigration

/// Moves through a relay and a receiver that come to a good end.
@Suite(.timeLimit(.minutes(2))) struct RelayTests {
    /// Streams that a relay carries: those whose pages are all in them.
    static let carried = StreamFixtures.sound.filter {
        !$0.contains("multifd") && !$0.contains("background-snapshot")
    }

    /// A recording, in a rig whose source does as QEMU did.
    static func rig(_ file: String) throws -> RelayRig {
        var rig = RelayRig(try StreamFixtures.bytes(file))
        rig.waitsForShut = file.contains("return-path")
        return rig
    }

    @Test(arguments: carried)
    func `a recording arrives with the same memory, machine and devices`(file: String) async throws
    {
        let rig = try Self.rig(file)
        let outcome = try await rig.run()
        let moved = try outcome.relay.get()
        let arrived = try outcome.receiver.get()
        #expect(outcome.isReleased)

        // What came out is a stream that reads whole, with plain and zero records only.
        var before = try RelayedStream()
        try read(rig.stream, into: &before)
        var after = try RelayedStream()
        let tail = try read(outcome.stream, into: &after)
        #expect(tail.trailingByteCount == 0)
        #expect(after.kinds.isSubset(of: [.zero, .plain]))
        #expect(after.configuration == before.configuration)
        #expect(after.sections == before.sections)
        #expect(after.commands == before.commands)
        #expect(after.opaque == before.opaque)
        #expect(after.tail == before.tail)
        let isSame = after.isMemory(equalTo: before)
        #expect(isSame)

        // Nobody counts otherwise than the reader.
        #expect(moved.pages == before.pages)
        #expect(moved.streamBytes == UInt64(rig.stream.count))
        #expect(arrived.streamBytes == UInt64(outcome.delivered.count))
        #expect(outcome.answered == [] || rig.waitsForShut)
        #expect(moved.zeroPages == arrived.zeroPages)
        #expect(moved.plainPages == arrived.plainPages)
        #expect(moved.deltaPages == arrived.deltaPages)
        #expect(moved.compressedPages == arrived.compressedPages)
        #expect(arrived.pages == after.pages)
        #expect(moved.memoryBytes == arrived.memoryBytes)
        #expect(moved.wireBytes == UInt64(outcome.forward))
        #expect(arrived.wireBytes <= UInt64(outcome.forward))
        #expect(moved.isPastMemory && arrived.isPastMemory)
        #expect(moved.acknowledgedFrames > 0)
    }

    @Test(arguments: carried)
    func `MIG-11 the memory on both sides is what the source had`(file: String) async throws {
        let truths = try StreamFixtures.truths().filter { $0.file == file + ".gz" }
        let folders = (try TemporaryFolder(), try TemporaryFolder())
        var rig = try Self.rig(file)
        rig.relayOptions.dumpFolder = folders.0.path
        rig.receiverOptions.dumpFolder = folders.1.path
        let outcome = try await rig.run()
        _ = try outcome.relay.get()
        _ = try outcome.receiver.get()
        for truth in truths {
            let name = truth.block.replacing("/", with: "_")
            #expect(try CommandLineTool.sha256(ofFile: folders.0(name)) == truth.sha256)
            #expect(try CommandLineTool.sha256(ofFile: folders.1(name)) == truth.sha256)
        }
    }

    @Test(arguments: [[1], [7, 4096], [4095, 1, 100_000], [1 << 20]])
    func `the source's pieces do not matter`(pieces: [Int]) async throws {
        var rig = try Self.rig("7.2-q35-return-path.to-destination")
        rig.pieces = pieces
        let outcome = try await rig.run()
        _ = try outcome.relay.get()
        #expect(try outcome.receiver.get().pages == 1122)
    }

    @Test func `the answers come back as QEMU's did`() async throws {
        let rig = try Self.rig("7.2-q35-return-path.to-destination")
        let outcome = try await rig.run()
        _ = try outcome.relay.get()
        _ = try outcome.receiver.get()
        #expect(
            outcome.answered == (try StreamFixtures.bytes("7.2-q35-return-path.to-source")))
    }

    /// Wherever the stream's last bytes are parted: a source writes its mark and its description
    /// in pieces that nothing announces.
    @Test func `what the receiver asks stands in front of the mark and is answered to it alone`()
        async throws
    {
        for file in ["7.2-q35-return-path.to-destination", "7.2-q35-paused.stream"] {
            let outcome = try await Self.rig(file).run()
            _ = try outcome.relay.get()
            let asked = outcome.delivered.count - outcome.stream.count
            #expect(asked == (file.contains("return-path") ? 9 : 14))
        }
    }

    @Test func `a stream with a return path is whole only with its description`() async throws {
        var rig = try Self.rig("7.2-q35-return-path.to-destination")
        let map = try StreamMap(rig.stream)
        let mark = try #require(
            (map.tail..<rig.stream.count - 5).last { place in
                rig.stream[place] == 0 && rig.stream[place + 1] == 6
                    && rig.stream[place + 6] == UInt8(ascii: "{")
            })
        let braces = (mark..<rig.stream.count).filter { rig.stream[$0] == UInt8(ascii: "}") }
        for place in [mark, mark + 1, mark + 2, mark + 6] + braces.suffix(3).map({ $0 + 1 }) {
            rig.pieces = [place, rig.stream.count]
            let outcome = try await rig.run()
            _ = try outcome.relay.get()
            #expect(outcome.stream.suffix(64) == rig.stream.suffix(64))
        }
    }

    @Test func `pages that the other side holds do not travel again`() async throws {
        let original = try Self.rig("7.2-q35-paused.stream")
        // The same records once more, in a second part of the memory.
        var edit = try StreamEdit("7.2-q35-paused.stream")
        let part = edit.section(.part)
        let head = 5
        edit.insert(
            Array(edit.bytes[part.payload - head..<part.end]), at: edit.section(.end).payload - head
        )
        let twice = RelayRig(edit.bytes)
        let once = try await original.run()
        let again = try await twice.run()
        let (first, second) = (try once.relay.get(), try again.relay.get())
        #expect(second.unchangedPages == first.pages - first.unchangedPages)
        #expect(second.plainPages == first.plainPages)
        #expect(second.zeroPages == first.zeroPages)
        #expect(second.wireBytes < first.wireBytes + 256)
        #expect(again.stream.suffix(4096) == once.stream.suffix(4096))
    }

    // MARK: Stored

    @Test(arguments: ["7.2-q35-paused.stream", "7.2-q35-return-path.to-destination"])
    func `a stream that is stored reads whole and asks nobody`(file: String) async throws {
        let folder = try TemporaryFolder()
        var rig = try Self.rig(file)
        rig.file = folder("guest")
        let outcome = try await rig.run()
        _ = try outcome.relay.get()
        let stored = try outcome.receiver.get()
        let bytes = try folder.bytes("guest")
        #expect(folder.names == ["guest"])
        #expect(stored.streamBytes == UInt64(bytes.count))
        var after = try RelayedStream()
        try read(bytes, into: &after)
        var before = try RelayedStream()
        try read(rig.stream, into: &before)
        #expect(after.commands == before.commands.filter { ![1, 2].contains($0[1]) })
        #expect(after.tail == before.tail)
        let isSame = after.isMemory(equalTo: before)
        #expect(isSame)
    }

    @Test func `a stored stream is answered when it is complete and under its name`() async throws {
        let folder = try TemporaryFolder()
        var rig = try Self.rig("7.2-q35-return-path.to-destination")
        rig.file = folder("guest")
        let outcome = try await rig.run()
        _ = try outcome.relay.get()
        // PONG to the ping of the recording, then SHUT with 0.
        #expect(outcome.answered == (try StreamFixtures.bytes("7.2-q35-return-path.to-source")))
    }

    @Test func `a stream can be stored to a device`() async throws {
        var rig = try Self.rig("7.2-q35-stopped.stream")
        rig.file = "/dev/null"
        let outcome = try await rig.run()
        _ = try outcome.receiver.get()
        _ = try outcome.relay.get()
    }
}

/// What a stream holds, to be compared with what came out of a relay.
struct RelayedStream: StreamHandler, ~Copyable {
    private(set) var configuration: [UInt8] = []
    private(set) var sections: [String] = []
    private(set) var commands: [[UInt8]] = []
    private(set) var opaque: [UInt8] = []
    private(set) var tail: [UInt8] = []
    private(set) var kinds: Set<PageKind> = []
    private(set) var pages: UInt64 = 0
    private var memory: GuestMemory

    init() throws {
        memory = try GuestMemory(accepting: [], maximumByteCount: 0)
    }

    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {
        self.configuration = [UInt8](copying: bytes)
    }
    mutating func sectionBegan(_ section: SectionHeader) {
        sections.append("\(section.kind) \(section.id) \(section.name) \(section.instance)")
    }
    mutating func blocksListed(_ blocks: [RAMBlockDescription]) throws(MigrationError) {
        sections.append("\(blocks)")
        memory = try GuestMemory(accepting: blocks, maximumByteCount: 1 << 30)
    }
    mutating func blocksAdded(
        _ blocks: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(blocks, from: first) { throw error }
    }
    mutating func page(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        pages += 1
        kinds.insert(record.kind)
        try memory.apply(record, body)
    }
    mutating func opaque(_ bytes: RawSpan) { opaque += [UInt8](copying: bytes) }
    mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {
        sections.append("\(section.id) \(hasFooter)")
    }
    mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
        commands.append(StreamEdit.integer(command.rawValue) + [UInt8](copying: payload))
    }
    mutating func tail(_ bytes: RawSpan) { tail += [UInt8](copying: bytes) }
    mutating func multifdFlushed() throws(MigrationError) { throw .forTest }
    // Not compared: a relay may part the records otherwise.
    mutating func streamBegan(version: UInt32) {}
    mutating func recordsEnded() {}

    /// Whether two streams brought the same memory, and named the same pages of it.
    func isMemory(equalTo other: borrowing RelayedStream) -> Bool {
        guard !memory.blocks.isEmpty, memory.blocks == other.memory.blocks else { return false }
        for (index, block) in memory.blocks.enumerated() {
            for offset in stride(from: 0, to: block.usedByteCount, by: pageByteCount) {
                let named = memory.isReceived(block: index, offset: offset)
                guard named == other.memory.isReceived(block: index, offset: offset) else {
                    return false
                }
                let page = memory.withPage(block: index, offset: offset) { [UInt8](copying: $0) }
                let counterpart = other.memory.withPage(block: index, offset: offset) {
                    [UInt8](copying: $0)
                }
                guard page == counterpart else { return false }
            }
        }
        return true
    }
}
