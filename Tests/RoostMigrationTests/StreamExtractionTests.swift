import Glibc
import StreamSupport
import SystemPackage
import Testing

@testable import RoostMigration

/// A block taken out of a stream: whole or not at all, into whatever takes bytes.
@Suite struct StreamExtractionTests {
    private static let stream = "7.2-q35-paused.stream"

    private func extract(
        _ path: String, _ block: String, to output: String, mayReplace: Bool = false
    ) throws -> ExtractionReport {
        try StreamTools.extract(
            path: path, block: block, output: output, mayReplace: mayReplace,
            maximumRAMByteCount: 1 << 30
        ) { _ in }
    }

    private func recording(_ name: String, in folder: TemporaryFolder) throws -> String {
        try folder.file("in", try StreamFixtures.bytes(name))
    }

    @Test func `a pipe gets every byte, holes as zeros`() async throws {
        let folder = try TemporaryFolder()
        let path = try recording(Self.stream, in: folder)
        let report = try extract(path, "pc.ram", to: folder("out"))
        let fifo = folder("fifo")
        try #require(unsafe mkfifo(fifo, 0o600) == 0)
        let reader = try CommandLineTool.start("cp", fifo, folder("piped"))
        let piped = try extract(path, "pc.ram", to: fifo)
        reader.wait()
        #expect(piped.byteCount == report.byteCount)
        let whole = try folder.bytes("out")
        let arrived = try folder.bytes("piped")
        let isSame = whole == arrived
        #expect(isSame && UInt64(whole.count) == report.byteCount)
        #expect(report.byteCount == 4096 * report.pages)
    }

    @Test func `a device takes bytes too`() throws {
        let folder = try TemporaryFolder()
        let report = try extract(
            try recording(Self.stream, in: folder), "pc.ram", to: "/dev/null")
        #expect(report.pagesNamed == report.pages)
        #expect(folder.names == ["in"])
    }

    @Test func `a full pipe's end is told`() throws {
        let folder = try TemporaryFolder()
        let path = try recording(Self.stream, in: folder)
        let error = migrationError { _ = try extract(path, "pc.ram", to: "/dev/full") }
        #expect(error?.errno == .noSpace)
        #expect(error?.description.contains("/dev/full") == true)
    }

    /// With x-ignore-shared the memory of a shared file stays in that file.
    @Test func `a block that the stream leaves out is refused with the reason`() throws {
        let folder = try TemporaryFolder()
        let path = try recording("7.2-q35-ignore-shared.stream", in: folder)
        let (report, _) = try StreamTools.inspect(path: path) { _ in }
        let absent = try #require(report.blocks.first { $0.pagesNamed == 0 && $0.byteCount > 0 })
        let error = migrationError { _ = try extract(path, absent.name, to: folder("out")) }
        #expect(error?.kind == .mismatch)
        #expect(error?.block == absent.name)
        #expect(error?.description.contains("x-ignore-shared") == true)
        #expect(error?.description.contains("nothing was written") == true)
        #expect(folder.names == ["in"])
        // The others are there.
        let present = try #require(report.blocks.first { $0.pagesNamed > 0 })
        #expect(try extract(path, present.name, to: folder("out")).pagesNamed > 0)
    }

    @Test func `a file that is not empty is replaced only when that is asked for`() throws {
        let folder = try TemporaryFolder()
        let path = try recording(Self.stream, in: folder)
        _ = try folder.file("out", [1, 2, 3])
        let error = migrationError { _ = try extract(path, "pc.ram", to: folder("out")) }
        #expect(error?.errno == .fileExists)
        #expect(error?.description.contains("--force") == true)
        #expect(try folder.bytes("out") == [1, 2, 3])
        _ = try extract(path, "pc.ram", to: folder("out"), mayReplace: true)
        #expect(try folder.bytes("out").count == 4160 << 10)
        #expect(folder.names == ["in", "out"])
    }

    @Test func `a cancelled task leaves nothing behind`() async throws {
        let folder = try TemporaryFolder()
        let path = try recording(Self.stream, in: folder)
        let output = folder("out")
        let task = Task {
            unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
            return migrationError {
                _ = try StreamTools.convert(
                    path: path, output: output, encoding: .plain, maximumRAMByteCount: 1 << 30
                ) { _ in }
            }
        }
        #expect(await task.value?.kind == .cancelled)
        #expect(folder.names == ["in"])
    }
}
