import RoostMemory
import StreamSupport
import TestSupport
import Testing

@testable import RoostMigration

/// Records are applied as QEMU applies them, and never outside the blocks (MIG-11).
@Suite struct GuestMemoryTests {
    private static let page = UInt64(pageByteCount)

    private func record(_ kind: PageKind, block: Int = 0, offset: UInt64 = 0) -> PageRecord {
        PageRecord(kind: kind, block: block, offset: offset, streamOffset: 1234, byteCount: 0)
    }

    private func memory(pages: UInt64 = 4) throws -> GuestMemory {
        try GuestMemory(
            accepting: [RAMBlockDescription(name: "a", usedByteCount: pages * Self.page)],
            maximumByteCount: 1 << 20)
    }

    // MARK: Blocks

    @Test func `MIG-11 a block of the same length is matched by its name`() throws {
        var memory = try GuestMemory(
            blocks: [
                RAMBlock(name: "a", usedByteCount: 4096), RAMBlock(name: "b", usedByteCount: 8192),
            ], maximumByteCount: 1 << 20)
        try memory.match([RAMBlockDescription(name: "b", usedByteCount: 8192)])
        #expect(memory.blocks.map(\.name) == ["b"])
        try memory.apply(record(.zero, offset: 4096), [9])
        let byte = memory.withPage(block: 0, offset: 4096) {
            $0.loadBigEndian(at: 0, as: UInt8.self)
        }
        #expect(byte == 9)
    }

    @Test(
        arguments: [
            ("its own length", 8192, true), ("an empty one", 0, true),
            ("a shorter one", 4096, true),
            ("its maximum", 16_384, true), ("a page above its maximum", 20_480, false),
            ("far above", UInt64.max & ~4095, false),
        ] as [(String, UInt64, Bool)])
    func `MIG-11 a resizable block takes a length up to its maximum`(
        what: String, byteCount: UInt64, isTaken: Bool
    ) throws {
        var memory = try GuestMemory(
            blocks: [
                RAMBlock(name: "acpi", usedByteCount: 8192, maximumByteCount: 16_384),
                RAMBlock(name: "next", usedByteCount: 4096),
            ], maximumByteCount: 1 << 20)
        let list = [
            RAMBlockDescription(name: "acpi", usedByteCount: byteCount),
            RAMBlockDescription(name: "next", usedByteCount: 4096),
        ]
        if isTaken {
            try memory.match(list)
            #expect(memory.blocks[0].usedByteCount == byteCount)
            #expect(memory.blocks[0].maximumByteCount == 16_384)
            if byteCount > 0 {
                try memory.apply(record(.zero, offset: byteCount - 4096), [1])
            }
            expectFault { try memory.apply(record(.zero, offset: byteCount), [1]) }
        } else {
            #expect(throws: MigrationError.self) { try memory.match(list) }
            // The memory is as it was.
            #expect(memory.blocks[0].usedByteCount == 8192)
            try memory.apply(record(.zero, offset: 4096), [1])
        }
    }

    @Test(arguments: [4096, 12_288] as [UInt64])
    func `MIG-11 a block of fixed length takes no other`(byteCount: UInt64) throws {
        var memory = try memory(pages: 2)
        let error = migrationError {
            try memory.match([RAMBlockDescription(name: "a", usedByteCount: byteCount)])
        }
        #expect(error?.kind == .mismatch)
        #expect(error?.block == "a")
    }

    @Test func `MIG-11 a block that is not here is a mismatch`() throws {
        var memory = try memory()
        let error = migrationError {
            try memory.match([RAMBlockDescription(name: "b", usedByteCount: 4096)])
        }
        #expect(error?.kind == .mismatch)
        #expect(error?.block == "b")
    }

    @Test func `no more memory is promised than allowed`() throws {
        let list = [
            RAMBlockDescription(name: "a", usedByteCount: 4096),
            RAMBlockDescription(name: "b", usedByteCount: 4096),
        ]
        _ = try GuestMemory(accepting: list, maximumByteCount: 8192)
        let error = migrationError { _ = try GuestMemory(accepting: list, maximumByteCount: 8191) }
        #expect(error?.kind == .limit)
        #expect(error?.block == "b")
    }

    @Test func `lengths that overflow are above the limit`() {
        let list = [UInt64.max & ~4095, 8192].map {
            RAMBlockDescription(name: "a", usedByteCount: $0)
        }
        let error = migrationError {
            _ = try GuestMemory(accepting: list, maximumByteCount: .max)
        }
        #expect(error?.kind == .limit)
    }

    @Test(
        arguments: [(100, 4096), (4096, 100), (8192, 4096), (4096, 4100)] as [(UInt64, UInt64)])
    func `a block is whole pages and at most its maximum`(used: UInt64, maximum: UInt64) {
        let block = RAMBlock(name: "a", usedByteCount: used, maximumByteCount: maximum)
        let error = migrationError {
            _ = try GuestMemory(blocks: [block], maximumByteCount: 1 << 20)
        }
        #expect(error?.kind == .malformed)
    }

    @Test func `a guest without memory has no page`() throws {
        var memory = try GuestMemory(accepting: [], maximumByteCount: 0)
        expectFault { try memory.apply(record(.zero), [0]) }
    }

    // MARK: Records

    @Test func `a zero page clears what came before`() throws {
        var memory = try memory()
        var random = SeededRandom(seed: 1)
        try memory.apply(record(.plain), PageContents.random(using: &random))
        try memory.apply(record(.zero), [0])
        #expect(memory.bytes() == PageContents.zero)
    }

    @Test(arguments: [0, 1, 0x5a, 0xff] as [UInt8])
    func `a page is filled with any byte`(fill: UInt8) throws {
        var memory = try memory()
        try memory.apply(record(.zero), [fill])
        #expect(memory.bytes() == [UInt8](repeating: fill, count: pageByteCount))
        let received = [0, 4096].map { memory.isReceived(block: 0, offset: $0) }
        #expect(received == [true, false])
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `the last record of a page holds`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var memory = try memory(pages: 3)
        var expected = [[UInt8]](repeating: PageContents.zero, count: 3)
        var scratch = [UInt8](repeating: 0, count: pageByteCount)
        for _ in 0..<100 {
            let page = Int.random(in: 0..<3, using: &random)
            let offset = UInt64(page) * Self.page
            let isKnown = memory.isReceived(block: 0, offset: offset)
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                expected[page] = PageContents.zero
                try memory.apply(record(.zero, offset: offset), [0])
            case 1:
                expected[page] = PageContents.text(using: &random)
                try memory.apply(record(.plain, offset: offset), expected[page])
            case 2 where isKnown:
                let new = PageContents.changing(
                    expected[page], runs: 5, byteCount: 9, using: &random)
                let encoded = encode(old: expected[page], new: new, into: &scratch)
                guard case .delta(let count) = encoded else { continue }
                expected[page] = new
                try memory.apply(record(.delta, offset: offset), Array(scratch[..<count]))
            default:
                expected[page] = PageContents.text(using: &random)
                try memory.apply(record(.compressed, offset: offset), deflate(expected[page]))
            }
            #expect(memory.bytes(at: offset) == expected[page])
        }
    }

    @Test func `a delta against a page that was never sent is refused`() throws {
        var memory = try memory()
        expectFault("never sent") { try memory.apply(record(.delta), [0, 1, 7]) }
        try memory.apply(record(.zero), [0])
        try memory.apply(record(.delta), [0, 1, 7])
        #expect(memory.bytes() == [7] + PageContents.zero.dropLast())
    }

    @Test func `a zlib stream of less than a page leaves the rest`() throws {
        var memory = try memory()
        try memory.apply(record(.zero), [0x11])
        try memory.apply(record(.compressed), deflate([1, 2, 3]))
        #expect(memory.bytes() == [1, 2, 3] + [UInt8](repeating: 0x11, count: 4093))
    }

    @Test func `bytes behind a zlib stream are passed over`() throws {
        var memory = try memory()
        try memory.apply(record(.compressed), deflate(PageContents.zero) + [1, 2, 3])
        #expect(memory.bytes() == PageContents.zero)
    }

    @Test(arguments: 1...6)
    func `a zlib stream without its end is refused`(missing: Int) throws {
        var memory = try memory()
        let body = Array(try deflate(PageContents.zero).dropLast(missing))
        expectFault("cannot be decoded") { try memory.apply(record(.compressed), body) }
    }

    @Test func `a page after one that could not be decoded can`() throws {
        var memory = try memory()
        expectFault { try memory.apply(record(.compressed), [0x78, 0xda, 0xff]) }
        try memory.apply(record(.compressed), deflate([5]))
        #expect(memory.bytes()[0] == 5)
    }

    @Test(arguments: [.plain, .zero] as [PageKind], [0, 2, 4095, 4097])
    func `a body of another length is refused`(kind: PageKind, count: Int) throws {
        var memory = try memory()
        expectFault {
            try memory.apply(record(kind), [UInt8](repeating: 1, count: count))
        }
    }

    // MARK: Nothing else is written

    /// A block between two others, and records that aim at what lies around it.
    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func `MIG-11 nothing outside a named block is written`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var memory = try GuestMemory(
            blocks: [
                RAMBlock(name: "before", usedByteCount: 8192),
                RAMBlock(name: "named", usedByteCount: 8192, maximumByteCount: 16_384),
                RAMBlock(name: "behind", usedByteCount: 8192),
            ], maximumByteCount: 1 << 20)
        try memory.match([
            RAMBlockDescription(name: "before", usedByteCount: 8192),
            RAMBlockDescription(name: "named", usedByteCount: 12_288),
            RAMBlockDescription(name: "behind", usedByteCount: 8192),
        ])
        let guarding = PageContents.random(using: &random)
        for block in [0, 2] {
            for offset in [0, 4096] as [UInt64] {
                try memory.apply(record(.plain, block: block, offset: offset), guarding)
            }
        }
        let offsets: [UInt64] = [
            0, 4096, 8192, 12_288, 16_384, 1, 4095, 12_287, 0x7fff_ffff_ffff_f000,
            0x8000_0000_0000_0000, 0xffff_ffff_ffff_f000, 0xffff_ffff_ffff_e000,
        ]
        for _ in 0..<200 {
            let kind = PageKind.allCases[Int.random(in: 0..<4, using: &random)]
            let offset = offsets[Int.random(in: 0..<offsets.count, using: &random)]
            let body =
                switch Int.random(in: 0..<4, using: &random) {
                case 0: PageContents.random(using: &random)
                case 1: [UInt8(0xee)]
                case 2: [0xff, 0x1f, 0xff, 0x1f] + PageContents.random(using: &random)
                default: try deflate([UInt8](repeating: 3, count: 5000))
                }
            // Refused or not is the other tests' affair.
            try? memory.apply(record(kind, block: 1, offset: offset), body)
        }
        for block in [0, 2] {
            for offset in [0, 4096] as [UInt64] {
                #expect(memory.bytes(block: block, at: offset) == guarding)
            }
        }
    }

    @Test(
        arguments: [(-1, 0), (1, 0), (0, 16_384), (0, 1), (0, UInt64.max), (Int.max, 0)]
            as [(Int, UInt64)])
    func `MIG-11 a page that is not in a block is refused`(block: Int, offset: UInt64) throws {
        var memory = try memory()
        expectFault("outside") {
            try memory.apply(record(.zero, block: block, offset: offset), [1])
        }
    }

    @Test func `a page is lent only where it lies in its block`() async {
        await #expect(processExitsWith: .failure) {
            let memory = try GuestMemory(
                accepting: [RAMBlockDescription(name: "a", usedByteCount: 4096)],
                maximumByteCount: 4096)
            memory.withPage(block: 0, offset: 4096) { _ in }
        }
        await #expect(processExitsWith: .failure) {
            let memory = try GuestMemory(
                accepting: [RAMBlockDescription(name: "a", usedByteCount: 8192)],
                maximumByteCount: 8192)
            memory.withPage(block: 0, offset: 100) { _ in }
        }
        await #expect(processExitsWith: .failure) {
            let memory = try GuestMemory(
                accepting: [RAMBlockDescription(name: "a", usedByteCount: 4096)],
                maximumByteCount: 4096)
            _ = memory.isReceived(block: 0, offset: 4096)
        }
    }

    // MARK: Files

    @Test func `each block goes to a file of its own`() throws {
        let folder = try TemporaryFolder()
        var memory = try GuestMemory(
            blocks: [
                RAMBlock(name: "pc.ram", usedByteCount: 8192),
                RAMBlock(name: "/rom@etc/acpi", usedByteCount: 4096),
                RAMBlock(name: "empty", usedByteCount: 0),
            ], maximumByteCount: 1 << 20)
        try memory.apply(record(.zero, offset: 4096), [7])
        try memory.dump(to: folder.path)
        #expect(folder.names == ["_rom@etc_acpi", "pc.ram"])
        #expect(
            try folder.bytes("pc.ram")
                == PageContents.zero + [UInt8](repeating: 7, count: pageByteCount))
        #expect(try folder.bytes("_rom@etc_acpi") == PageContents.zero)
    }

    /// Names come from the stream, so they can be anything.
    @Test(arguments: [["a/b", "a_b"], ["."], [".."], ["a\0b"], ["fine", "same", "same"]])
    func `a name that cannot be a file's is refused before anything is written`(
        names: [String]
    ) throws {
        let folder = try TemporaryFolder()
        let memory = try GuestMemory(
            blocks: names.map { RAMBlock(name: $0, usedByteCount: 4096) },
            maximumByteCount: 1 << 20)
        #expect(migrationError { try memory.dump(to: folder.path) }?.kind == .malformed)
        #expect(folder.names == [])
    }

    // MARK: Helpers

    private func expectFault(
        _ text: String = "", _ body: () throws -> Void,
        at location: SourceLocation = #_sourceLocation
    ) {
        let error = migrationError(body)
        #expect(error?.kind == .malformed, sourceLocation: location)
        #expect(
            error?.description.contains(text) == true || text.isEmpty, sourceLocation: location)
        #expect(error?.streamOffset == 1234, sourceLocation: location)
    }

    private func deflate(_ bytes: [UInt8]) throws -> [UInt8] {
        let deflater = try #require(PageDeflaterBox())
        return deflater.deflate(bytes)
    }

    private func encode(
        old: [UInt8], new: [UInt8], into scratch: inout [UInt8]
    ) -> XBZRLE.Encoded {
        unsafe scratch.withUnsafeMutableBytes { bytes in
            var output = unsafe MutableRawSpan(_unsafeBytes: bytes)
            return XBZRLE.encode(
                old: unsafe old.span.bytes, new: unsafe new.span.bytes, into: &output)
        }
    }
}

/// A deflater that tests can hand around.
private final class PageDeflaterBox {
    private var deflater: PageDeflater

    init?() {
        guard let made = PageDeflater(level: 6) else { return nil }
        deflater = made
    }

    func deflate(_ bytes: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: 2 * pageByteCount)
        let count = unsafe output.withUnsafeMutableBytes { room in
            var span = unsafe MutableRawSpan(_unsafeBytes: room)
            return deflater.deflate(unsafe bytes.span.bytes, into: &span)
        }
        return Array(output[..<count])
    }
}

extension GuestMemory {
    /// The bytes of a page.
    borrowing func bytes(block: Int = 0, at offset: UInt64 = 0) -> [UInt8] {
        withPage(block: block, offset: offset) { [UInt8](copying: $0) }
    }

    /// Applies a record with an array as its body.
    mutating func apply(_ record: PageRecord, _ body: [UInt8]) throws(MigrationError) {
        try apply(record, unsafe body.span.bytes)
    }
}
