import RoostMemory
import StreamSupport
import SystemPackage
import TestSupport
import Testing

@testable import RoostMigration

/// The cache of what the destination holds (MIG-4).
@Suite struct PageCacheTests {
    @Test(
        arguments: [
            (4096, 4096), (4097, 4096), (8191, 4096), (8192, 8192), (12_288, 8192),
            (1 << 20, 1 << 20), ((1 << 21) - 1, 1 << 20), (64 << 20, 64 << 20),
        ])
    func `a size is rounded down to a power of two`(wanted: Int, made: Int) throws {
        let cache = try PageCache(byteCount: wanted)
        #expect(cache.byteCount == made)
        #expect(cache.slotCount == made / 4096)
    }

    @Test(arguments: [Int.min, -1, 0, 1, 4095])
    func `less than a page is refused`(wanted: Int) throws {
        let failure = #expect(throws: MigrationError.self) {
            _ = try PageCache(byteCount: wanted)
        }
        #expect(failure?.kind == .limit)
        var cache = try PageCache(byteCount: 4096)
        let resizing = #expect(throws: MigrationError.self) {
            try cache.resize(toByteCount: wanted)
        }
        #expect(resizing?.kind == .limit)
        #expect(cache.slotCount == 1)
    }

    @Test func `a page is found with its content after it was inserted`() throws {
        var cache = try PageCache(byteCount: 4 * 4096)
        #expect(cache.slot(of: 6, round: 1) == nil)
        #expect(cache.keep(6, filled: 9, round: 1) == true)
        #expect(cache.slot(of: 6, round: 1) == 2)
        #expect(cache.fill(of: 2) == 9)
        #expect(cache.slot(of: 2, round: 1) == nil)
        #expect(cache.slot(of: 10, round: 1) == nil)
    }

    @Test func `page 0 is not in an empty cache`() throws {
        var cache = try PageCache(byteCount: 4096)
        #expect(cache.slot(of: 0, round: 1) == nil)
        #expect(cache.keep(0, filled: 1, round: 1) == true)
        #expect(cache.slot(of: 0, round: 1) == 0)
    }

    /// QEMU: `age + 2 > current` keeps the slot.
    @Test(arguments: [(5, 5, false), (5, 6, false), (5, 7, true), (5, 8, true), (0, 1, false)])
    func `a slot keeps its page for this round and the next`(
        touched: UInt64, now: UInt64, gives: Bool
    ) throws {
        var cache = try PageCache(byteCount: 4096)
        #expect(cache.keep(1, filled: 1, round: touched) == true)
        #expect(cache.keep(2, filled: 2, round: now) == gives)
        #expect((cache.slot(of: 2, round: now) != nil) == gives)
        #expect((cache.slot(of: 1, round: now) == nil) == gives)
        #expect(cache.fill(of: 0) == (gives ? 2 : 1))
    }

    @Test func `a hit makes a slot young again`() throws {
        var cache = try PageCache(byteCount: 4096)
        #expect(cache.keep(1, filled: 1, round: 1) == true)
        #expect(cache.slot(of: 1, round: 4) == 0)
        #expect(cache.keep(2, filled: 2, round: 5) == false)
        #expect(cache.keep(2, filled: 2, round: 6) == true)
    }

    @Test func `a miss does not make a slot young`() throws {
        var cache = try PageCache(byteCount: 4096)
        #expect(cache.keep(1, filled: 1, round: 1) == true)
        #expect(cache.slot(of: 2, round: 2) == nil)
        #expect(cache.keep(2, filled: 2, round: 3) == true)
    }

    @Test func `a zeroed page is held as zeros`() throws {
        var cache = try PageCache(byteCount: 4096)
        #expect(cache.keep(1, filled: 7, round: 1) == true)
        cache.zeroed(1, round: 2)
        #expect(cache.slot(of: 1, round: 2) == 0)
        #expect(cache.fill(of: 0) == 0)
        cache.zeroed(3, round: 2)
        #expect(cache.slot(of: 3, round: 2) == nil)
        cache.zeroed(3, round: 4)
        #expect(cache.slot(of: 3, round: 4) == 0)
        #expect(cache.fill(of: 0) == 0)
    }

    @Test func `resizing to the same number of slots changes nothing`() throws {
        var cache = try PageCache(byteCount: 8192)
        #expect(cache.keep(1, filled: 7, round: 1) == true)
        try cache.resize(toByteCount: 12_287)
        #expect(cache.slot(of: 1, round: 1) == 1)
        #expect(cache.fill(of: 1) == 7)
    }

    @Test(arguments: [4096, 16_384])
    func `resizing starts an empty cache`(byteCount: Int) throws {
        var cache = try PageCache(byteCount: 8192)
        #expect(cache.keep(0, filled: 7, round: 1) == true)
        try cache.resize(toByteCount: byteCount)
        #expect(cache.byteCount == byteCount)
        #expect(cache.slot(of: 0, round: 1) == nil)
    }

    @Test(arguments: [1 << 47, 1 << 62, Int.max])
    func `a size without memory keeps the old cache`(byteCount: Int) throws {
        var cache = try PageCache(byteCount: 8192)
        #expect(cache.keep(1, filled: 7, round: 1) == true)
        let failure = #expect(throws: MigrationError.self) {
            try cache.resize(toByteCount: byteCount)
        }
        #expect(failure?.kind == .transfer)
        #expect(failure?.errno == .noMemory)
        #expect(cache.byteCount == 8192)
        #expect(cache.slot(of: 1, round: 1) == 1)
        #expect(cache.fill(of: 1) == 7)
    }

    /// Against a dictionary from slots to what they hold.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func `any operations come to what a dictionary holds`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var slots = 8
        var cache = try PageCache(byteCount: slots * 4096)
        var model: [Int: (page: Int, age: UInt64, fill: UInt8)] = [:]
        var round: UInt64 = 1
        for step in 0..<2000 {
            let page = Int.random(in: 0..<40, using: &random)
            let place = page % slots
            let isHit = model[place]?.page == page
            let isKept = model[place].map { !isHit && $0.age + 2 > round } ?? false
            let fill = UInt8(truncatingIfNeeded: step)
            switch Int.random(in: 0..<20, using: &random) {
            case 0:
                slots = 1 << Int.random(in: 0..<5, using: &random)
                let before = cache.slotCount
                try cache.resize(toByteCount: slots * 4096 + 4095)
                if slots != before { model = [:] }
            case 1...3: round += 1
            case 4...8:
                let slot = cache.slot(of: page, round: round)
                #expect(slot == (isHit ? place : nil))
                guard let slot else { break }
                #expect(cache.fill(of: slot) == model[place]?.fill)
                model[place]?.age = round
            case 9...11:
                cache.zeroed(page, round: round)
                if !isKept { model[place] = (page, round, 0) }
            default:
                #expect(cache.keep(page, filled: fill, round: round) == !isKept)
                if !isKept { model[place] = (page, round, fill) }
            }
        }
        for (place, held) in model {
            #expect(cache.slot(of: held.page, round: round) == place)
            #expect(cache.fill(of: place) == held.fill)
        }
    }
}

extension PageCache {
    /// Inserts a page of one byte, and answers whether it is held.
    fileprivate mutating func keep(_ page: Int, filled byte: UInt8, round: UInt64) -> Bool {
        let bytes = [UInt8](repeating: byte, count: pageByteCount)
        return insert(page, unsafe bytes.span.bytes, round: round) != nil
    }

    /// The byte that fills a slot, or `nil` when it is not one byte.
    fileprivate func fill(of slot: Int) -> UInt8? {
        withContent(of: slot) { content in
            let bytes = [UInt8](copying: content)
            return bytes.allSatisfy { $0 == bytes[0] } ? bytes[0] : nil
        }
    }
}
