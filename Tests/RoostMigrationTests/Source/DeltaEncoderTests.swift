import RoostMemory
import StreamSupport
import TestSupport
import Testing

@testable import RoostMigration

/// How a page travels while XBZRLE is on (MIG-4).
@Suite struct DeltaEncoderTests {
    private static let ones = [UInt8](repeating: 1, count: pageByteCount)
    private static let twos = [UInt8](repeating: 2, count: pageByteCount)

    private static func changed(_ page: [UInt8], at offset: Int) -> [UInt8] {
        var changed = page
        changed[offset] ^= 0xff
        return changed
    }

    @Test func `a page the cache lacks goes whole and is kept`() throws {
        var rig = try Rig()
        #expect(rig.encode(Self.ones) == .miss(isKept: true))
        #expect(rig.sent == Rig.plain(Self.ones))
        #expect(rig.encode(Self.ones) == .skipped)
        #expect(rig.sent == [])
    }

    @Test func `a page whose slot is taken goes whole and is not kept`() throws {
        var rig = try Rig(cacheByteCount: 4096)
        #expect(rig.encode(Self.ones, page: 0) == .miss(isKept: true))
        #expect(rig.encode(Self.twos, page: 1) == .miss(isKept: false))
        #expect(rig.sent == Rig.plain(Self.twos))
        #expect(rig.encode(Self.twos, page: 1) == .miss(isKept: false))
        #expect(rig.encode(Self.ones, page: 0) == .skipped)
    }

    @Test func `a changed page goes as a delta, and the next is made against it`() throws {
        var rig = try Rig()
        _ = rig.encode(Self.ones)
        let second = Self.changed(Self.ones, at: 7)
        #expect(rig.encode(second) == .delta)
        #expect(rig.sent == Rig.delta([7, 1, 0xfe]))
        let third = Self.changed(second, at: 9)
        #expect(rig.encode(third) == .delta)
        #expect(rig.sent == Rig.delta([9, 1, 0xfe]))
    }

    @Test func `a page that overflows goes whole and becomes the base`() throws {
        var rig = try Rig()
        _ = rig.encode(Self.ones)
        #expect(rig.encode(Self.twos) == .overflow)
        #expect(rig.sent == Rig.plain(Self.twos))
        #expect(rig.encode(Self.twos) == .skipped)
    }

    @Test func `a zeroed page is the base of the next delta`() throws {
        var rig = try Rig()
        _ = rig.encode(Self.ones)
        rig.encoder.cache.zeroed(0, round: 1)
        #expect(rig.encode(Self.changed(PageContents.zero, at: 1)) == .delta)
        #expect(rig.sent == Rig.delta([1, 1, 0xff]))
    }

    @Test func `the last round neither fills nor updates the cache`() throws {
        var rig = try Rig()
        _ = rig.encode(Self.ones, page: 0)
        #expect(rig.encode(Self.twos, page: 1, isLastRound: true) == .miss(isKept: false))
        #expect(rig.sent == Rig.plain(Self.twos))
        #expect(rig.encode(Self.changed(Self.ones, at: 7), page: 0, isLastRound: true) == .delta)
        #expect(rig.sent == Rig.delta([7, 1, 0xfe]))
        #expect(rig.encode(Self.twos, page: 0, isLastRound: true) == .overflow)
        #expect(rig.sent == Rig.plain(Self.twos))
        #expect(rig.encode(Self.ones, page: 0, isLastRound: true) == .skipped)
        #expect(rig.encode(Self.twos, page: 1) == .miss(isKept: true))
    }

    @Test(
        arguments: [
            (.qemu72, 4, UInt64(3 + 3) + 4096),
            (.qemu2015, 1, UInt64(8 + 3 + 3)),
        ] as [(MigrationDialect, UInt64, UInt64)])
    func `each dialect counts in its way`(
        dialect: MigrationDialect, pages: UInt64, bytes: UInt64
    ) throws {
        var rig = try Rig(dialect: dialect)
        _ = rig.encode(Self.ones)
        _ = rig.encode(Self.ones)
        _ = rig.encode(Self.changed(Self.ones, at: 7))
        _ = rig.encode(Self.twos)
        _ = rig.encode(Self.twos)
        let counters = rig.encoder.counters
        #expect(counters.pages == pages)
        #expect(counters.bytes == bytes)
        #expect(counters.misses == 1)
        #expect(counters.overflows == 1)
        #expect(counters.skipped == 2)
        #expect(counters.deltas == 1)
    }

    /// Whatever is encoded, a destination that applies what was sent holds the same pages.
    @Test(arguments: 0..<10 as Range<UInt64>)
    func `a destination ends with the same pages`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var rig = try Rig(cacheByteCount: 4 * 4096)
        var pages = (0..<10).map { _ in PageContents.random(using: &random) }
        var memory = try GuestMemory(
            accepting: [RAMBlockDescription(name: "a", usedByteCount: 10 * 4096)],
            maximumByteCount: 1 << 20)
        var reached: Set<String> = []
        for step in 0..<400 {
            // In the last round each page comes once.
            let page = step < 390 ? Int.random(in: 0..<10, using: &random) : step - 390
            let (runs, byteCount) = [(0, 8), (1, 8), (20, 8), (1, 4096)][
                Int.random(in: 0..<4, using: &random)]
            pages[page] = PageContents.changing(
                pages[page], runs: runs, byteCount: byteCount, using: &random)
            let outcome = rig.encode(
                pages[page], page: page, round: UInt64(step / 20), isLastRound: step >= 390)
            reached.insert("\(outcome)")
            if let record = rig.record(page) {
                try memory.apply(record, unsafe rig.body.span.bytes)
            }
            memory.withPage(block: 0, offset: UInt64(page * 4096)) {
                let isSame = [UInt8](copying: $0) == pages[page]
                #expect(isSame, "page \(page) at step \(step)")
            }
        }
        #expect(reached.count == 5)
    }
}

/// An encoder and what it wrote last; every record is of the block that the one before was of.
private struct Rig: ~Copyable {
    var encoder: DeltaEncoder
    private var writer = StreamWriter()
    private(set) var sent: [UInt8] = []

    init(cacheByteCount: Int = 1 << 20, dialect: MigrationDialect = .standard) throws {
        encoder = try DeltaEncoder(cacheByteCount: cacheByteCount, dialect: dialect)
        writer.blocks([RAMBlockDescription(name: "a", usedByteCount: 1 << 20)]) { _ in }
        writer.zeroPage(block: 0, offset: 0)
        writer.output.removeAll()
    }

    mutating func encode(
        _ live: [UInt8], page: Int = 0, round: UInt64 = 1, isLastRound: Bool = false
    ) -> DeltaEncoder.Outcome {
        let outcome = encoder.encode(
            unsafe live.span.bytes, page: page, block: 0, offset: 0, round: round,
            isLastRound: isLastRound, into: &writer)
        sent = [UInt8](copying: writer.output.bytes)
        writer.output.removeAll()
        return outcome
    }

    /// A record's word without its offset, and its body.
    static func plain(_ page: [UInt8]) -> [UInt8] { [0, 0, 0, 0, 0, 0, 0, 0x28] + page }
    static func delta(_ delta: [UInt8]) -> [UInt8] {
        [0, 0, 0, 0, 0, 0, 0, 0x60, 1, 0, UInt8(delta.count)] + delta
    }

    /// What was sent, as a reader would see it; `nil` when nothing was.
    func record(_ page: Int) -> PageRecord? {
        guard !sent.isEmpty else { return nil }
        return PageRecord(
            kind: sent[7] == 0x60 ? .delta : .plain, block: 0, offset: UInt64(page * 4096),
            streamOffset: 0, byteCount: sent.count)
    }
    var body: [UInt8] { Array(sent.dropFirst(sent[7] == 0x60 ? 11 : 8)) }
}
