import RoostMemory
import RoostMigration
import StreamSupport
import Testing

/// Every recording of a real QEMU is read whole, and what comes out is what its guest had (MIG-11).
@Suite struct StreamFixtureTests {
    /// What a recording holds: records by kind, rounds, sections and commands.
    struct Expected: Sendable, CustomStringConvertible {
        let file: String
        let zero: UInt64
        let plain: UInt64
        let xbzrle: UInt64
        let compressed: UInt64
        let rounds: Int
        let sections: Int
        let commands: [String]

        var description: String { file }

        init(
            _ file: String, _ zero: UInt64, _ plain: UInt64, _ xbzrle: UInt64,
            _ compressed: UInt64, _ rounds: Int, _ sections: Int, _ commands: [String] = []
        ) {
            self.file = file
            self.zero = zero
            self.plain = plain
            self.xbzrle = xbzrle
            self.compressed = compressed
            self.rounds = rounds
            self.sections = sections
            self.commands = commands
        }
    }

    static let table: [Expected] = [
        Expected("10.0-pc-q35-7.2.stream", 1014, 108, 0, 0, 1, 33),
        Expected("10.0-q35-multifd-none.to-destination", 0, 0, 0, 0, 0, 37, ["SWITCHOVER_START"]),
        Expected("10.0-q35-multifd-zlib.to-destination", 0, 0, 0, 0, 0, 42, ["SWITCHOVER_START"]),
        Expected("10.0-q35-multifd-zstd.to-destination", 0, 0, 0, 0, 0, 41, ["SWITCHOVER_START"]),
        Expected("10.0-q35-paused.stream", 1014, 108, 0, 0, 1, 33, ["SWITCHOVER_START"]),
        Expected("10.0-q35-rounds.stream", 1031, 339, 0, 0, 9, 45, ["SWITCHOVER_START"]),
        Expected("10.0-q35-virtio-mem.stream", 1014, 108, 0, 0, 1, 35, ["SWITCHOVER_START"]),
        Expected("10.0-q35-xbzrle.stream", 1023, 168, 144, 0, 8, 47, ["SWITCHOVER_START"]),
        Expected("7.2-microvm-paused.stream", 953, 106, 0, 0, 1, 18),
        Expected("7.2-pc-2.3.stream", 1016, 106, 0, 0, 1, 31),
        Expected("7.2-pc-blocks.stream", 1805, 117, 0, 0, 1, 35),
        Expected("7.2-pc-compress.stream", 1021, 5, 0, 228, 5, 60),
        Expected("7.2-pc-paused.stream", 1016, 106, 0, 0, 1, 34),
        Expected("7.2-pc-xbzrle-compress.stream", 1032, 53, 101, 102, 7, 62),
        Expected("7.2-q35-background-snapshot.stream", 1014, 108, 0, 0, 1, 32),
        Expected("7.2-q35-ignore-shared.stream", 75, 7, 0, 0, 1, 33),
        Expected("7.2-q35-multifd-none.to-destination", 1026, 0, 0, 0, 3, 37),
        Expected("7.2-q35-multifd-zlib.to-destination", 1022, 0, 0, 0, 2, 37),
        Expected("7.2-q35-multifd-zstd.to-destination", 1018, 0, 0, 0, 1, 37),
        Expected("7.2-q35-no-footers.stream", 1014, 108, 0, 0, 1, 33),
        Expected("7.2-q35-paused.stream", 1014, 108, 0, 0, 1, 33),
        Expected(
            "7.2-q35-return-path.to-destination", 1014, 108, 0, 0, 1, 33,
            ["OPEN_RETURN_PATH", "PING"]),
        Expected("7.2-q35-rounds.stream", 1018, 269, 0, 0, 6, 49),
        Expected("7.2-q35-stopped.stream", 1115, 7, 0, 0, 1, 33),
        Expected("7.2-q35-suppress-vmdesc.stream", 1014, 108, 0, 0, 1, 33),
        Expected("7.2-q35-uuid.stream", 1014, 108, 0, 0, 1, 33),
        Expected("7.2-q35-xbzrle.stream", 1026, 165, 120, 0, 7, 79),
    ]

    @Test func `every sound recording is in the table`() {
        #expect(Self.table.map(\.file).sorted() == StreamFixtures.sound)
    }

    @Test(arguments: table)
    func `MIG-11 a recording holds what is expected`(expected: Expected) throws {
        var inspection = StreamInspection()
        let bytes = try StreamFixtures.bytes(expected.file)
        let tail = try read(bytes, into: &inspection)
        inspection.finish(tail)
        func count(_ tally: KeyPath<StreamInspection.Block, StreamInspection.Tally>) -> UInt64 {
            inspection.blocks.reduce(0) { $0 + $1[keyPath: tally].pages }
        }
        #expect(count(\.zero) == expected.zero)
        #expect(count(\.plain) == expected.plain)
        #expect(count(\.xbzrle) == expected.xbzrle)
        #expect(count(\.compressed) == expected.compressed)
        #expect(inspection.rounds == expected.rounds)
        #expect(inspection.sections.count == expected.sections)
        #expect(inspection.commands == expected.commands)
        #expect(tail.streamByteCount == UInt64(bytes.count))
        #expect(tail.trailingByteCount == 0)
    }

    /// A section, its heads, records and footers counted, ends where the next item begins.
    @Test(arguments: StreamFixtures.sound)
    func `the sections' lengths add up to the stream`(file: String) throws {
        var inspection = StreamInspection()
        let bytes = try StreamFixtures.bytes(file)
        let tail = try read(bytes, into: &inspection)
        inspection.finish(tail)
        let map = try StreamMap(bytes)
        let head = max(8, map.configuration.upperBound)
        let commands = map.commands.reduce(0) { sum, command in
            sum + 5 + Int(bytes[command.start + 3]) << 8 + Int(bytes[command.start + 4])
        }
        let sections = inspection.sections.reduce(0) { $0 + $1.byteCount }
        let description = tail.description == nil ? 0 : 5 + tail.descriptionByteCount
        #expect(UInt64(head + commands) + sections + 1 + UInt64(description) == bytes.count)
    }

    /// Where a source's counters can be trusted, the records are as many: not with `compress`,
    /// whose workers are counted again, nor with multifd, whose pages travel elsewhere.
    @Test func `MIG-12 the records are those that the source counted`() throws {
        let truths = try StreamFixtures.truths()
        var compared = 0
        for row in Self.table where !row.file.contains("multifd") {
            guard let truth = truths.first(where: { $0.file == row.file + ".gz" }) else { continue }
            #expect(row.rounds <= truth.dirtySyncCount, "\(row.file)")
            guard row.compressed == 0 else { continue }
            #expect(row.zero == truth.zeroPages, "\(row.file)")
            #expect(row.plain == truth.normalPages, "\(row.file)")
            compared += 1
        }
        #expect(compared >= 17)
    }

    /// The final content, written by `extract` to a sparse file, is the source's (MIG-11, MIG-14).
    @Test(.timeLimit(.minutes(1)))
    func `MIG-11 the memory that comes out is what the source held`() throws {
        let folder = try TemporaryFolder()
        var compared = 0
        for truth in try StreamFixtures.truths() {
            let file = String(truth.file.dropLast(3))
            guard StreamFixtures.sound.contains(file), !file.contains("multifd") else { continue }
            let path = try folder.file("stream", try StreamFixtures.bytes(file))
            let report = try StreamTools.extract(
                path: path, block: truth.block, output: folder("block"), mayReplace: true,
                maximumRAMByteCount: 1 << 30
            ) { _ in }
            #expect(report.byteCount == truth.bytes, "\(file)")
            #expect(report.pages == report.pagesNamed, "\(file)")
            #expect(
                try CommandLineTool.sha256(ofFile: folder("block")) == truth.sha256,
                "\(file) \(truth.block)")
            compared += 1
        }
        #expect(compared == 21)
    }

    @Test func `the pages of a shared block are not in the stream`() throws {
        let report = try verify(try StreamFixtures.bytes("7.2-q35-ignore-shared.stream"))
        #expect(report.capabilities == ["x-ignore-shared"])
        let shared = try #require(report.blocks.first { $0.name == "pc.ram" })
        #expect(shared.pagesNamed == 0)
    }

    @Test func `x-ignore-shared gives each block an address`() throws {
        let map = try StreamMap(try StreamFixtures.bytes("7.2-q35-ignore-shared.stream"))
        let addresses = Dictionary(
            uniqueKeysWithValues: map.blocks.map {
                ($0.description.name, $0.description.guestAddress)
            })
        #expect(addresses["pc.ram"] == .some(0))
        #expect(addresses["pc.rom"] == .some(0xc0000))
        #expect(addresses["pc.bios"] == .some(0xffff_0000))
        #expect(map.blocks.allSatisfy { $0.description.backingPageByteCount == nil })
    }

    @Test func `the uuid is told as people write it`() throws {
        let report = try verify(try StreamFixtures.bytes("7.2-q35-uuid.stream"))
        #expect(report.uuid == "00112233-4455-6677-8899-aabbccddeeff")
    }

    @Test func `an old machine type sends neither CONFIGURATION nor footers`() throws {
        let report = try verify(try StreamFixtures.bytes("7.2-pc-2.3.stream"))
        #expect(report.machineType == nil)
        #expect(!report.hasFooters)
        #expect(report.blocks.contains { $0.name == "/objects/pc.ram" })
    }

    @Test func `a device that saves early stands before the memory's first part`() throws {
        let report = try verify(try StreamFixtures.bytes("10.0-q35-virtio-mem.stream"))
        let kinds = report.sections.prefix(3).map { "\($0.name) \($0.kind)" }
        #expect(kinds[0] == "ram start")
        #expect(kinds[1].contains("virtio-mem") && kinds[1].hasSuffix("full"))
        #expect(kinds[2] == "ram part")
        // It is the first that the description lists.
        #expect(report.devices?.first?.name == report.sections[1].name)
    }

    @Test func `a snapshot taken in the background has no last part of the memory`() throws {
        let report = try verify(
            try StreamFixtures.bytes("7.2-q35-background-snapshot.stream"))
        #expect(!report.sections.contains { $0.name == "ram" && $0.kind == "end" })
        #expect(report.sections.count { $0.kind == "full" } == report.devices?.count)
    }

    @Test func `a stream without a description has the same devices`() throws {
        let with = try verify(try StreamFixtures.bytes("7.2-q35-paused.stream"))
        let without = try verify(try StreamFixtures.bytes("7.2-q35-suppress-vmdesc.stream"))
        #expect(without.devices == nil)
        #expect(
            with.sections.map { [$0.name, $0.kind, "\($0.byteCount)"] }
                == without.sections.map { [$0.name, $0.kind, "\($0.byteCount)"] })
    }

    @Test func `the description's lengths are those of the sections`() throws {
        let bytes = try StreamFixtures.bytes("10.0-q35-paused.stream")
        var inspection = StreamInspection()
        let tail = try read(bytes, into: &inspection)
        let description = tail.description
        let described = try #require(description)
        let sections = tail.sections.filter { $0.header.kind == .full }
        #expect(described.pageSize == 4096)
        #expect(described.devices.map(\.name) == sections.map(\.header.name))
        #expect(described.devices.map(\.byteCount) == sections.map(\.byteCount))
    }

    @Test func `MULTIFD_FLUSH tells that the pages are elsewhere`() throws {
        let bytes = try StreamFixtures.bytes("10.0-q35-multifd-none.to-destination")
        var inspection = StreamInspection()
        try read(bytes, into: &inspection)
        #expect(inspection.usesMultifd)
        let error = try #require(migrationError { _ = try verify(bytes) })
        #expect(error.kind == .unsupported)
        #expect(error.description.contains("multifd"))
    }

    /// The main channel of QEMU 7.2 says nothing of multifd: its pages are simply missing, and
    /// `extract` tells how many.
    @Test func `the pages of a multifd stream of 7.2 are missing`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file(
            "stream", try StreamFixtures.bytes("7.2-q35-multifd-none.to-destination"))
        let report = try StreamTools.extract(
            path: path, block: "pc.ram", output: folder("block"), maximumRAMByteCount: 1 << 30
        ) { _ in }
        #expect(report.pagesNamed < report.pages)
    }
}
