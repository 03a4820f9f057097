import Foundation
import StreamSupport
import Testing

@testable import RoostMigration

/// What `roost stream inspect` tells (MIG-14).
@Suite struct StreamReportTests {
    private func inspect(_ file: String) throws -> (report: StreamReport, pageMap: PageMap) {
        let folder = try TemporaryFolder()
        return try StreamTools.inspect(
            path: try folder.file("stream", try StreamFixtures.bytes(file))
        ) { _ in }
    }

    private func json(_ value: some Encodable) throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: try JSONEncoder().encode(value))
        return try #require(object as? [String: Any])
    }

    @Test func `MIG-14 the report's keys are those that are documented`() throws {
        let object = try json(try inspect("7.2-q35-uuid.stream").report)
        #expect(
            Set(object.keys) == [
                "file", "packing", "isLibvirtSave", "streamVersion", "machineType", "capabilities",
                "uuid", "byteCount", "trailingByteCount", "ignoredByteCount", "hasFooters",
                "usesMultifd", "lacksPages", "commands", "memory", "blocks", "sections",
                "devices",
            ])
        let memory = try #require(object["memory"] as? [String: Any])
        #expect(
            Set(memory.keys) == [
                "byteCount", "rounds", "zero", "plain", "xbzrle", "compressed", "pagesNamed",
                "pagesSentAgain",
            ])
        let block = try #require((object["blocks"] as? [[String: Any]])?.first)
        #expect(
            Set(block.keys) == [
                "name", "byteCount", "zero", "plain", "xbzrle", "compressed", "pagesNamed",
                "pagesSentAgain",
            ])
        #expect(Set(try #require(block["zero"] as? [String: Any]).keys) == ["pages", "bytes"])
        let section = try #require((object["sections"] as? [[String: Any]])?.first)
        #expect(
            Set(section.keys) == [
                "name", "instance", "kind", "id", "version", "offset", "byteCount",
            ])
        let device = try #require((object["devices"] as? [[String: Any]])?.first)
        #expect(Set(device.keys).isSuperset(of: ["name", "instance", "byteCount"]))
    }

    @Test func `what is absent has no key`() throws {
        let object = try json(try inspect("7.2-pc-2.3.stream").report)
        #expect(object["machineType"] == nil)
        #expect(object["uuid"] == nil)
    }

    @Test func `a conversion's keys are those that are documented`() throws {
        let report = ConversionReport(
            file: "a", output: "b", bytesRead: 1, bytesWritten: 2, recordsRead: 3, pagesWritten: 4)
        #expect(
            Set(try json(report).keys)
                == [
                    "file", "output", "bytesRead", "bytesWritten", "recordsRead", "pagesWritten",
                ])
    }

    @Test func `the totals are the blocks' sums`() throws {
        let report = try inspect("7.2-pc-blocks.stream").report
        #expect(report.memory.byteCount == report.blocks.reduce(0) { $0 + $1.byteCount })
        #expect(report.memory.zero.pages == report.blocks.reduce(0) { $0 + $1.zero.pages })
        #expect(report.memory.pagesNamed == report.memory.byteCount / 4096)
        #expect(Set(report.blocks.map(\.name)).isSuperset(of: ["low", "high", "dimm"]))
    }

    // MARK: Rounds

    private func inspection(pages: UInt64) -> StreamInspection {
        var inspection = StreamInspection()
        inspection.blocksListed([RAMBlockDescription(name: "a", usedByteCount: pages * 4096)])
        return inspection
    }

    private func record(_ page: UInt64, _ kind: PageKind = .plain) -> PageRecord {
        PageRecord(kind: kind, block: 0, offset: page * 4096, streamOffset: 0, byteCount: 4104)
    }

    private let nothing: [UInt8] = []

    /// Beyond what fits 8 bits, in which the round of a page was once kept.
    @Test(arguments: [1, 2, 3, 255, 256, 257, 600])
    func `a page that comes again begins a round`(rounds: Int) {
        var inspection = inspection(pages: 3)
        for _ in 0..<rounds {
            for page in 0..<3 as Range<UInt64> {
                inspection.page(record(page), unsafe nothing.span.bytes)
            }
        }
        #expect(inspection.rounds == rounds)
        #expect(inspection.blocks[0].pagesNamed == 3)
        #expect(inspection.blocks[0].pagesSentAgain == (rounds > 1 ? 3 : 0))
        #expect(inspection.blocks[0].plain.pages == UInt64(3 * rounds))
    }

    /// A page sent in the first round and again 256 rounds later is not twice in one round.
    @Test func `a page that rests for 256 rounds does not begin one`() {
        var inspection = inspection(pages: 2)
        inspection.page(record(1), unsafe nothing.span.bytes)
        for _ in 0..<257 { inspection.page(record(0), unsafe nothing.span.bytes) }
        #expect(inspection.rounds == 257)
        inspection.page(record(1), unsafe nothing.span.bytes)
        #expect(inspection.rounds == 257)
    }

    @Test func `the rounds that can be told have a limit`() {
        var inspection = inspection(pages: 1)
        for _ in 0..<70_000 { inspection.page(record(0), unsafe nothing.span.bytes) }
        #expect(inspection.rounds == 65_535)
        #expect(inspection.blocks[0].plain.pages == 70_000)
    }

    // MARK: The picture

    @Test func `MIG-14 the picture shows each block`() throws {
        let (report, map) = try inspect("7.2-q35-xbzrle.stream")
        let svg = map.svg(title: "a <title> & more")
        #expect(svg.hasPrefix("<svg xmlns=\"http://www.w3.org/2000/svg\""))
        #expect(svg.hasSuffix("</svg>\n"))
        #expect(svg.contains("a &lt;title&gt; &amp; more"))
        for block in report.blocks {
            #expect(svg.contains("\(block.name)  ·  \(block.byteCount / 1024) KiB"))
        }
        #expect(svg.contains("sent again (7 rounds)"))
        // Zero, plain, delta and sent again are all there.
        for colour in ["#dfe7ee", "#2f6fb0", "#e08a1e", "#c2185b"] {
            #expect(svg.contains("fill=\"\(colour)\"") || svg.contains("stroke=\"\(colour)\""))
        }
    }

    /// One row of cells: a zero page, two plain ones, one sent again, one that never came.
    @Test func `a cell has the place and the colour of its page`() {
        var inspection = inspection(pages: 5)
        inspection.page(record(0, .zero), unsafe nothing.span.bytes)
        inspection.page(record(1), unsafe nothing.span.bytes)
        inspection.page(record(2), unsafe nothing.span.bytes)
        inspection.page(record(3), unsafe nothing.span.bytes)
        inspection.page(record(3, .delta), unsafe nothing.span.bytes)
        let svg = PageMap(inspection).svg(title: "t")
        let cells = svg.split(separator: "\n").filter { $0.contains("y=\"86\"") }
        #expect(
            cells == [
                "<rect x=\"20\" y=\"86\" width=\"7\" height=\"6\" fill=\"#dfe7ee\"/>",
                "<rect x=\"27\" y=\"86\" width=\"14\" height=\"6\" fill=\"#2f6fb0\"/>",
                "<rect x=\"41\" y=\"86\" width=\"6\" height=\"6\" fill=\"#e08a1e\" stroke=\"#c2185b\"/>",
                "<rect x=\"48\" y=\"86\" width=\"7\" height=\"6\" fill=\"#ffffff\"/>",
            ])
    }

    @Test func `a cell of a large block stands for several pages`() {
        var inspection = inspection(pages: 1 << 20)
        inspection.page(record(1 << 19), unsafe nothing.span.bytes)
        let svg = PageMap(inspection).svg(title: "t")
        #expect(svg.contains("a cell is 128 pages"))
        #expect(svg.contains("#2f6fb0"))
        #expect(svg.utf8.count < 20_000)
    }

    @Test func `what XML cannot hold is replaced in the picture`() {
        let svg = PageMap(inspection(pages: 1)).svg(title: "bell \u{7} null \0 escape \u{1b}[2J")
        #expect(!svg.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
    }
}
