import TestSupport
import Testing

@testable import RoostRouter

@Suite("Lists, timers and orders by number")
struct ListsAndTimersTests {
    @Test("lists hold what arrays hold, in the same order", arguments: [UInt64(1), 2, 3])
    func lists(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var lists = try IndexedLists(things: 30, lists: 4, of: "tests")
        var model: [[UInt32]] = Array(repeating: [], count: 4)
        for _ in 0..<5_000 {
            let thing = UInt32.random(in: 1...30, using: &random)
            for list in model.indices { model[list].removeAll { $0 == thing } }
            if Bool.random(using: &random) {
                let list = Int.random(in: 0..<4, using: &random)
                lists.append(thing, to: list)
                model[list].append(thing)
            } else {
                lists.remove(thing)
            }
            #expect(lists.list(of: thing) == model.firstIndex { $0.contains(thing) })
            for list in model.indices {
                var walked: [UInt32] = []
                var next = lists.first(list)
                while next != 0 {
                    walked.append(next)
                    next = lists.next(next)
                }
                #expect(walked == model[list])
                #expect(lists.count(list) == walked.count)
            }
        }
    }

    @Test(
        "what is due comes after its time, within a slot, once",
        arguments: [UInt64(1), 2, 3, 4])
    func timers(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var wheel = try TimerWheel(things: 50, of: "tests")
        var due: [UInt32: UInt64] = [:]
        var scheduled: [UInt32: UInt64] = [:]
        var now: UInt64 = 5
        for _ in 0..<4_000 {
            let thing = UInt32.random(in: 1...50, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                wheel.cancel(thing)
                due[thing] = nil
            case 1:
                // From the past to several turns ahead.
                let time = UInt64.random(in: 0...(now + 5_000_000), using: &random)
                wheel.schedule(thing, at: time)
                due[thing] = time
                scheduled[thing] = now
            default:
                now +=
                    UInt64.random(in: 0...1_500_000, using: &random)
                    / [1, 100, 10_000][Int.random(in: 0..<3, using: &random)]
                while let expired = wheel.popExpired(now: now) {
                    let removed = due.removeValue(forKey: expired)
                    let time = try #require(removed)
                    #expect(time <= now)
                }
                let late = due.filter { max($0.value, scheduled[$0.key] ?? 0) + 512 <= now }
                #expect(late.isEmpty)
            }
            #expect(wheel.count == due.count)
        }
    }

    @Test("the next expiry is the earliest, to a slot")
    func nextExpiry() throws {
        var wheel = try TimerWheel(things: 3, of: "tests")
        #expect(wheel.nextExpiry == nil)
        wheel.schedule(1, at: 600_000)
        wheel.schedule(2, at: 300_000)
        #expect(wheel.nextExpiry == 300_032)
        #expect(wheel.popExpired(now: 300_031) == nil)
        #expect(wheel.popExpired(now: 300_032) == 2)
        #expect(wheel.nextExpiry == 600_064)
    }

    @Test("the order finds the next exception of a next hop", arguments: [UInt64(1), 2, 3])
    func order(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var order = try ExceptionOrder(limit: 200)
        var model: [UInt32: IndexKey] = [:]
        func draw() -> IndexKey {
            IndexKey(
                scope: UInt32.random(in: 1...3, using: &random),
                high: UInt64.random(in: 0...1, using: &random) * .max,
                low: UInt64.random(in: 0...500, using: &random))
        }
        for _ in 0..<10_000 {
            let exception = UInt32.random(in: 1...200, using: &random)
            if model.removeValue(forKey: exception) != nil {
                order.remove(exception)
            } else if case let key = draw(), !model.values.contains(key) {
                order.insert(exception, key: key)
                model[exception] = key
            }
            let sought = draw()
            let expected = model.filter { $0.value >= sought }.min { $0.value < $1.value }
            #expect(order.first(notBelow: sought) == expected?.key ?? 0)
        }
    }
}
