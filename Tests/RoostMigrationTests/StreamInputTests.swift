import Glibc
import RoostMigration
import StreamSupport
import SystemPackage
import Testing

/// A stored stream is read however it is packed, and refused by name where it cannot be (MIG-14).
@Suite struct StreamInputTests {
    private static let stream = "7.2-q35-stopped.stream"

    private func bytes() throws -> [UInt8] { try StreamFixtures.bytes(Self.stream) }

    private static let fixtures =
        "/\(#filePath.split(separator: "/").dropLast().joined(separator: "/"))/Fixtures"

    private func packed(_ name: String) throws -> [UInt8] {
        try CommandLineTool.output(of: "cat", "\(Self.fixtures)/packed/\(name)")
    }

    private func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
        let folder = try TemporaryFolder()
        return try CommandLineTool.output(of: "gzip", "-c", try folder.file("plain", bytes))
    }

    /// A libvirt save file around bytes (libvirt: `src/qemu/qemu_saveimage.h`).
    private func libvirt(
        _ bytes: [UInt8], magic: String = "LibvirtQemudSave", version: UInt32 = 2,
        format: UInt32 = 0, isBigEndian: Bool = false, description: Int = 5000,
        claimed: UInt32? = nil
    ) -> [UInt8] {
        let words: [UInt32] = [version, claimed ?? UInt32(description), 1, format, 0]
        let header = words.flatMap { word -> [UInt8] in
            let big = StreamEdit.integer(word)
            return isBigEndian ? big : big.reversed()
        }
        return Array(magic.utf8) + header + [UInt8](repeating: 0, count: 56)
            + [UInt8](repeating: UInt8(ascii: "x"), count: description) + bytes
    }

    @Test func `a stream as it is`() throws {
        let report = try verify(try bytes())
        #expect(report.packing == "none")
        #expect(!report.isLibvirtSave)
        #expect(report.byteCount == UInt64(try bytes().count))
    }

    @Test func `gzip`() throws {
        let report = try verify(try gzip(try bytes()))
        #expect(report.packing == "gzip")
        #expect(report.byteCount == UInt64(try bytes().count))
    }

    @Test func `gzip of several members`() throws {
        let bytes = try bytes()
        let members = try gzip(Array(bytes[..<1000])) + gzip([]) + gzip(Array(bytes[1000...]))
        #expect(try verify(members).byteCount == UInt64(bytes.count))
    }

    @Test func `zstd of several frames`() throws {
        let report = try verify(try packed("head.zst") + packed("rest.zst"))
        #expect(report.packing == "zstd")
        #expect(report.byteCount == UInt64(try bytes().count))
    }

    @Test func `zstd passes over frames of other data`() throws {
        let skippable: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]
        let frames = try packed("head.zst") + skippable + packed("rest.zst")
        #expect(try verify(frames).byteCount == UInt64(try bytes().count))
    }

    @Test(arguments: [1, 4, 8, 100, 1000])
    func `gzip cut short`(missing: Int) throws {
        let error = migrationError { _ = try verify(try gzip(try bytes()).dropLast(missing)) }
        #expect(error?.kind == .truncated)
        #expect(error?.description.contains("gzip") == true)
    }

    @Test(arguments: [1, 3, 100, 1000])
    func `zstd cut short`(missing: Int) throws {
        let frames = try packed("head.zst") + packed("rest.zst")
        let error = migrationError { _ = try verify(frames.dropLast(missing)) }
        #expect(error?.kind == .truncated)
        #expect(error?.description.contains("zstd") == true)
    }

    /// Whole frames of an unfinished stream: the packing is sound, the stream is not.
    @Test func `zstd without its second frame is a stream cut short`() throws {
        let error = migrationError { _ = try verify(try packed("head.zst")) }
        #expect(error?.kind == .truncated)
        #expect(error?.description.contains("zstd") == false)
    }

    @Test func `damage inside gzip`() throws {
        var bytes = try gzip(try bytes())
        bytes[bytes.count / 2] ^= 0xff
        let error = migrationError { _ = try verify(bytes) }
        #expect(error?.kind == .malformed)
    }

    /// The checksum of the first frame notices what the format alone would not.
    @Test func `damage inside zstd`() throws {
        var bytes = try packed("head.zst")
        bytes[bytes.count - 1] ^= 0xff
        let error = migrationError { _ = try verify(bytes + packed("rest.zst")) }
        #expect(error?.kind == .malformed)
        #expect(error?.description.contains("zstd") == true)
    }

    /// As gzip(1) and zstd(1) do: files end in whole blocks, and volumes are larger than files.
    @Test(
        arguments: [
            [0, 0, 0, 0], [0x5a], Array("more".utf8), [UInt8](repeating: 0, count: 70_000),
        ])
    func `bytes behind packed data are counted`(trailing: [UInt8]) throws {
        let gzipped = try verify(try gzip(try bytes()) + trailing)
        #expect(gzipped.ignoredByteCount == UInt64(trailing.count))
        #expect(gzipped.byteCount == UInt64(try bytes().count))
        let zstd = try verify(try packed("head.zst") + packed("rest.zst") + trailing)
        #expect(zstd.ignoredByteCount == UInt64(trailing.count))
    }

    /// The stream inside tells that something is missing where the packing cannot.
    @Test func `a damaged head of a second member is damage`() throws {
        let bytes = try bytes()
        var second = try gzip(Array(bytes[1000...]))
        second[0] ^= 1
        let error = migrationError { _ = try verify(try gzip(Array(bytes[..<1000])) + second) }
        #expect(error?.kind == .malformed)
        #expect(error?.description.contains("\(second.count) bytes that are none") == true)
    }

    // MARK: zstd's frames

    /// A frame of uncompressed blocks (RFC 8878, section 3.1.1), with a window of this exponent.
    private func frame(_ bytes: [UInt8], windowExponent: UInt8, mantissa: UInt8 = 0) -> [UInt8] {
        var frame: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0, (windowExponent - 10) << 3 | mantissa]
        var start = 0
        repeat {
            let end = min(start + (100 << 10), bytes.count)
            let head = UInt32(end - start) << 3 | (end == bytes.count ? 1 : 0)
            frame += StreamEdit.integer(head).reversed().prefix(3) + bytes[start..<end]
            start = end
        } while start < bytes.count
        return frame
    }

    private let skippable: [UInt8] = [0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]

    @Test func `zstd that begins with frames to skip`() throws {
        let frames =
            try skippable + skippable + packed("head.zst") + skippable
            + packed("rest.zst") + skippable
        let report = try verify(frames)
        #expect(report.packing == "zstd")
        #expect(report.byteCount == UInt64(try bytes().count))
    }

    /// lz4 has the same frames to skip.
    @Test func `lz4 behind a frame to skip is named`() throws {
        let error = migrationError {
            _ = try verify(skippable + [0x04, 0x22, 0x4d, 0x18] + [UInt8](repeating: 1, count: 40))
        }
        #expect(error?.kind == .unsupported)
        #expect(error?.description.contains("lz4 -dc") == true)
    }

    @Test func `frames to skip alone hold no stream`() throws {
        let error = migrationError { _ = try verify(skippable + skippable) }
        #expect(error?.kind == .truncated)
    }

    @Test(arguments: [20, 27, 28, 30] as [UInt8])
    func `zstd with a large window`(exponent: UInt8) throws {
        let report = try verify(frame(try bytes(), windowExponent: exponent))
        #expect(report.byteCount == UInt64(try bytes().count))
    }

    @Test(arguments: [(31, 7), (36, 0), (41, 7)] as [(UInt8, UInt8)])
    func `a window that is too large is named`(exponent: UInt8, mantissa: UInt8) throws {
        let error = migrationError {
            _ = try verify(frame(try bytes(), windowExponent: exponent, mantissa: mantissa))
        }
        #expect(error?.kind == .limit)
        let size = (UInt64(1) << exponent) + (UInt64(1) << exponent) / 8 * UInt64(mantissa)
        #expect(error?.description.contains("window of \(size) bytes") == true)
        #expect(error?.description.contains("damaged") == false)
    }

    /// Each piece ends somewhere else in a frame's head.
    @Test func `zstd of very many small frames`() throws {
        let bytes = try bytes()
        var frames: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 977) {
            frames += frame(Array(bytes[start..<min(start + 977, bytes.count)]), windowExponent: 17)
        }
        #expect(try verify(frames).byteCount == UInt64(bytes.count))
    }

    // MARK: libvirt

    @Test(arguments: [1, 2] as [UInt32], [false, true])
    func `a libvirt save file in either byte order`(version: UInt32, isBigEndian: Bool) throws {
        let report = try verify(
            libvirt(try bytes(), version: version, isBigEndian: isBigEndian))
        #expect(report.isLibvirtSave)
        #expect(report.packing == "none")
        #expect(report.byteCount == UInt64(try bytes().count))
    }

    @Test func `a libvirt save file in gzip or zstd`() throws {
        let gzipped = try verify(libvirt(try gzip(try bytes()), format: 1))
        #expect(gzipped.isLibvirtSave && gzipped.packing == "gzip")
        let zstd = try verify(
            libvirt(try packed("head.zst") + packed("rest.zst"), format: 5))
        #expect(zstd.isLibvirtSave && zstd.packing == "zstd")
    }

    /// Written by libvirt 9.0 itself.
    @Test func `a real save of libvirt in gzip, and one in xz`() throws {
        let report = try StreamTools.verify(
            path: "\(Self.fixtures)/libvirt/gzip.save", maximumRAMByteCount: 1 << 30
        ) { _ in }
        #expect(report.isLibvirtSave && report.packing == "gzip")
        #expect(report.machineType == "pc-q35-7.2")
        #expect(report.memory.zero.pages + report.memory.plain.pages == 1376)
        let error = migrationError {
            _ = try StreamTools.verify(
                path: "\(Self.fixtures)/libvirt/xz-head.save", maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(error?.kind == .unsupported)
        #expect(error?.description.contains("format xz") == true)
        #expect(error?.description.contains("xz -dc") == true)
    }

    /// Longer than what is read at once.
    @Test func `a libvirt save file with a long description`() throws {
        let report = try verify(libvirt(try bytes(), description: 3 << 20))
        #expect(report.byteCount == UInt64(try bytes().count))
    }

    @Test func `a libvirt save file without a description`() throws {
        let report = try verify(libvirt(try bytes(), description: 0))
        #expect(report.byteCount == UInt64(try bytes().count))
    }

    @Test(
        arguments: [(2, "bzip2"), (3, "xz"), (4, "lzop"), (6, "sparse"), (99, "99")]
            as [(UInt32, String)])
    func `a libvirt format that is not handled is named`(format: UInt32, name: String) throws {
        let error = migrationError { _ = try verify(libvirt(try bytes(), format: format)) }
        #expect(error?.kind == .unsupported)
        #expect(error?.description.contains("format \(name)") == true)
        guard let program = ["bzip2": "bzip2 -dc", "xz": "xz -dc", "lzop": "lzop -dc"][name] else {
            return
        }
        // The stream begins behind the head of 92 bytes and the description of 5000.
        #expect(error?.description.contains("tail -c +5093 ") == true)
        #expect(error?.description.contains(" | \(program) > ") == true)
    }

    @Test func `a libvirt save whose packing its head does not tell is named`() throws {
        let error = migrationError {
            _ = try verify(libvirt([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 4]))
        }
        #expect(error?.kind == .unsupported)
        #expect(error?.description.contains("tail -c +5093 ") == true)
        #expect(error?.description.contains(" | xz -dc > ") == true)
    }

    @Test func `a libvirt save that was never finished`() throws {
        let error = migrationError {
            _ = try verify(libvirt(try bytes(), magic: "LibvirtQemudPart"))
        }
        #expect(error?.kind == .truncated)
        #expect(error?.description.contains("never finished") == true)
    }

    @Test(arguments: [0, 3, 0x1_0002] as [UInt32])
    func `an unknown libvirt version`(version: UInt32) throws {
        let error = migrationError { _ = try verify(libvirt(try bytes(), version: version)) }
        #expect(error?.kind == .unsupported)
    }

    @Test(arguments: [20, 91])
    func `libvirt's header cut short`(count: Int) throws {
        let error = migrationError {
            _ = try verify(Array(libvirt([], description: 0).prefix(count)))
        }
        #expect(error?.kind == .truncated)
    }

    @Test func `libvirt's description cut short`() throws {
        let error = migrationError { _ = try verify(libvirt([], claimed: 6000)) }
        #expect(error?.kind == .truncated)
        #expect(error?.description.contains("libvirt") == true)
    }

    @Test func `libvirt's description has a limit`() throws {
        let error = migrationError { _ = try verify(libvirt([], claimed: .max)) }
        #expect(error?.kind == .limit)
    }

    @Test func `a libvirt save without a stream`() throws {
        let error = migrationError { _ = try verify(libvirt([])) }
        #expect(error?.kind == .truncated)
    }

    // MARK: Files

    @Test func `a file that is not there`() {
        let error = migrationError {
            _ = try StreamTools.inspect(path: "/nowhere/at/all") { _ in }
        }
        #expect(error?.kind == .transfer)
        #expect(error?.errno == .noSuchFileOrDirectory)
        #expect(error?.description.contains("/nowhere/at/all") == true)
    }

    @Test func `a folder is no stream`() {
        let error = migrationError { _ = try StreamTools.inspect(path: "/tmp") { _ in } }
        #expect(error?.kind == .transfer)
        #expect(error?.description.contains("give a file in it") == true)
    }

    /// The superuser may read everything, so another user tries.
    @Test(.enabled(if: geteuid() == 0, "changing the user needs root"))
    func `a file that may not be read is told as such`() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let path = try folder.file("secret", [1, 2, 3])
            try #require(unsafe chmod(folder.path, 0o755) == 0)
            try #require(unsafe chmod(path, 0o600) == 0)
            try #require(seteuid(65_534) == 0)
            let error = migrationError { _ = try StreamTools.inspect(path: path) { _ in } }
            try #require(seteuid(0) == 0)
            try #require(error?.errno == .permissionDenied)
            try #require(error?.description.contains("the right to read it") == true)
            try #require(error?.description.contains("check the name") == false)
        }
    }

    @Test func `progress ends at the file's size`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("stream", try StreamFixtures.bytes("10.0-q35-rounds.stream"))
        var last: StreamProgress?
        _ = try StreamTools.inspect(path: path) { last = $0 }
        let progress = try #require(last)
        #expect(progress.position == progress.byteCount)
    }

    @Test func `a pipe will do`() throws {
        let folder = try TemporaryFolder()
        let path = folder("fifo")
        try #require(unsafe mkfifo(path, 0o600) == 0)
        let stream = try folder.file("stream", try bytes())
        let writer = try CommandLineTool.start("cp", stream, path)
        defer { writer.wait() }
        let (report, _) = try StreamTools.inspect(path: path) { progress in
            #expect(progress.byteCount == nil)
        }
        #expect(report.byteCount == UInt64(try bytes().count))
    }
}
