import Glibc
import RoostMemory
import StreamSupport
import SystemPackage
import Testing

@testable import RoostMigration

/// `roost stream convert` keeps all but the way pages are written (MIG-14).
@Suite struct StreamConversionTests {
    static let encodings: [PageEncoding] = [
        .plain, .xbzrle, .compressed(level: 1), .compressed(level: 9),
    ]
    static let recordings = StreamFixtures.sound.filter { !$0.contains("10.0-q35-multifd") }

    private struct Loaded: ~Copyable {
        var loader: StreamLoader
        let tail: DeviceTail
        let bytes: [UInt8]
    }

    private func load(_ bytes: [UInt8]) throws -> Loaded {
        var loader = StreamLoader(maximumRAMByteCount: 1 << 30)
        let tail = try read(bytes, into: &loader)
        return Loaded(loader: loader, tail: tail, bytes: bytes)
    }

    private func convert(_ bytes: [UInt8], _ encoding: PageEncoding) throws -> (
        bytes: [UInt8], report: ConversionReport
    ) {
        let folder = try TemporaryFolder()
        let report = try StreamTools.convert(
            path: try folder.file("in", bytes), output: folder("out"), encoding: encoding,
            maximumRAMByteCount: 1 << 30
        ) { _ in }
        #expect(folder.names == ["in", "out"])
        return (try folder.bytes("out"), report)
    }

    @Test(.timeLimit(.minutes(1)), arguments: recordings, encodings)
    func `MIG-14 a converted stream brings the same memory and the same devices`(
        file: String, encoding: PageEncoding
    ) throws {
        let original = try load(try StreamFixtures.bytes(file))
        let (bytes, report) = try convert(original.bytes, encoding)
        let converted = try load(bytes)
        #expect(report.bytesWritten == UInt64(bytes.count))
        #expect(report.bytesRead == UInt64(original.bytes.count))

        // The memory.
        let blocks = original.loader.inspection.blocks
        #expect(converted.loader.inspection.blocks.map(\.name) == blocks.map(\.name))
        for (index, block) in blocks.enumerated() {
            for offset in stride(from: 0, to: block.byteCount, by: pageByteCount) {
                let before = original.loader.memory?.bytes(block: index, at: offset)
                let after = converted.loader.memory?.bytes(block: index, at: offset)
                let was = original.loader.memory?.isReceived(block: index, offset: offset)
                let isNow = converted.loader.memory?.isReceived(block: index, offset: offset)
                guard before == after, was == isNow else {
                    Issue.record("\(block.name) at \(offset)")
                    return
                }
            }
        }

        // Each page once: as a delta, the zero page that it is made against comes with it.
        let named = blocks.reduce(0) { $0 + $1.pagesNamed }
        #expect(report.pagesWritten == named)
        let counts = converted.loader.inspection.blocks
        func total(_ tally: KeyPath<StreamInspection.Block, StreamInspection.Tally>) -> UInt64 {
            counts.reduce(0) { $0 + $1[keyPath: tally].pages }
        }
        #expect(
            total(\.zero) + total(\.plain) + total(\.xbzrle) + total(\.compressed)
                == named + total(\.xbzrle))
        switch encoding {
        case .plain: #expect(total(\.xbzrle) + total(\.compressed) == 0)
        case .xbzrle: #expect(total(\.compressed) == 0)
        case .compressed: #expect(total(\.xbzrle) == 0)
        }

        // What follows the memory, and what stands before it.
        let was = Int(original.tail.streamOffset)
        let isNow = Int(converted.tail.streamOffset)
        #expect(original.bytes[was...] == converted.bytes[isNow...])
        #expect(converted.tail.sections.map(\.byteCount) == original.tail.sections.map(\.byteCount))
        let head = try StreamMap(original.bytes)
        #expect(bytes.starts(with: original.bytes[..<max(8, head.configuration.upperBound)]))
    }

    @Test func `a stream that is converted is smaller the more its pages are sent again`() throws {
        let rounds = try StreamFixtures.bytes("7.2-q35-rounds.stream")
        let (bytes, report) = try convert(rounds, .plain)
        #expect(bytes.count < rounds.count * 2 / 3)
        #expect(report.recordsRead == 1018 + 269)
        #expect(report.pagesWritten == 1122)
        #expect(try verify(bytes).memory.rounds == 1)
    }

    /// What a destination from 9.1 on refuses becomes what any loads.
    @Test func `MIG-14 compressed pages become plain ones`() throws {
        let (bytes, _) = try convert(
            try StreamFixtures.bytes("7.2-pc-compress.stream"), .plain)
        let memory = try verify(bytes).memory
        #expect(memory.compressed.pages == 0)
        #expect(memory.plain.pages > 0)
    }

    @Test func `requests for an answer are left out`() throws {
        let (bytes, _) = try convert(
            try StreamFixtures.bytes("7.2-q35-return-path.to-destination"), .plain)
        #expect(try verify(bytes).commands == [])
    }

    /// QEMU 10 sends SWITCHOVER_START between the last part and the end: so does the result.
    @Test func `the switchover stays between the pages and the last part`() throws {
        let (bytes, _) = try convert(try StreamFixtures.bytes("10.0-q35-rounds.stream"), .plain)
        let map = try StreamMap(bytes)
        let kinds = map.sections.map(\.header.kind)
        #expect(kinds == [.start, .part, .end])
        let command = try #require(map.commands.first)
        #expect(command.command == .switchoverStart)
        #expect(command.start == map.sections[1].end)
        #expect(map.pages.allSatisfy { $0.streamOffset < command.start })
    }

    /// Another handler's state between the switchover and the memory's last part: its pages are
    /// written where they come.
    @Test func `a section between the switchover and the last part is kept in its place`() throws {
        var stream = try StreamEdit("10.0-q35-paused.stream")
        let end = stream.section(.end)
        let start = stream.section(.start)
        let id = start.header.id
        let other: [UInt8] =
            [3, 0, 0, 9, 9] + [UInt8](repeating: 0x77, count: 40) + [0x7e, 0, 0, 9, 9]
        stream.insert(
            StreamEdit.record(2, offset: 0x5000, block: "pc.ram", [0]), at: end.payload)
        stream.insert(other, at: end.payload - 5)
        stream.insert(
            [1, 0, 0, 9, 9] + StreamEdit.counted("vfio") + [
                0, 0, 0, 0, 0, 0, 0, 1, 0x55, 0x7e, 0, 0, 9, 9,
            ],
            at: start.end)
        let before = try load(stream.bytes)
        let (bytes, _) = try convert(stream.bytes, .plain)
        let after = try load(bytes)
        #expect(
            after.loader.inspection.sections.map { "\($0.name) \($0.kind)" }.prefix(5)
                == ["ram start", "vfio start", "ram part", "vfio end", "ram end"])
        #expect(before.loader.memory?.bytes(at: 0x5000) == after.loader.memory?.bytes(at: 0x5000))
        #expect(id == after.loader.inspection.sections[0].id)
        #expect(after.loader.inspection.commands == ["SWITCHOVER_START"])
    }

    @Test func `a multifd stream is not converted`() throws {
        let error = migrationError {
            _ = try convert(
                try StreamFixtures.bytes("10.0-q35-multifd-none.to-destination"), .plain)
        }
        #expect(error?.kind == .unsupported)
        #expect(error?.description.contains("multifd") == true)
    }

    // MARK: Nothing is left behind

    @Test(arguments: [0, 4, 30, 200, 5000, 400_000, 485_000])
    func `a stream cut short leaves no file behind`(count: Int) throws {
        let folder = try TemporaryFolder()
        let bytes = try StreamFixtures.bytes("7.2-q35-paused.stream")
        let path = try folder.file("in", Array(bytes[..<count]))
        let convertError = migrationError {
            _ = try StreamTools.convert(
                path: path, output: folder("out"), encoding: .plain,
                maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(convertError?.kind == .truncated)
        let extractError = migrationError {
            _ = try StreamTools.extract(
                path: path, block: "pc.ram", output: folder("out"), maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(extractError?.kind == .truncated)
        #expect(folder.names == ["in"])
    }

    @Test func `a file that was there stays as it was when the new one fails`() throws {
        let folder = try TemporaryFolder()
        _ = try folder.file("out", [1, 2, 3])
        let path = try folder.file("in", Array("no stream".utf8))
        let error = migrationError {
            _ = try StreamTools.convert(
                path: path, output: folder("out"), mayReplace: true, encoding: .plain,
                maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(error?.kind == .malformed)
        #expect(try folder.bytes("out") == [1, 2, 3])
        #expect(folder.names == ["in", "out"])
    }

    @Test func `a stream can be converted over itself`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("stream", try StreamFixtures.bytes("7.2-q35-rounds.stream"))
        _ = try StreamTools.convert(
            path: path, output: path, mayReplace: true, encoding: .plain,
            maximumRAMByteCount: 1 << 30
        ) { _ in }
        #expect(try verify(try folder.bytes("stream")).memory.rounds == 1)
    }

    @Test func `a block that is not in the stream is told with those that are`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", try StreamFixtures.bytes("7.2-q35-stopped.stream"))
        let error = migrationError {
            _ = try StreamTools.extract(
                path: path, block: "pc.rum", output: folder("out"), maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(error?.kind == .mismatch)
        #expect(error?.block == "pc.rum")
        #expect(error?.description.contains("pc.bios") == true)
        #expect(folder.names == ["in"])
    }

    @Test func `a full disk is told with what to do`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", try StreamFixtures.bytes("7.2-q35-paused.stream"))
        let error = migrationError {
            _ = try StreamTools.convert(
                path: path, output: "/dev/full", encoding: .plain, maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(error?.kind == .transfer)
        #expect(error?.errno == .noSpace)
        #expect(error?.description.contains("free space") == true)
    }

    /// A file system of 256 KiB, which only the superuser can mount.
    @Test(.enabled(if: geteuid() == 0, "mounting needs root"))
    func `a full disk leaves nothing behind`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", try StreamFixtures.bytes("7.2-q35-paused.stream"))
        let small = try TemporaryFolder()
        do {
            _ = try CommandLineTool.output(
                of: "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small.path)
        } catch {
            return  // A container may be denied it.
        }
        defer { _ = try? CommandLineTool.output(of: "umount", small.path) }
        let convertError = migrationError {
            _ = try StreamTools.convert(
                path: path, output: small("out"), encoding: .plain, maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(convertError?.errno == .noSpace)
        let extractError = migrationError {
            _ = try StreamTools.extract(
                path: path, block: "pc.ram", output: small("out"), maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(extractError?.errno == .noSpace)
        #expect(small.names == [])
    }

    /// What a file may be long at most is a limit of the process, so it has one of its own.
    @Test func `a file that may not grow leaves nothing behind`() async {
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            let folder = try TemporaryFolder()
            let path = try folder.file("in", try StreamFixtures.bytes("7.2-q35-paused.stream"))
            var limit = rlimit(rlim_cur: 100_000, rlim_max: 100_000)
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let error = migrationError {
                _ = try StreamTools.convert(
                    path: path, output: folder("out"), encoding: .plain,
                    maximumRAMByteCount: 1 << 30
                ) { _ in }
            }
            try #require(error?.errno == .fileTooLarge)
            try #require(folder.names == ["in"])
        }
    }

    @Test(arguments: ["/nowhere/out", "/proc/out"])
    func `a folder that cannot be written is told`(output: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", try StreamFixtures.bytes("7.2-q35-stopped.stream"))
        let error = migrationError {
            _ = try StreamTools.convert(
                path: path, output: output, encoding: .plain, maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(error?.kind == .transfer)
        #expect(error?.description.contains(output) == true)
    }

    @Test func `what was written is its user's alone`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", try StreamFixtures.bytes("7.2-q35-stopped.stream"))
        _ = try StreamTools.convert(
            path: path, output: folder("out"), encoding: .plain, maximumRAMByteCount: 1 << 30
        ) { _ in }
        var status = stat()
        try #require(unsafe stat(folder("out"), &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func `an extracted block is sparse`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", try StreamFixtures.bytes("7.2-q35-paused.stream"))
        _ = try StreamTools.extract(
            path: path, block: "pc.ram", output: folder("out"), maximumRAMByteCount: 1 << 30
        ) { _ in }
        var status = stat()
        try #require(unsafe stat(folder("out"), &status) == 0)
        #expect(status.st_size == 4160 << 10)
        #expect(status.st_blocks * 512 < 1 << 20)
    }

    @Test func `a compression level is 0 to 9`() async {
        await #expect(processExitsWith: .failure) { _ = PageDeflater(level: 10) }
    }
}
