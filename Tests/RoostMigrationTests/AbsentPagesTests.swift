import RoostMemory
import RoostSystem
import StreamSupport
import Testing

@testable import RoostMigration

/// A small stream of one block, made up.
struct PlainStream {
    /// How many pages the block has.
    var pages = 4
    /// Whether a record of each page comes.
    var hasPages = true
    var flushesMultifd = false
    var opensReturnPath = false
    /// A question behind the memory.
    var ping: UInt32?
    var isDescribed = true

    static let block = "ram"
    static let description = Array(#"{"page_size":4096,"devices":[]}"#.utf8)

    /// What lies behind the mark.
    var end: [UInt8] {
        guard isDescribed else { return [] }
        return [6] + StreamEdit.integer(UInt32(Self.description.count)) + Self.description
    }

    /// The stream up to its mark, this one counted.
    var untilMark: [UInt8] {
        var writer = StreamWriter()
        writer.beginStream()
        if opensReturnPath { writer.command(.openReturnPath, RawSpan()) }
        func header(_ kind: SectionHeader.Kind) -> SectionHeader {
            SectionHeader(
                kind: kind, id: 2, name: StreamFormat.ramSection, instance: 0,
                version: StreamFormat.ramVersion)
        }
        writer.beginSection(header(.start))
        let list = RAMBlockDescription(
            name: Self.block, usedByteCount: UInt64(pages * pageByteCount))
        writer.blocks([list]) { _ in }
        writer.endRecords()
        writer.endSection(2, hasFooter: true)
        writer.beginSection(header(.end))
        if flushesMultifd { writer.multifdFlush() }
        for page in 0..<(hasPages ? pages : 0) {
            writer.zeroPage(block: 0, offset: UInt64(page * pageByteCount))
        }
        writer.endRecords()
        writer.endSection(2, hasFooter: true)
        if let ping {
            let value = StreamEdit.integer(ping)
            writer.command(.ping, unsafe value.span.bytes)
        }
        writer.endStream()
        return [UInt8](copying: writer.output.bytes)
    }

    var bytes: [UInt8] { untilMark + end }
}

/// Memory whose pages are not in the stream: no guest starts without them.
@Suite(.timeLimit(.minutes(1))) struct AbsentPagesTests {
    /// Loads a stream as the destination of a move does.
    ///
    /// - Returns: What it came to, and what the source was answered.
    static func load(
        _ bytes: [UInt8]
    ) async throws -> (outcome: Result<DestinationStatistics, MigrationError>, answers: [UInt8]) {
        let block = try ScriptedGuest.Block(PlainStream.block, pages: 4)
        let (near, far) = try StreamSocket.pair()
        let destination = MigrationDestination(
            blocks: [block.migrated], socket: far,
            options: DestinationOptions(maximumRAMByteCount: 1 << 30, decompressionThreads: 0))
        async let outcome = MigrationRig.outcome { () throws(MigrationError) in
            try await destination.run()
        }
        try near.send(unsafe bytes.span.bytes)
        near.shutdown(.writing)
        let answers = try await DedicatedThread.run(name: "rig") {
            var answers: [UInt8] = []
            while let more = RelayRig.read(near) { answers += more }
            RelayRig.close(near)
            return answers
        }
        return (await outcome, answers)
    }

    private static func shut(_ value: UInt32) -> [UInt8] {
        [UInt8](copying: ReturnPath.message(ReturnPath.Message.shut, value).bytes)
    }

    @Test(arguments: [false, true], [false, true])
    func `MIG-13 a destination refuses a multifd main channel`(
        flushes: Bool, isDescribed: Bool
    ) async throws {
        var stream = PlainStream()
        stream.hasPages = false
        stream.flushesMultifd = flushes
        stream.isDescribed = isDescribed
        stream.opensReturnPath = true
        stream.ping = 7
        let loaded = try await Self.load(stream.bytes)
        guard case .failure(let error) = loaded.outcome else {
            Issue.record("a guest without pages was started")
            return
        }
        #expect(error.kind == .unsupported)
        #expect(error.description.contains("multifd"))
        // The question whether all is loaded is not answered.
        #expect(loaded.answers == Self.shut(1))
    }

    @Test func `a destination refuses devices without memory`() async throws {
        var bytes: [UInt8] = StreamEdit.integer(StreamFormat.magic) + StreamEdit.integer(UInt32(3))
        bytes += [4, 0, 0, 0, 1, 1] + Array("x".utf8) + [0, 0, 0, 0, 0, 0, 0, 1, 9, 9]
        bytes += [0x7e, 0, 0, 0, 1, 0]
        guard case .failure(let error) = try await Self.load(bytes).outcome else {
            Issue.record("a guest without memory was started")
            return
        }
        #expect(error.kind == .mismatch)
    }

    @Test func `memory that is all zero is loaded`() async throws {
        var stream = PlainStream()
        stream.opensReturnPath = true
        let loaded = try await Self.load(stream.bytes)
        #expect(try loaded.outcome.get().zeroPages == 4)
        #expect(loaded.answers == Self.shut(0))
    }

    @Test(arguments: [false, true])
    func `a relay refuses memory of which no page came`(flushes: Bool) async throws {
        var stream = PlainStream()
        stream.hasPages = false
        stream.flushesMultifd = flushes
        let outcome = try await RelayRig(stream.bytes).run()
        guard case .failure(let error) = outcome.relay else {
            Issue.record("a stream without pages was relayed")
            return
        }
        #expect(error.description.contains("multifd"))
    }

    @Test(arguments: [false, true])
    func `the tools refuse a stored stream without its pages, and inspect says so`(
        flushes: Bool
    ) throws {
        var stream = PlainStream()
        stream.hasPages = false
        stream.flushesMultifd = flushes
        let folder = try TemporaryFolder()
        let path = try folder.file("stream", stream.bytes)
        let verified = migrationError {
            _ = try StreamTools.verify(path: path, maximumRAMByteCount: 1 << 30) { _ in }
        }
        let converted = migrationError {
            _ = try StreamTools.convert(
                path: path, output: folder("converted"), encoding: .plain,
                maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        for error in [verified, converted] {
            #expect(error?.kind == .unsupported)
            #expect(error?.description.contains("multifd") == true)
        }
        let report = try StreamTools.inspect(path: path) { _ in }.report
        #expect(report.lacksPages && report.usesMultifd == flushes)
        #expect(
            try !StreamTools.inspect(
                path: try folder.file("whole", PlainStream().bytes)
            ) { _ in }.report.lacksPages)
    }
}
