import RoostMemory
import TestSupport
import Testing

@testable import RoostMigration

/// Digests that are kept up as pages pass.
@Suite(.timeLimit(.minutes(1))) struct MemoryDigestsTests {
    private static let list = [
        RAMBlockDescription(name: "pc.ram", usedByteCount: 5 << 20),
        RAMBlockDescription(name: "vga", usedByteCount: 8192),
        RAMBlockDescription(name: "empty", usedByteCount: 0),
        RAMBlockDescription(name: "rom", usedByteCount: 4096),
    ]

    private static func page(_ seed: UInt8) -> [UInt8] {
        (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(seed)) }
    }

    private static func digests(
        _ writes: [(block: Int, page: UInt64, seed: UInt8)], list: [RAMBlockDescription] = list
    ) throws -> Digest128 {
        var digests = try MemoryDigests(blocks: list)
        for write in writes { set(write, in: &digests) }
        return digests.root
    }

    private static func set(
        _ write: (block: Int, page: UInt64, seed: UInt8), in digests: inout MemoryDigests
    ) {
        digests.set(
            block: write.block, offset: write.page << 12, page: unsafe page(write.seed).span.bytes)
    }

    @Test(arguments: UInt64(0)..<20)
    func `what passed last counts, in any order`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var last: [UInt64: UInt8] = [:]
        var digests = try MemoryDigests(blocks: Self.list)
        for _ in 0..<400 {
            let place = UInt64.random(in: 0..<1280, using: &random)
            let seed = UInt8.random(in: 0...255, using: &random)
            last[place] = seed
            Self.set((0, place, seed), in: &digests)
        }
        let anew = try Self.digests(last.map { (0, $0.key, $0.value) })
        #expect(digests.root == anew)
    }

    @Test func `zeros count as what never passed`() throws {
        let nothing = try Self.digests([])
        var digests = try MemoryDigests(blocks: Self.list)
        Self.set((0, 7, 1), in: &digests)
        let something = digests.root
        #expect(something != nothing)
        digests.set(block: 0, offset: 7 << 12, fill: 0)
        let cleared = digests.root
        #expect(cleared == nothing)
        let zeros = [UInt8](repeating: 0, count: 4096)
        digests.set(block: 1, offset: 0, page: unsafe zeros.span.bytes)
        let zeroed = digests.root
        #expect(zeroed == nothing)
        let filled = [UInt8](repeating: 9, count: 4096)
        digests.set(block: 1, offset: 0, page: unsafe filled.span.bytes)
        let whole = digests.root
        digests.set(block: 1, offset: 0, fill: 9)
        let fill = digests.root
        #expect(whole == fill && whole != nothing)
    }

    @Test func `a bit, a place, a block and a length each change the root`() throws {
        let root = try Self.digests([(0, 3, 1), (0, 4, 2), (1, 0, 3)])
        #expect(try root != Self.digests([(0, 3, 2), (0, 4, 1), (1, 0, 3)]))
        #expect(try root != Self.digests([(0, 3, 1), (0, 5, 2), (1, 0, 3)]))
        #expect(try root != Self.digests([(0, 3, 1), (0, 4, 2), (1, 1, 3)]))
        #expect(try root != Self.digests([(0, 3, 1), (0, 4, 2), (3, 0, 3)]))
        var other = Self.list
        other[1] = RAMBlockDescription(name: "vga", usedByteCount: 4096)
        #expect(try root != Self.digests([(0, 3, 1), (0, 4, 2), (1, 0, 3)], list: other))
        var digests = try MemoryDigests(blocks: Self.list)
        for write in [(0, 3, 1), (0, 4, 2)] as [(Int, UInt64, UInt8)] {
            Self.set(write, in: &digests)
        }
        var page = Self.page(3)
        page[4095] ^= 1
        digests.set(block: 1, offset: 0, page: unsafe page.span.bytes)
        let flipped = digests.root
        #expect(flipped != root)
    }

    @Test func `what lies outside the blocks is passed over`() throws {
        let nothing = try Self.digests([])
        #expect(
            try nothing
                == Self.digests([(0, 1280, 1), (1, 2, 1), (2, 0, 1), (4, 0, 1), (-1, 0, 1)]))
        #expect(try nothing == Self.digests([(0, .max >> 12, 1)]))
    }

    @Test(arguments: [
        (0, UInt64(0), "pc.ram", UInt64(0), UInt64(2 << 20)),
        (0, 1279, "pc.ram", 4 << 20, 1 << 20), (1, 1, "vga", 0, 8192), (3, 0, "rom", 0, 4096),
    ])
    func `the range that differs is named`(
        block: Int, page: UInt64, name: String, offset: UInt64, byteCount: UInt64
    ) throws {
        let here = try MemoryDigests(blocks: Self.list)
        var there = try MemoryDigests(blocks: Self.list)
        Self.set((block, page, 5), in: &there)
        var found: [MemoryDigests.Difference] = []
        var position = 0
        // Two ranges a piece.
        while let piece = there.piece(at: &position, limit: 40) {
            if let one = try here.firstDifference(from: piece.bytes) { found.append(one) }
        }
        #expect(
            found == [MemoryDigests.Difference(block: name, offset: offset, byteCount: byteCount)])
    }

    @Test(
        arguments: [
            [], [0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 1],
            [UInt8](repeating: 0, count: 8 + 16 * 6), [0, 0, 0, 0, 0, 0, 0, 5],
            [UInt8](repeating: 0xff, count: 24),
        ] as [[UInt8]])
    func `sums that cannot be are refused`(bytes: [UInt8]) throws {
        let digests = try MemoryDigests(blocks: Self.list)
        let error = migrationError {
            _ = try digests.firstDifference(from: unsafe bytes.span.bytes)
        }
        #expect(error?.kind == .peer)
    }
}
