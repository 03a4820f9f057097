import StreamSupport
import Testing

@testable import RoostMigration

/// Targets whose pages are not 4,096 bytes are named with the size of their pages.
@Suite struct PageSizeTests {
    private static let footer: [UInt8] = [0x7e, 0, 0, 0, 2]
    private static let endOfRecords = StreamEdit.integer(UInt64(0x10))

    /// A stream of a target that names no page size before the description.
    private func stream(
        blockByteCount: UInt64, _ records: [UInt8], described pageByteCount: Int? = nil
    ) -> [UInt8] {
        var bytes = Array("QEVM".utf8) + [0, 0, 0, 3, 7, 0, 0, 0, 5] + Array("board".utf8)
        bytes += [1, 0, 0, 0, 2] + StreamEdit.counted("ram") + [0, 0, 0, 0, 0, 0, 0, 4]
        bytes += StreamEdit.integer(blockByteCount | 4)
        bytes += StreamEdit.counted("ram0") + StreamEdit.integer(blockByteCount)
        bytes += Self.endOfRecords + Self.footer
        bytes += [2, 0, 0, 0, 2] + records + Self.endOfRecords + Self.footer
        bytes += [3, 0, 0, 0, 2] + Self.endOfRecords + Self.footer + [0]
        guard let pageByteCount else { return bytes }
        let json = Array("{\"page_size\":\(pageByteCount),\"devices\":[]}".utf8)
        return bytes + [6] + StreamEdit.integer(UInt32(json.count)) + json
    }

    private func pages(_ size: Int, count: Int, first: Int = 0, fill: UInt8?) -> [UInt8] {
        (first..<first + count).flatMap { index -> [UInt8] in
            let flags: UInt64 = (fill == nil ? 2 : 8) | (index == first ? 0 : 0x20)
            let body = fill.map { [UInt8](repeating: $0, count: size) } ?? [0]
            return StreamEdit.record(
                flags, offset: UInt64(index * size), block: index == first ? "ram0" : nil, body)
        }
    }

    private func expectNamed(_ size: Int, _ bytes: [UInt8]) {
        let error = migrationError { _ = try verify(bytes) }
        #expect(error?.kind == .unsupported)
        #expect(error?.description.contains("pages of \(size) bytes") == true)
        #expect(error?.description.contains("4096") == true)
    }

    @Test(arguments: [1024, 2048], [nil, 0, 0x41] as [UInt8?])
    func `smaller pages show in the records`(size: Int, fill: UInt8?) {
        expectNamed(size, stream(blockByteCount: 0x8000, pages(size, count: 8, fill: fill)))
    }

    @Test(arguments: [8192, 16384, 65536], [0, 0x41] as [UInt8])
    func `larger pages show in the records`(size: Int, fill: UInt8) {
        expectNamed(
            size,
            stream(blockByteCount: UInt64(8 * size), pages(size, count: 3, first: 2, fill: fill)))
    }

    /// Zero pages read alike whatever their size.
    @Test(arguments: [8192, 65536])
    func `larger pages show in the description`(size: Int) {
        expectNamed(
            size,
            stream(
                blockByteCount: UInt64(4 * size), pages(size, count: 4, fill: nil),
                described: size))
    }

    @Test(arguments: [(10, 1024), (13, 8192), (14, 16384)])
    func `the machine's own word is taken`(bits: UInt8, size: Int) throws {
        let part = StreamEdit.counted("configuration/target-page-bits")
        var bytes = stream(blockByteCount: 4096, [])
        bytes.insert(contentsOf: [5] + part + [0, 0, 0, 1, 0, 0, 0, bits], at: 18)
        expectNamed(size, bytes)
    }

    @Test func `pages of 4096 bytes are read`() throws {
        let report = try verify(
            stream(blockByteCount: 0x4000, pages(4096, count: 4, fill: 0x41), described: 4096))
        #expect(report.memory.plain.pages == 4)
    }

    @Test func `damage behind a page is not taken for another size`() throws {
        let bytes = stream(
            blockByteCount: 0x4000,
            pages(4096, count: 2, fill: 0x41) + [0xff, 0xff, 1, 2, 3, 4, 5, 6])
        #expect(migrationError { _ = try verify(bytes) }?.kind == .malformed)
    }

    // MARK: Guests of terabytes

    private static let six: UInt64 = 6 << 40

    private func terabytes() -> [UInt8] {
        let records =
            StreamEdit.record(8, block: "ram0", [UInt8](repeating: 0x41, count: 4096))
            + StreamEdit.record(0x22, offset: 1 << 41, [0])
            + StreamEdit.record(
                0x28, offset: Self.six - 4096, [UInt8](repeating: 0x42, count: 4096))
        return stream(blockByteCount: Self.six, records, described: 4096)
    }

    @Test func `a guest of 6 TiB costs what it sends`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", terabytes())
        let (report, map) = try StreamTools.inspect(path: path) { _ in }
        #expect(report.memory.byteCount == Self.six)
        #expect(report.memory.pagesNamed == 3)
        #expect(map.svg(title: "six").utf8.count < 1 << 20)
        let verified = try StreamTools.verify(path: path, maximumRAMByteCount: 8 << 40) { _ in }
        #expect(verified.memory.plain.pages == 2)
        let converted = try StreamTools.convert(
            path: path, output: folder("out"), encoding: .plain, maximumRAMByteCount: 8 << 40
        ) { _ in }
        #expect(converted.pagesWritten == 3)
        #expect(try folder.bytes("out").count < 20_000)
    }

    @Test func `the limit's error names the option with a size that will do`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", terabytes())
        let error = migrationError {
            _ = try StreamTools.inspect(path: path, maximumRAMByteCount: 1 << 40) { _ in }
        }
        #expect(error?.kind == .limit)
        #expect(error?.description.contains("--maximum-memory 6144G") == true)
        #expect(error?.description.contains(path) == true)
    }
}
