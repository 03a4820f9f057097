import RoostHypervisor
import TestSupport
import Testing

@testable import RoostBlock

@Suite("The index of grants, and the runs of pages")
struct GrantIndexTests {
    @Test("BLK-6: the index answers as a dictionary does", arguments: 0..<32)
    func indexAnswersAsADictionary(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let limit = [1, 2, 11, 352][seed % 4]
        var index = try GrantIndex.make(limit: limit, seed: random.next())
        var model: [UInt32: Int] = [:]
        // Few references, so that they come, go and come again; near both ends of their range.
        let references = (0..<2 * UInt32(limit) + 2).map {
            $0 % 2 == 0 ? $0 / 2 : UInt32.max - $0 / 2
        }
        for _ in 0..<5000 {
            let reference = try #require(references.randomElement(using: &random))
            if model[reference] != nil, Bool.random(using: &random) {
                index.remove(reference)
                model[reference] = nil
            } else if model[reference] == nil, model.count < limit {
                let value = Int.random(in: 0..<Int(Int32.max), using: &random)
                index.insert(reference, value)
                model[reference] = value
            } else if model[reference] == nil {
                index.remove(reference)
            }
            let probe = try #require(references.randomElement(using: &random))
            holds(index.find(probe) == model[probe])
            holds(index.count == model.count)
        }
        for reference in references { holds(index.find(reference) == model[reference]) }
    }

    @Test("Runs of pages never overlap, and every page can be had", arguments: 0..<32)
    func runsNeverOverlap(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let limit = [1, 63, 64, 65, 200][seed % 5]
        var runs = try PageRuns.make(limit: limit)
        var taken: [PageRuns.Run] = []
        var pages: Set<Int> = []
        for _ in 0..<2000 {
            if Bool.random(using: &random) || pages.count == limit, !taken.isEmpty {
                let run = taken.remove(at: Int.random(in: 0..<taken.count, using: &random))
                runs.give(run)
                pages.subtract(run.start..<run.start + run.count)
            } else {
                let wanted = Int.random(in: 1...12, using: &random)
                guard let run = runs.take(upTo: wanted) else {
                    Issue.record("no page is free")
                    return
                }
                let range = run.start..<run.start + run.count
                #expect(1...wanted ~= run.count && range.upperBound <= limit)
                #expect(pages.isDisjoint(with: range))
                pages.formUnion(range)
                taken.append(run)
            }
        }
        while let run = runs.take(upTo: limit) {
            pages.formUnion(run.start..<run.start + run.count)
        }
        #expect(pages == Set(0..<limit))
    }

    @Test("The ceiling of a device is shared by its queues, and warned of once")
    func ceilingIsShared() {
        let warnings = BackendClock.Manual()
        let ceiling = GrantCeiling(limit: 10) { warnings.nanoseconds += 1 }
        #expect(ceiling.take(upTo: 7) == 7)
        #expect(ceiling.take(upTo: 7) == 3)
        #expect(ceiling.take(upTo: 7) == 0)
        ceiling.give(2)
        #expect(ceiling.take(upTo: 7) == 2)
        ceiling.warnOnce()
        ceiling.warnOnce()
        #expect(warnings.nanoseconds == 1)
    }

    @Test("BLK-13: latencies fall into buckets of which none is wider than a 32nd of its times")
    func latencyBuckets() {
        for bucket in 1..<LatencyBuckets.count {
            let lowest = LatencyBuckets.lowest(of: bucket)
            #expect(LatencyBuckets.bucket(of: lowest) == bucket)
            #expect(LatencyBuckets.bucket(of: lowest - 1) == bucket - 1)
            let width = LatencyBuckets.lowest(of: bucket + 1) - lowest
            #expect(width == 16 || width * 32 <= lowest)
        }
        #expect(LatencyBuckets.bucket(of: 0) == 0)
        #expect(LatencyBuckets.bucket(of: UInt64.max) == LatencyBuckets.count - 1)
        #expect(LatencyBuckets.lowest(of: LatencyBuckets.count) == 1 << 40)
        let counters = BackendCounters()
        counters.addLatency(700)
        counters.addLatency(700)
        counters.add(3, to: .grantsMappedOnce)
        let snapshot = counters.snapshot()
        #expect(
            snapshot.latencies[LatencyBuckets.bucket(of: 700)] == 2
                && snapshot.latencies.reduce(0, +) == 2)
        #expect(snapshot.grantsMappedOnce == 3 && snapshot.reads == 0)
    }
}
