import Foundation
import RoostRouter

/// An operator flushes 75,000 entries that are held, and goes on changing something ten times a second:
/// what packets see that share the collector's thread.
func flush() throws {
    var order = Array(0..<75_000 as Range<UInt32>)
    var dice = Dice(seed: 2)
    order.shuffle(using: &dice)
    var none = Waits()
    var classic = Waits()
    var ours = Waits()
    for _ in 0..<turnCount {
        none.add(try packets { _ in })
        classic.add(try classicFlush(order))
        ours.add(try ourFlush(order))
    }
    print("| collector on the packets' thread | p50, µs | p99, µs | p99.9, µs | longest, µs |")
    print("|---|---|---|---|---|")
    print("| none | \(none) |")
    print("| classic: the whole list every 0.1 s | \(classic) |")
    print("| Roost: slices | \(ours) |")
}

/// Turns of each, one after the other.
private let turnCount = 15

/// What packets that arrive at any time wait at most.
///
/// Each gap counts as often as packets arrive in it. Of each number the median of the turns.
private struct Waits: CustomStringConvertible {
    private var columns = [Samples](repeating: Samples(), count: 4)

    mutating func add(_ samples: Samples) {
        let gaps = samples.values.sorted()
        let total = samples.sum
        for (column, share) in [0.5, 0.99, 0.999, 1].enumerated() {
            var passed: Double = 0
            let gap = gaps.first { gap in
                passed += gap
                return passed >= total * share
            }
            columns[column].add(gap ?? gaps.last ?? .nan)
        }
    }

    var description: String {
        columns.map { fixed($0.median, 1) }.joined(separator: " | ")
    }
}

private func classicFlush(_ order: [UInt32]) throws -> Samples {
    let list = try ClassicList(order: order)
    var next: UInt64 = 0
    var released = 0
    return try packets { now in
        guard now >= next else { return }
        next = now + 100
        for _ in 0..<100 where released < order.count {
            list.release(order[released])
            released += 1
        }
        _ = list.pass()
    }
}

private func ourFlush(_ order: [UInt32]) throws -> Samples {
    var table = try makeTable(quiescence: Quiescence(readerLimit: 1))
    var operations = NoOperations()
    let handles = order.map { _ in makeEntry(in: &table, now: 0) }
    let slab = table.slab
    var tokens: [HolderToken] = []
    for handle in handles {
        guard let reference = slab.hold(handle, kind: .session, owner: 1, now: 0) else {
            throw Failure("a holder was refused")
        }
        tokens.append(reference.token())
    }
    var clock = GivenTicks(now: 0)
    var flushed = 0
    var released = 0
    var next: UInt64 = 0
    return try packets { now in
        clock.now = now
        if flushed < handles.count {
            // The flush itself is cut as the collector is.
            for index in order[flushed..<min(flushed + 64, order.count)] {
                table.retire(handles[Int(index)], now: now)
            }
            flushed = min(flushed + 64, order.count)
        } else if now >= next {
            next = now + 100
            for _ in 0..<100 where released < tokens.count {
                slab.release(slab.reference(of: tokens[released]))
                released += 1
            }
            // One change more: the next pass comes in 0.1 s, as the classic one does.
            let trickle = makeEntry(in: &table, now: now)
            table.retire(trickle, now: now)
        }
        if let wake = table.nextWake, wake <= now {
            _ = table.collect(clock: clock, operations: &operations)
        }
    }
}

/// Half a second of batches of 32 packets to 4,096 destinations, a turn of the processor between two.
///
/// Time is the thread's own, so that other programs' share of the machine does not show.
///
/// - Returns: Of each batch how long after the one before it ended, in microseconds.
private func packets(_ processor: (UInt64) throws -> Void) throws -> Samples {
    let quiescence = try Quiescence(readerLimit: 1)
    var table = try makeTable(quiescence: quiescence)
    let reader = try quiescence.makeReader()
    let handles = (0..<4096).map { _ in makeEntry(in: &table, now: 0) }
    let slab = table.slab
    var dice = Dice(seed: 3)
    var samples = Samples()
    var sum: UInt64 = 0
    let begin = threadNanoseconds()
    var last = begin
    while last - begin < 500_000_000 {
        quiescence.begin(reader)
        for _ in 0..<32 {
            let handle = handles[Int(truncatingIfNeeded: dice.next() & 4095)]
            sum &+= slab.word(of: handle).rawValue &+ slab.link(of: handle).rawValue
        }
        quiescence.end(reader)
        let now = threadNanoseconds()
        samples.add(Double(now - last) / 1000)
        last = now
        try processor((now - begin) / 1_000_000)
    }
    guard sum != 0 else { throw Failure("nothing was read") }
    return samples
}
