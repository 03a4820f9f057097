import Glibc
import StreamSupport
import Testing

@testable import RoostMigration

/// Where a stream ends in what holds it: a volume, a padded file, a file of devices alone.
@Suite struct StreamEndTests {
    private static let described = "7.2-q35-stopped.stream"
    private static let undescribed = "7.2-q35-suppress-vmdesc.stream"

    private static func section(_ id: UInt8, _ name: String, _ payload: [UInt8]) -> [UInt8] {
        [4, 0, 0, 0, id] + StreamEdit.counted(name) + [0, 0, 0, 0, 0, 0, 0, 1] + payload
            + [0x7e, 0, 0, 0, id]
    }

    /// A stream of devices without memory, such as QEMU saves for Xen.
    private static let devicesOnly =
        Array("QEVM".utf8) + [0, 0, 0, 3] + section(0, "timer", [UInt8](repeating: 0, count: 24))
        + section(4, "cpu_common", [0, 0, 0, 0, 0, 0, 0, 0x10])
        + section(5, "slirp", [0x7e, 0, 0, 0, 5, 9, 9]) + [0]

    @Test(arguments: [1, 4096, 3 << 20])
    func `what follows a stream is counted`(padding: Int) throws {
        let bytes = try StreamFixtures.bytes(Self.described)
        let report = try verify(bytes + [UInt8](repeating: 0xa5, count: padding))
        #expect(report.byteCount == UInt64(bytes.count))
        #expect(report.trailingByteCount == padding)
    }

    /// Read to its end this would take minutes, and memory that no machine has.
    @Test func `the rest of a volume is passed over without being read`() throws {
        let folder = try TemporaryFolder()
        let bytes = try StreamFixtures.bytes(Self.described)
        let path = try folder.file("volume", bytes)
        let size = 1 << 43
        try #require(unsafe truncate(path, size) == 0)
        var last: StreamProgress?
        let report = try StreamTools.verify(path: path, maximumRAMByteCount: 1 << 30) { last = $0 }
        #expect(report.byteCount == UInt64(bytes.count))
        #expect(report.trailingByteCount == size - bytes.count)
        #expect(last?.position == UInt64(size))
    }

    /// Where no description tells the end, so much must follow that nothing else can.
    @Test func `a stream without a description ends in a volume too`() throws {
        let folder = try TemporaryFolder()
        let bytes = try StreamFixtures.bytes(Self.undescribed)
        let path = try folder.file("volume", bytes)
        let size = 1 << 40
        try #require(unsafe truncate(path, size) == 0)
        let report = try StreamTools.verify(path: path, maximumRAMByteCount: 1 << 30) { _ in }
        #expect(report.byteCount == UInt64(bytes.count))
        #expect(report.trailingByteCount == size - bytes.count)
        #expect(report.sections.count == 33)
    }

    @Test(arguments: [1, 7, 4096])
    func `the end is found however the bytes come`(piece: Int) throws {
        let bytes = try StreamFixtures.bytes(Self.described)
        var reader = StreamReader()
        var inspection = StreamInspection()
        let all = bytes + [UInt8](repeating: 0, count: 1 << 16)
        let span = unsafe all.span.bytes
        var position = 0
        while position < all.count {
            #expect(reader.hasEnded == (position >= bytes.count))
            // The tail is walked at most a few times, so single bytes are affordable.
            let end = min(position + (reader.isPastMemory ? piece : 4096), all.count)
            try reader.consume(span.extracting(position..<end), into: &inspection)
            position = end
            if reader.hasEnded, position < all.count { position = all.count }
        }
        #expect(try reader.finish().streamByteCount == UInt64(bytes.count))
    }

    /// Such a conversion is a stream, not a volume.
    @Test func `a conversion leaves out what follows`() throws {
        let folder = try TemporaryFolder()
        let bytes = try StreamFixtures.bytes(Self.undescribed)
        let path = try folder.file("in", bytes + [UInt8](repeating: 0, count: 70_000))
        _ = try StreamTools.convert(
            path: path, output: folder("out"), encoding: .plain, maximumRAMByteCount: 1 << 30
        ) { _ in }
        let plain = try folder.file("plain", bytes)
        _ = try StreamTools.convert(
            path: plain, output: folder("alike"), encoding: .plain, maximumRAMByteCount: 1 << 30
        ) { _ in }
        let report = try verify(try folder.bytes("out"))
        #expect(report.trailingByteCount == 0)
        #expect(try folder.bytes("out") == folder.bytes("alike"))
    }

    // MARK: Devices alone

    @Test(arguments: [0, 1, 512, 70_000])
    func `devices alone are a whole stream`(padding: Int) throws {
        let report = try verify(Self.devicesOnly + [UInt8](repeating: 0, count: padding))
        #expect(report.blocks.isEmpty)
        #expect(report.sections.map(\.name) == ["timer", "cpu_common", "slirp"])
        #expect(report.sections.map(\.byteCount) == [48, 37, 31])
        #expect(report.byteCount == UInt64(Self.devicesOnly.count))
        #expect(report.trailingByteCount == padding)
    }

    @Test func `devices alone in a volume`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("volume", Self.devicesOnly)
        try #require(unsafe truncate(path, 1 << 40) == 0)
        let report = try StreamTools.verify(path: path, maximumRAMByteCount: 1 << 30) { _ in }
        #expect(report.sections.count == 3)
        #expect(report.byteCount == UInt64(Self.devicesOnly.count))
    }

    @Test func `devices alone with a description`() throws {
        let json = "{\"page_size\":4096,\"devices\":[]}"
        let item = [6, 0, 0, 0, UInt8(json.utf8.count)] + Array(json.utf8)
        let report = try verify(Self.devicesOnly + item)
        #expect(report.sections.map(\.name) == ["timer", "cpu_common", "slirp"])
        #expect(report.trailingByteCount == 0)
    }

    @Test func `devices alone that are cut short are not whole`() throws {
        for count in 8..<Self.devicesOnly.count {
            let error = migrationError { _ = try verify(Array(Self.devicesOnly[..<count])) }
            #expect(error?.kind == .truncated, "\(count)")
        }
    }

    @Test func `devices alone have no block and nothing to convert`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", Self.devicesOnly)
        let extractError = migrationError {
            _ = try StreamTools.extract(
                path: path, block: "pc.ram", output: folder("out"), maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(extractError?.description.contains("no memory") == true)
        let convertError = migrationError {
            _ = try StreamTools.convert(
                path: path, output: folder("out"), encoding: .plain, maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        #expect(convertError?.description.contains("no memory") == true)
        #expect(folder.names == ["in"])
    }
}
