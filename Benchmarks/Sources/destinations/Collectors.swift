import CDestinationPeers
import Foundation
import RoostRouter

/// The published load: how many each of the twelve passes freed.
let freedCounts = [141, 743, 1522, 3053, 4080, 6395, 64, 409, 1164, 2714, 4338, 2762]
let heldCount = 74_250
let liveCount = 226_638

/// Real time for a thread, given time for the schedule.
struct GivenTicks: CollectorClock {
    var now: UInt64

    func ticks() -> UInt64 { now }
    func threadNanoseconds() -> UInt64 { destinations.threadNanoseconds() }
    func wallNanoseconds() -> UInt64 { destinations.wallNanoseconds() }
}

/// Each collector's passes under the published load, with as many live entries beside.
func collector() throws {
    var order = Array(0..<UInt32(heldCount))
    var dice = Dice(seed: 1)
    order.shuffle(using: &dice)

    var classic = Samples()
    for _ in 0..<5 {
        let list = try ClassicList(order: order)
        var next = 0
        for freed in freedCounts {
            for index in order[next..<next + freed] { list.release(index) }
            next += freed
            let start = threadNanoseconds()
            guard list.pass().freed == freed else { throw Failure("the classic pass went wrong") }
            classic.add(Double(threadNanoseconds() - start) / 1000)
        }
    }
    print("classic, whole list: \(summary(classic)) (of one pass; nothing else runs meanwhile)")

    var passes = Samples()
    var slices = Samples()
    var settling = Samples()
    for _ in 0..<5 {
        var load = try OurLoad(order: order)
        let times = load.settle()
        settling.add(times.sum)
        for time in times.values { slices.add(time) }
        for freed in freedCounts {
            let times = try load.pass(releasing: freed)
            passes.add(times.sum)
            for time in times.values { slices.add(time) }
        }
    }
    print("Roost, passes: \(summary(passes))")
    let long = slices.values.count { $0 > 50 }
    print("Roost, all slices: \(summary(slices))")
    print("Roost, slices above 50 µs: \(long) of \(slices.values.count)")
    print("Roost, once, to settle the 74,250: \(fixed(settling.median, 0)) µs in slices")
}

func summary(_ samples: Samples) -> String {
    "median \(fixed(samples.median, 1)) µs, p99 \(fixed(samples.percentile(99), 1)), "
        + "p99.9 \(fixed(samples.percentile(99.9), 1)), longest \(fixed(samples.largest, 1)), "
        + "in all \(fixed(samples.sum / 5000, 2)) ms"
}

/// The classic list, owned.
@safe
struct ClassicList: ~Copyable {
    private let list: OpaquePointer

    init(order: [UInt32]) throws {
        // SAFETY: the array is `order.count` long for the time of the call.
        guard let list = unsafe cdst_make_list(UInt32(order.count), order) else {
            throw Failure("there is no memory for \(order.count) entries")
        }
        unsafe self.list = list
    }

    func release(_ index: UInt32) {
        unsafe cdst_release(list, index)
    }

    func pass() -> (freed: Int, delayed: Int) {
        var delayed: UInt32 = 0
        let freed = unsafe cdst_pass(list, &delayed)
        return (Int(freed), Int(delayed))
    }

    deinit {
        unsafe cdst_free_list(list)
    }
}

/// Our table under the published load.
struct OurLoad: ~Copyable {
    var table: DestinationTable
    var clock = GivenTicks(now: 1000)
    private var tokens: [HolderToken] = []
    private var operations = NoOperations()

    init(order: [UInt32]) throws {
        var table = try makeTable(quiescence: Quiescence(readerLimit: 1))
        var handles: [DestinationHandle] = []
        for _ in 0..<liveCount { handles.append(makeEntry(in: &table, now: 0)) }
        for index in order {
            let handle = handles[Int(index)]
            guard let reference = table.slab.hold(handle, kind: .session, owner: 1, now: 0)
            else { throw Failure("a holder was refused") }
            tokens.append(reference.token())
        }
        for index in order { table.retire(handles[Int(index)], now: 1000) }
        self.table = table
    }

    /// The first pass, which meets everything as new: its slices' times in microseconds.
    mutating func settle() -> Samples {
        clock.now = table.nextWake ?? clock.now
        var times = Samples()
        while true {
            let start = threadNanoseconds()
            let progress = table.collect(clock: clock, operations: &operations)
            times.add(Double(threadNanoseconds() - start) / 1000)
            if case .passed = progress { return times }
        }
    }

    /// One pass after some have let go: its slices' times in microseconds.
    mutating func pass(releasing freed: Int) throws -> Samples {
        for token in tokens.prefix(freed) { table.slab.release(table.slab.reference(of: token)) }
        tokens.removeFirst(freed)
        clock.now = table.nextWake ?? clock.now
        var times = Samples()
        while true {
            let start = threadNanoseconds()
            let progress = table.collect(clock: clock, operations: &operations)
            times.add(Double(threadNanoseconds() - start) / 1000)
            if case .passed(let line) = progress {
                guard line.freed == freed else { throw Failure("the pass freed \(line.freed)") }
                return times
            }
        }
    }
}
