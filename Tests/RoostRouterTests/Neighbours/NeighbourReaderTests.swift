@testable import RoostRouter
import RoostSystem
import Synchronization
import Testing
import TestSupport

@Suite("Readers of neighbours")
struct NeighbourReaderTests {
    private typealias Bench = NeighbourBench

    @Test(
        "workers that read while the table changes see an address of that neighbour, or none",
        arguments: [1, 2])
    func readers(seed: UInt64) throws {
        var bench = try Bench()
        let view = bench.table.view
        let quiescence = bench.quiescence
        let state = try ReaderState()
        for number in 0..<2 as Range<UInt64> {
            let reader = try quiescence.makeReader()
            let refused = DedicatedThread.start(name: "reader") {
                Self.read(view, quiescence, reader, state, seed: seed + number * 100)
            }
            try #require(refused == nil)
        }
        for _ in 0..<2 { state.moved.wait() }
        var random = SeededRandom(seed: seed)
        // Each neighbour's addresses name it, so that a reader can tell another's.
        for round in 0..<20_000 {
            let number = Int.random(in: 1...16, using: &random)
            let key = Bench.key(number)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: _ = bench.table.remove(key, &bench.sink)
            case 1...3:
                _ = bench.send(key, 1)
                let version = Int.random(in: 0..<8, using: &random)
                bench.now += 1_001
                bench.answer(key, Bench.link(number * 8 + version))
            case 4: _ = bench.table.tick(now: bench.now, &bench.sink)
            default: bench.now += 5_000
            }
            if round % 256 == 0 { _ = bench.taken() }
        }
        state.stop()
        for _ in 0..<2 { state.moved.wait() }
        #expect(state.wrong == 0)
        #expect(state.found > 0)
    }

    private static func read(
        _ view: NeighbourView, _ quiescence: Quiescence, _ reader: QuiescenceReader,
        _ state: ReaderState, seed: UInt64
    ) {
        state.moved.signal()
        var random = SeededRandom(seed: seed)
        var found = 0
        var wrong = 0
        while !state.isStopped {
            quiescence.begin(reader)
            for _ in 0..<32 {
                let number = Int.random(in: 1...16, using: &random)
                let handle = view.find(Bench.key(number))
                let word = view.word(handle)
                guard word.isUsable else { continue }
                found += 1
                let low = Int(word.mac.rawValue & 0xFFFF_FFFF)
                if low / 8 != number { wrong += 1 }
                if word.needsConfirmation { view.noteUse(handle) }
            }
            quiescence.end(reader)
        }
        state.add(found: found, wrong: wrong)
        state.moved.signal()
    }

    @Test(
        "each use is noted once however many workers note it, and taken once",
        arguments: [1, 63, 64, 65, 200])
    func uses(number: UInt32) throws {
        let view = try NeighbourView(limit: 256)
        let handle = NeighbourHandle(rawValue: number)
        for _ in 0..<3 { view.noteUse(handle) }
        let words = (0...4).map { view.takeUses(at: $0) }
        #expect(words.map(\.nonzeroBitCount).reduce(0, +) == 1)
        #expect(words[Int(number) / 64] == 1 << UInt64(number % 64))
        #expect((0...4).allSatisfy { view.takeUses(at: $0) == 0 })
    }
}

/// What readers and their test tell each other.
private final class ReaderState: Sendable {
    /// Signalled by each reader when it begins and when it has ended.
    let moved: Semaphore
    private let stopped = Atomic<Bool>(false)
    private let foundCount = Atomic<Int>(0)
    private let wrongCount = Atomic<Int>(0)

    init() throws {
        moved = try Semaphore()
    }

    var isStopped: Bool { stopped.load(ordering: .acquiring) }
    var found: Int { foundCount.load(ordering: .acquiring) }
    var wrong: Int { wrongCount.load(ordering: .acquiring) }

    func stop() { stopped.store(true, ordering: .releasing) }

    func add(found: Int, wrong: Int) {
        foundCount.add(found, ordering: .acquiringAndReleasing)
        wrongCount.add(wrong, ordering: .acquiringAndReleasing)
    }
}
