@testable import RoostRouter
import Testing

@Suite("The collector's slices")
struct CollectorSliceTests {
    @Test("NET-4, NET-11: a slice visits no more than its bound, and the pass goes on in the next")
    func boundedInEntries() throws {
        var table = try Lab.table { $0.sliceEntryCount = 64 }
        var operations = RecordedOperations()
        let clock = ManualClock()
        for _ in 0..<200 { table.retire(table.makeEntry(), now: clock.now) }
        clock.now += 100
        var progresses: [CollectorProgress] = []
        var freed: [Int] = []
        while progresses.last == nil || progresses.last == .more {
            progresses.append(table.collect(clock: clock, operations: &operations))
            freed.append(operations.destroyed.count)
        }
        #expect(freed == [64, 128, 192, 200])
        #expect(table.collectorStatistics.longestSliceVisits == 64)
        #expect(table.collectorTrace.map(\.freed) == [200])
    }

    @Test(
        "NET-11: a slice stops at the look at the thread's clock after which there may be too little time"
    )
    func boundedInTime() throws {
        var table = try Lab.table { limits in
            limits.sliceEntryCount = 1000
            limits.sliceNanoseconds = 50_000
        }
        var operations = RecordedOperations()
        let clock = ManualClock()
        clock.threadStep = 20_000
        for _ in 0..<200 { table.retire(table.makeEntry(), now: clock.now) }
        clock.now += 100
        let progress = table.collect(clock: clock, operations: &operations)
        #expect(progress == .more)
        // Looks after 16 and 32 visits, at 20 and 40 µs: the next would be at 60.
        #expect(operations.destroyed.count == 32)
        let statistics = table.collectorStatistics
        #expect(statistics.longestSliceThreadNanoseconds == 40_000)
        #expect(statistics.sliceTimes[6] == 1)
    }

    @Test("NET-4: entries that are still held cost a pass nothing")
    func survivorsAreNotWalked() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        var tokens: [HolderToken] = []
        for owner in 0..<500 as Range<UInt64> {
            let handle = table.makeEntry()
            let token = table.slab.hold(handle, kind: .session, owner: owner, now: 0)?.token()
            tokens.append(try #require(token))
            table.retire(handle, now: clock.now)
        }
        clock.now += 100
        table.run(clock, &operations)
        let settled = table.collectorStatistics.visits
        #expect(settled == 500 && table.waitingCount == 500)
        table.give(tokens[250])
        clock.now = table.nextWake ?? 0
        let lines = table.run(clock, &operations)
        #expect(table.collectorStatistics.visits == settled + 1)
        #expect(lines.map(\.freed) == [1] && lines.map(\.delayed) == [499])
    }

    @Test("NET-4: a pass covers what there was when it began, however fast garbage arrives")
    func passEnds() throws {
        var table = try Lab.table { $0.sliceEntryCount = 4 }
        var operations = RecordedOperations()
        let clock = ManualClock()
        for _ in 0..<10 { table.retire(table.makeEntry(), now: clock.now) }
        clock.now += 100
        var line: CollectorTrace?
        var slices = 0
        while line == nil, slices < 50 {
            if case .passed(let passed) = table.collect(clock: clock, operations: &operations) {
                line = passed
            }
            for _ in 0..<4 { table.retire(table.makeEntry(), now: clock.now) }
            slices += 1
        }
        #expect(slices == 3 && line?.freed == 10)
        // What arrived during the pass is due as soon as anything newly retired is.
        #expect(table.nextWake == clock.now + 100)
    }

    @Test("NET-5: nothing is due before its time, and nothing at all when there is no garbage")
    func idle() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        #expect(table.nextWake == nil)
        #expect(table.collect(clock: clock, operations: &operations) == .idle(until: nil))
        table.retire(table.makeEntry(), now: clock.now)
        #expect(table.collect(clock: clock, operations: &operations) == .idle(until: 1100))
        clock.now = 1099
        #expect(table.collect(clock: clock, operations: &operations) == .idle(until: 1100))
        clock.now = 1100
        #expect(table.run(clock, &operations).count == 1)
    }

    @Test("NET-6: the trace keeps the last passes, as many as its bound")
    func traceIsBounded() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        for _ in 0..<Collector.traceLimit + 5 {
            table.retire(table.makeEntry(), now: clock.now)
            clock.now += 100
            table.run(clock, &operations)
        }
        #expect(table.collectorTrace.count == Collector.traceLimit)
        #expect(table.collectorStatistics.passes == UInt64(Collector.traceLimit + 5))
    }
}
