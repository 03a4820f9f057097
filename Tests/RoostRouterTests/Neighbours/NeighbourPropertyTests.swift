@testable import RoostRouter
import Testing
import TestSupport

@Suite("Neighbours at random")
struct NeighbourPropertyTests {
    private typealias Bench = NeighbourBench

    @Test(
        "any events keep the table's promises, and each packet comes back exactly once",
        arguments: 1...12 as ClosedRange<UInt64>)
    func invariants(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var limits = Bench.small
        limits.unresolvedPerPort = 8
        limits.entriesPerPort = 24
        var bench = try Bench(limits: limits)
        var held: [NeighbourHandle] = []
        var excused: Set<NeighbourKey> = []
        var given: UInt64 = 0
        var returned: [UInt64: Int] = [:]
        for _ in 0..<4_000 {
            let port = Bool.random(using: &random) ? Bench.port : Bench.other
            let number = Int.random(in: 1...40, using: &random)
            let key = Bench.key(number, port: port)
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<7:
                given += 1
                _ = bench.send(key, 1, context: given)
            case 7..<9: bench.answer(key, Bench.link(Int.random(in: 1...3, using: &random)))
            case 9:
                bench.table.learned(key, link: Bench.link(number), now: bench.now, &bench.sink)
            case 10: bench.table.confirm(bench.table.view.find(key), now: bench.now, &bench.sink)
            case 11..<14:
                bench.advance(milliseconds: UInt64.random(in: 1...2_000, using: &random))
            case 14: bench.advance(milliseconds: UInt64.random(in: 1...60_000, using: &random))
            case 15:
                let found = bench.table.view.find(key)
                if bench.word(key).needsConfirmation { bench.table.view.noteUse(found) }
            case 16:
                let handle = bench.table.acquire(key, &bench.sink)
                if !handle.isNone { held.append(handle) }
            case 17:
                guard let index = held.indices.randomElement(using: &random) else { continue }
                let handle = held.remove(at: index)
                excused.insert(bench.table.key(of: handle))
                bench.table.release(handle)
            case 18 where Int.random(in: 0..<8, using: &random) == 0:
                bench.table.portDown(port, &bench.sink)
            case 19 where Int.random(in: 0..<16, using: &random) == 0:
                bench.table.removePort(port, &bench.sink)
                let isFirst = port == Bench.port
                bench.table.addPort(
                    port, namespace: isFirst ? Bench.namespace : Bench.otherNamespace,
                    loopback: isFirst ? Bench.loopback : Bench.otherLoopback)
            default: _ = bench.table.remove(key, &bench.sink)
            }
            note(bench.taken(), in: &returned)
            let violation = violation(in: bench, excused: excused)
            try #require(violation == nil)
        }
        for handle in held { bench.table.release(handle) }
        bench.table.removePort(Bench.port, &bench.sink)
        bench.table.removePort(Bench.other, &bench.sink)
        note(bench.taken(), in: &returned)
        #expect(returned.count == Int(given))
        #expect(returned.values.allSatisfy { $0 == 1 })
        #expect(bench.table.rows(of: nil, limit: 1).total == 0)
        for namespace in [Bench.namespace, Bench.otherNamespace] {
            var empty = NeighbourUsage()
            empty.refusedEntries = bench.table.usage(of: namespace).refusedEntries
            empty.refusedFrames = bench.table.usage(of: namespace).refusedFrames
            #expect(bench.table.usage(of: namespace) == empty)
        }
    }

    private func note(_ entries: [NeighbourRecorder.Entry], in returned: inout [UInt64: Int]) {
        for entry in entries {
            switch entry {
            case .solicit: break
            case .transmit(_, let context, _, _), .unreachable(_, let context, _),
                .dropped(let context, _):
                if context != 0 { returned[context, default: 0] += 1 }
            }
        }
    }

    /// What does not hold; nil when all does.
    private func violation(
        in bench: borrowing NeighbourBench, excused: Set<NeighbourKey>
    ) -> String? {
        let rows = bench.table.rows(of: nil, limit: 1_000).rows
        for row in rows {
            let state = bench.table.state(of: row.handle)
            let word = bench.table.view.word(row.handle)
            let holds =
                row.queued <= 3 && (row.queued == 0 || row.phase == .incomplete)
                && word.isUsable == (row.phase.isUsable && !row.isDead)
                && word.isDead == row.isDead && (!word.isUsable || word.mac == state.link)
                && word.needsConfirmation == (row.phase == .stale)
                && row.phase.isTimed == (state.deadline != 0)
                && (!row.isDead || row.holders > 0)
                && (row.isDead || bench.table.view.find(row.key) == row.handle)
            if !holds { return "\(row)" }
        }
        for (namespace, port) in [
            (NeighbourBench.namespace, NeighbourBench.port),
            (NeighbourBench.otherNamespace, NeighbourBench.other),
        ] {
            let usage = bench.table.usage(of: namespace)
            let mine = rows.filter { $0.namespace == namespace }
            let unresolved = mine.filter { $0.phase == .incomplete }
            // Those that are held, or were when they were asked for, are beyond the limit.
            let asked = mine.filter {
                $0.phase == .incomplete && $0.holders == 0 && !excused.contains($0.key)
            }
            let holds =
                usage.entries == mine.count && usage.asked == unresolved.count
                && usage.frames == mine.reduce(0) { $0 + $1.queued }
                && mine.filter { $0.key.port == port }.count <= 24 && asked.count <= 8
            if !holds { return "\(usage), \(mine.count), \(unresolved.count), \(asked.count)" }
        }
        return nil
    }
}
