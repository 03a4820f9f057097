import RoostMemory
import RoostSystem
import Synchronization
import TestSupport
import Testing

@testable import RoostRouter

@Suite("Destination entries between threads")
struct DestinationThreadTests {
    @Test(
        "NET-2, NET-9: readers, holders and the processor race, and each entry ends once",
        arguments: [1, 2] as [UInt64])
    func race(seed: UInt64) async throws {
        let race = try DestinationRace()
        try await DedicatedThread.run(name: "processor") {
            try race.process(seed: seed)
        }
        #expect(race.mixtures.load(ordering: .relaxed) == 0)
        #expect(race.holds.load(ordering: .relaxed) > 1000)
        #expect(race.unfreed.load(ordering: .relaxed) == 0)
        #expect(race.ends.withLock { $0.values.allSatisfy { $0 == 1 } })
        #expect(race.ends.withLock { $0.count } == Int(race.made.load(ordering: .relaxed)))
    }
}

/// Entries that are published, found, held, replaced and destroyed by several threads.
///
/// Each entry's neighbour and gateway are its number: whoever finds it sees one number, and as long as it is held the
/// same one.
private final class DestinationRace: Sendable {
    static let workerCount = 2
    private static let slotCount = 16
    /// What each worker and the processor do at least, and as long as the others do.
    private static let batchCount = 3000
    private static let replacementCount = 6000

    /// Parents that packets find.
    private let slots: AtomicArray<UInt32>
    /// Of each parent its child.
    private let children: AtomicArray<UInt32>
    private let quiescence: Quiescence
    private let readers: [QuiescenceReader]
    private let finished = Atomic<Int>(0)
    private let replaced = Atomic<Int>(0)
    /// Entries that were seen as two.
    let mixtures = Atomic<Int>(0)
    /// References taken.
    let holds = Atomic<Int>(0)
    /// Entries made.
    let made = Atomic<UInt64>(0)
    /// Entries there were at the end.
    let unfreed = Atomic<Int>(-1)
    /// How often each number was destroyed.
    let ends = Mutex<[UInt64: Int]>([:])

    init() throws {
        let quiescence = try Quiescence(readerLimit: Self.workerCount)
        readers = try (0..<Self.workerCount).map { _ in try quiescence.makeReader() }
        self.quiescence = quiescence
        slots = try AtomicArray(count: Self.slotCount)
        children = try AtomicArray(count: 4096)
    }

    /// One worker: batches that look entries up, and references that outlive them.
    private func read(_ slab: DestinationSlab, worker: Int, seed: UInt64) {
        defer { finished.wrappingAdd(1, ordering: .releasing) }
        var random = SeededRandom(seed: seed)
        var held: [(token: HolderToken, handle: DestinationHandle, number: UInt64)] = []
        var batch = 0
        while batch < Self.batchCount || replaced.load(ordering: .acquiring) < Self.replacementCount
        {
            batch += 1
            quiescence.begin(readers[worker])
            for _ in 0..<4 {
                let parent = DestinationHandle(
                    rawValue: slots.acquire(Int.random(in: 0..<Self.slotCount, using: &random)))
                if parent.isNone { continue }
                let child = DestinationHandle(rawValue: children.acquire(parent.index))
                for handle in [parent, child] where !handle.isNone {
                    let number = slab.gateway(of: handle).low
                    if slab.link(of: handle).neighbour.rawValue != number { mix() }
                    slab.recordUse(of: handle, worker: worker, now: UInt64(batch))
                    guard Bool.random(using: &random), held.count < 24,
                        let token = slab.hold(
                            handle, kind: .session, owner: UInt64(worker), now: UInt64(batch))?
                            .token()
                    else { continue }
                    holds.wrappingAdd(1, ordering: .relaxed)
                    held.append((token, handle, number))
                }
            }
            quiescence.end(readers[worker])
            while held.count > Int.random(in: 0..<24, using: &random) {
                let (token, handle, number) = held.remove(
                    at: Int.random(in: 0..<held.count, using: &random))
                if slab.gateway(of: handle).low != number { mix() }
                slab.release(slab.reference(of: token))
            }
        }
        for (token, _, _) in held { slab.release(slab.reference(of: token)) }
    }

    private func mix() {
        mixtures.wrappingAdd(1, ordering: .relaxed)
    }

    /// The processor: starts the workers, replaces entries and collects, until the workers have finished and all is freed.
    func process(seed: UInt64) throws {
        var table = try Lab.table({ $0.entryCount = 4000 }, quiescence: quiescence)
        var random = SeededRandom(seed: seed)
        var operations = RecordedOperations()
        let clock = ManualClock()
        let published = table.slab
        for slot in 0..<Self.slotCount {
            slots.release(make(&table, &random, &operations).rawValue, at: slot)
        }
        for worker in 0..<Self.workerCount {
            let failure = DedicatedThread.start(name: "holder \(worker)") {
                self.read(published, worker: worker, seed: seed &* 100 &+ UInt64(worker))
            }
            if let failure { throw failure }
        }
        while finished.load(ordering: .acquiring) < Self.workerCount {
            let slot = Int.random(in: 0..<Self.slotCount, using: &random)
            let old = DestinationHandle(rawValue: slots.relaxed(slot))
            slots.release(make(&table, &random, &operations).rawValue, at: slot)
            if !old.isNone { table.retire(old, now: clock.now) }
            clock.now += 40
            _ = table.collect(clock: clock, operations: &operations)
            replaced.wrappingAdd(1, ordering: .releasing)
        }
        for slot in 0..<Self.slotCount {
            table.retire(DestinationHandle(rawValue: slots.relaxed(slot)), now: clock.now)
        }
        for entry in table.entries(limit: 4000) { table.retire(entry.id.handle, now: clock.now) }
        for _ in 0..<4 { table.settle(clock, &operations) }
        unfreed.store(table.count, ordering: .relaxed)
        ends.withLock { ends in
            for remains in operations.destroyed { ends[remains.gatewayLow, default: 0] += 1 }
        }
    }

    /// An entry, or two of which the one below belongs to the one above, or to a table of its own.
    private func make(
        _ table: inout DestinationTable, _ random: inout SeededRandom,
        _ operations: inout RecordedOperations
    ) -> DestinationHandle {
        var child = DestinationHandle.none
        if Bool.random(using: &random) {
            child = table.allocate(
                .ipv4, namespace: Lab.tenant, now: 0, operations: &operations)
            if !child.isNone { table.finish(child, as: nextContents(.isParentOwned)) }
        }
        let parent = table.allocate(
            .ipv4, namespace: Lab.tenant, now: 0, operations: &operations)
        if parent.isNone {
            table.retire(child, now: 0)
            return .none
        }
        if !child.isNone, !table.stack(parent, on: child, now: 0) {
            table.retire(child, now: 0)
            child = .none
        }
        table.finish(parent, as: nextContents([]))
        children.release(child.rawValue, at: parent.index)
        return parent
    }

    private func nextContents(_ flags: DestinationFlags) -> DestinationContents {
        let number = made.wrappingAdd(1, ordering: .relaxed).newValue
        var contents = Lab.contents(flags: flags, neighbour: UInt32(number))
        contents.gateway = (0, number)
        return contents
    }
}
