import RoostSystem
import Synchronization
import TestSupport
import Testing

@testable import RoostRouter

@Suite("The keyed index with readers")
struct KeyedIndexConcurrencyTests {
    /// What the threads of a test share.
    private final class Shared: Sendable {
        let index: KeyedIndex
        let isDone = Atomic<Bool>(false)
        /// How many lookups of readers are over, up to the goal.
        let lookups = Atomic<Int>(0)

        init(limit: Int) throws {
            index = try KeyedIndex(limit: limit)
        }
    }

    /// How many lookups each of the two readers does while few keys come and go.
    private static let goal = 20_000
    private static let stayers: Range<UInt64> = 0..<300
    private static let comers: Range<UInt64> = 1_000..<31_000

    private static func key(_ number: UInt64) -> IndexKey {
        // Alike in one half, so that a mixture of two keys would be a third's.
        IndexKey(scope: UInt32(number & 1), high: number / 2, low: number / 2)
    }

    /// Looks keys up until the writer is done, and answers what it saw that cannot be.
    private static func read(_ shared: Shared, seed: UInt64) -> (misses: Int, mistakes: Int) {
        var random = SeededRandom(seed: seed)
        var misses = 0
        var mistakes = 0
        var lookups = 0
        while !shared.isDone.load(ordering: .acquiring) {
            let stayer = UInt64.random(in: stayers, using: &random)
            let found = shared.index.find(key(stayer))
            if found == 0 { misses += 1 } else if UInt64(found) != stayer + 1 { mistakes += 1 }
            let comer = UInt64.random(in: comers, using: &random)
            let other = shared.index.find(key(comer))
            if other != 0 && UInt64(other) != comer + 1 { mistakes += 1 }
            if lookups < goal {
                lookups += 1
                shared.lookups.wrappingAdd(1, ordering: .relaxed)
            }
        }
        return (misses, mistakes)
    }

    @Test(
        "readers find what stays, and never another key's handle, while the table grows and churns",
        arguments: [UInt64(1), 2])
    func readers(seed: UInt64) async throws {
        let shared = try Shared(limit: 40_000)
        for number in Self.stayers {
            _ = shared.index.insert(Self.key(number), handle: UInt32(number + 1))
        }
        async let first = DedicatedThread.run(name: "reader 1") { Self.read(shared, seed: seed) }
        async let second = DedicatedThread.run(name: "reader 2") {
            Self.read(shared, seed: seed + 100)
        }
        try await DedicatedThread.run(name: "writer") {
            var random = SeededRandom(seed: seed)
            // Few come and go first, so that nodes are used again at once, then all come.
            while shared.lookups.load(ordering: .relaxed) < 2 * Self.goal {
                let number = Self.comers.lowerBound + UInt64.random(in: 0..<40, using: &random)
                if shared.index.insert(Self.key(number), handle: UInt32(number + 1)) != .inserted {
                    _ = shared.index.remove(Self.key(number))
                }
            }
            for number in Self.comers {
                _ = shared.index.insert(Self.key(number), handle: UInt32(number + 1))
                if number % 3 == 0 { _ = shared.index.remove(Self.key(number - 1)) }
            }
            shared.isDone.store(true, ordering: .releasing)
        }
        let seen = try await [first, second]
        #expect(seen.map(\.misses) == [0, 0])
        #expect(seen.map(\.mistakes) == [0, 0])
        #expect(shared.index.bucketCount > 3000)
    }
}
