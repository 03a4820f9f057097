import RoostSystem
import Synchronization
import TestSupport
import Testing

@testable import RoostRouter

@Suite("Exceptions with readers")
struct ExceptionConcurrencyTests {
    /// What the threads of a test share.
    private final class Shared: Sendable {
        let slab: DestinationSlab
        let index: ExceptionIndex
        let quiescence: Quiescence
        let isDone = Atomic<Bool>(false)
        /// How many batches of readers found something.
        let fruitful = Atomic<Int>(0)

        init(_ rig: ExceptionRig) {
            slab = rig.table.slab
            index = rig.exceptions.index
            quiescence = rig.quiescence
        }
    }

    /// How many batches of both readers find something before the processor ends.
    private static let batchGoal = 2_000

    /// Whether an entry that a reader found says one thing, and an exception's.
    private static func isWhole(_ entry: DestinationHandle, _ slab: DestinationSlab) -> Bool {
        let word = slab.word(of: entry)
        let link = slab.link(of: entry)
        let gateway = slab.gateway(of: entry)
        let isAnswering = word.output == .answerError
        return word.flags.contains(.isException) && word.namespace == ExceptionRig.first
            && word.port == PortIndex(rawValue: 11)
            && isAnswering == (word.error == .hostUnreachable)
            && (link.pathMTU == 0 || (1300..<1500).contains(link.pathMTU))
            && gateway.low
                == (link.neighbour.isNone ? 0x0A00_0001 : UInt64(link.neighbour.rawValue))
    }

    /// Looks destinations up in batches until the processor is done.
    ///
    /// - Returns: How many exceptions it found, and how many of them were of parts that do not belong
    ///   together.
    private static func read(
        _ shared: Shared, nextHop: DestinationHandle, reader: QuiescenceReader, seed: UInt64
    ) -> (found: Int, mistakes: Int) {
        var random = SeededRandom(seed: seed)
        var found = 0
        var mistakes = 0
        var batches = 0
        while !shared.isDone.load(ordering: .acquiring) {
            let before = found
            shared.quiescence.begin(reader)
            for _ in 0..<32 {
                let entry = shared.index.find(
                    nextHop: nextHop, high: 0, low: UInt64.random(in: 0..<50, using: &random),
                    namespace: ExceptionRig.first)
                guard !entry.isNone else { continue }
                found += 1
                if !isWhole(entry, shared.slab) { mistakes += 1 }
            }
            shared.quiescence.end(reader)
            // Each reader counts up to its half, so that both have read when all are counted.
            if found > before && batches < batchGoal / 2 {
                batches += 1
                shared.fruitful.wrappingAdd(1, ordering: .relaxed)
            }
        }
        return (found, mistakes)
    }

    @Test(
        "an exception found in a batch is whole to its end, whatever the processor does",
        arguments: [UInt64(1), 2])
    func readers(seed: UInt64) async throws {
        let rig = try ExceptionRig(perNextHop: 30, entries: 500)
        let nextHop = rig.nextHop(isOnLink: true)
        let shared = Shared(rig)
        let first = try rig.quiescence.makeReader()
        let second = try rig.quiescence.makeReader()
        async let one = DedicatedThread.run(name: "reader 1") {
            Self.read(shared, nextHop: nextHop, reader: first, seed: seed)
        }
        async let two = DedicatedThread.run(name: "reader 2") {
            Self.read(shared, nextHop: nextHop, reader: second, seed: seed + 100)
        }
        try await DedicatedThread.run(name: "processor") {
            var random = SeededRandom(seed: seed)
            var step = 0
            while step < 10_000 || shared.fruitful.load(ordering: .relaxed) < Self.batchGoal {
                step += 1
                let place = ExceptionPlace(nextHop, UInt32.random(in: 0..<50, using: &random))
                switch Int.random(in: 0..<8, using: &random) {
                case 0...2:
                    _ = rig.learnMTU(UInt32.random(in: 1300..<1500, using: &random), of: place)
                case 3, 4:
                    let neighbour = UInt32.random(in: 1...9, using: &random)
                    _ = rig.learnRedirect(to: UInt64(neighbour), neighbour: neighbour, of: place)
                case 5: _ = rig.learnFailure(of: place)
                case 6: rig.wait(UInt64.random(in: 0..<20_000, using: &random))
                default: if step % 4 == 0 { rig.collectAhead() }
                }
            }
            shared.isDone.store(true, ordering: .releasing)
        }
        let seen = try await [one, two]
        #expect(seen.map(\.mistakes) == [0, 0])
        #expect(seen.allSatisfy { $0.found > 0 })
    }
}
