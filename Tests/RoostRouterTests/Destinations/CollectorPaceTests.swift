@testable import RoostRouter
import Testing

@Suite("The collector's pace")
struct CollectorPaceTests {
    @Test("NET-5: without progress the delay grows 0.1, 0.6, 1.6, 3.1 … seconds up to 120")
    func quadraticGrowth() {
        var pace = CollectorPace(tickRate: 1000)
        var now: UInt64 = 0
        pace.garbageArrived(now: now)
        #expect(pace.deadline == 100)
        for pass in 1...30 as ClosedRange<UInt64> {
            now = pace.deadline ?? 0
            pace.passBegan()
            _ = pace.passEnded(freed: 0, delayed: 1, now: now)
            #expect(pace.delay == min(100 + 250 * pass * (pass + 1), 120_000))
        }
    }

    @Test("NET-5: the cap is reached at the 22nd pass without progress")
    func capIsReached() {
        var pace = CollectorPace(tickRate: 250)
        pace.garbageArrived(now: 0)
        var passes = 0
        while pace.delay < pace.longestDelay {
            _ = pace.passEnded(freed: 0, delayed: 1, now: 0)
            passes += 1
        }
        #expect(passes == 22)
        _ = pace.passEnded(freed: 0, delayed: 1, now: 0)
        #expect(pace.delay == 120 * 250)
    }

    @Test(
        "NET-5: a pass that freed no more than a tenth, in integers, of what it left is no progress",
        arguments: [
            (freed: 0, delayed: 9, isProgress: false), (1, 9, true), (1, 10, false), (2, 10, true),
            (1, 19, false), (10, 109, false), (11, 109, true), (6395, 58316, true),
            (5831, 58316, false), (5832, 58316, true),
        ])
    func tenth(freed: Int, delayed: Int, isProgress: Bool) {
        var pace = CollectorPace(tickRate: 1000)
        pace.garbageArrived(now: 0)
        _ = pace.passEnded(freed: freed, delayed: delayed, now: 0)
        #expect(pace.delay == (isProgress ? 100 : 600))
        #expect(pace.step == (isProgress ? 500 : 1000))
    }

    @Test("NET-5: garbage pulls a schedule that was pushed back forward, and replaces it")
    func garbageReplacesSchedule() {
        var pace = CollectorPace(tickRate: 1000)
        pace.garbageArrived(now: 0)
        for _ in 0..<5 { _ = pace.passEnded(freed: 0, delayed: 5, now: 1000) }
        #expect((pace.deadline ?? 0) > 2000)
        pace.garbageArrived(now: 1500)
        #expect(pace.deadline == 1600)
        #expect(pace.delay == 100)
        #expect(pace.step == 500)
        // More of it moves nothing: one slot, and it is set already.
        pace.garbageArrived(now: 1550)
        #expect(pace.deadline == 1600)
    }

    @Test("NET-5: a pass that leaves nothing schedules nothing, until the next garbage")
    func nothingLeft() {
        var pace = CollectorPace(tickRate: 1000)
        pace.garbageArrived(now: 0)
        #expect(pace.passEnded(freed: 3, delayed: 0, now: 100) == 0)
        #expect(pace.deadline == nil)
        #expect(pace.step == pace.longestDelay)
        pace.garbageArrived(now: 700)
        #expect(pace.deadline == 800)
    }

    @Test("NET-5: an event that wants a pass and a timer that is due share the one slot")
    func oneSlot() {
        var pace = CollectorPace(tickRate: 1000)
        pace.garbageArrived(now: 0)
        pace.passWanted(now: 60)
        #expect(pace.deadline == 60)
        pace.passWanted(now: 200)
        #expect(pace.deadline == 60)
        pace.passBegan()
        #expect(pace.deadline == nil)
    }

    @Test(
        "NET-5: a wait above four seconds ends at a whole one, a quarter early at most, skewed by processor",
        arguments: [
            (delay: 5000, now: 0, processor: 0, wait: 5000), (5000, 1, 0, 4999),
            (5000, 249, 0, 4751), (5000, 250, 0, 5750), (5000, 999, 0, 5001),
            (5000, 0, 1, 4997), (5000, 247, 1, 5750), (5000, 246, 1, 4751),
            (4001, 0, 0, 4000), (120_000, 123, 7, 119_856),
        ] as [(UInt64, UInt64, UInt64, UInt64)])
    func rounding(delay: UInt64, now: UInt64, processor: UInt64, wait: UInt64) {
        let pace = CollectorPace(tickRate: 1000, processor: processor)
        #expect(pace.rounded(delay, from: now) == wait)
    }

    @Test("NET-5: waits of four seconds and less are exact, and the stored delay always is")
    func shortWaitsAreExact() {
        var pace = CollectorPace(tickRate: 250)
        pace.garbageArrived(now: 77)
        let waits = (0..<5).map { _ in pace.passEnded(freed: 0, delayed: 1, now: 77) }
        #expect(waits == [150, 400, 775, 1423, 1923])
        #expect(pace.delay == 1900)
    }

    @Test("NET-5: rounding that would end in the past or now leaves the delay as it is")
    func roundingNeverEndsInThePast() {
        let pace = CollectorPace(tickRate: 1000, processor: 1)
        #expect(pace.rounded(3, from: 1000) == 3)
    }
}
