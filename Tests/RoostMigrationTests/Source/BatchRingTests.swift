import RoostSystem
import Synchronization
import SystemPackage
import Testing

@testable import RoostMigration

/// Work goes to threads and comes back in order.
@Suite(.timeLimit(.minutes(1))) struct BatchRingTests {
    /// A number that a worker squares.
    private final class Number: Sendable {
        let value = Atomic<Int>(0)
    }

    private func ring(
        workers: Int, each: Int, name: String = "ring", starter: ThreadStarter = .system
    ) throws -> BatchRing<Number> {
        var ring = try BatchRing<Number>(workerCount: workers, batchesPerWorker: each) { Number() }
        let work: @Sendable (Number) -> Void = { number in
            let value = number.value.load(ordering: .relaxed)
            number.value.store(value * value, ordering: .relaxed)
        }
        try ring.start(
            name: name, starter: starter, work: Array(repeating: work, count: workers))
        return ring
    }

    @Test(arguments: [1, 2, 3, 4], [1, 2, 3])
    func `batches come back in the order they were filled`(workers: Int, each: Int) throws {
        var ring = try ring(workers: workers, each: each)
        var taken: [Int] = []
        for number in 0..<200 {
            if ring.isFull {
                let batch = ring.takeOldest(waits: true)
                taken.append(try #require(batch).value.load(ordering: .relaxed))
                ring.release()
            }
            ring.current.value.store(number, ordering: .relaxed)
            ring.submit()
        }
        #expect(ring.inFlight == workers * each)
        while let batch = ring.takeOldest(waits: true) {
            taken.append(batch.value.load(ordering: .relaxed))
            ring.release()
        }
        #expect(taken == (0..<200).map { $0 * $0 })
        ring.stop()
    }

    @Test func `a batch that is not released stays the oldest`() throws {
        var ring = try ring(workers: 1, each: 2)
        ring.current.value.store(3, ordering: .relaxed)
        ring.submit()
        #expect(ring.takeOldest(waits: true)?.value.load(ordering: .relaxed) == 9)
        #expect(ring.takeOldest(waits: false)?.value.load(ordering: .relaxed) == 9)
        ring.release()
        let isEmpty = ring.takeOldest(waits: true) == nil
        #expect(isEmpty)
    }

    @Test(arguments: [true, false])
    func `threads end with the ring, even with work in flight`(stops: Bool) throws {
        do {
            var ring = try ring(workers: 3, each: 2, name: "leak\(stops ? "A" : "B")")
            #expect(
                ProcessState.soon { ProcessState.threads("leak\(stops ? "A" : "B")").count == 3 })
            for _ in 0..<4 { ring.submit() }
            if stops {
                ring.stop()
                ring.stop()
            }
        }
        #expect(ProcessState.soon { ProcessState.threads("leak\(stops ? "A" : "B")").isEmpty })
    }

    @Test(arguments: 0..<4)
    func `a thread that cannot be started ends those before it`(failing: Int) throws {
        let counter = ThreadCounter(failing: failing)
        let failure = #expect(throws: MigrationError.self) {
            _ = try ring(workers: 4, each: 1, starter: counter.starter)
        }
        #expect(failure?.kind == .transfer)
        #expect(failure?.errno == .resourceTemporarilyUnavailable)
        #expect(counter.startedCount == failing)
        #expect(counter.isQuietSoon)
    }
}
