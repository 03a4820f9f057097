import CDestinationPeers
import Dispatch
import Foundation
import RoostRouter
import Synchronization

/// Operations that release nothing.
struct NoOperations: DestinationOperations {
    mutating func destroy(_ remains: DestinationRemains) {}
    mutating func rehome(_ neighbour: NeighbourHandle, from port: PortIndex, to loopback: PortIndex)
    {}
}

/// The table that the benchmarks fill: one namespace with one port.
func makeTable(
    quiescence: Quiescence, tickRate: UInt64 = 1000
) throws -> DestinationTable {
    var limits = DestinationLimits()
    limits.tickRate = tickRate
    limits.ipv4 = DestinationLimits.Family(threshold: 1 << 18, ceiling: 1 << 18)
    var table = try DestinationTable(limits: limits, workerCount: 2, quiescence: quiescence)
    try table.addNamespace(namespace, loopback: PortIndex(rawValue: 1))
    try table.addPort(PortIndex(rawValue: 2), namespace: namespace)
    return table
}

let namespace = NamespaceIndex(rawValue: 1)

func makeEntry(in table: inout DestinationTable, now: UInt64) -> DestinationHandle {
    var operations = NoOperations()
    let handle = table.allocate(.ipv4, namespace: namespace, now: now, operations: &operations)
    var contents = DestinationContents()
    contents.port = PortIndex(rawValue: 2)
    contents.input = .forward
    contents.output = .forward
    table.finish(handle, as: contents)
    return handle
}

/// What it costs to keep an entry for one packet.
func references() throws {
    let packets: UInt64 = 1 << 15
    let quiescence = try Quiescence(readerLimit: 64)
    var table = try makeTable(quiescence: quiescence)
    let handle = makeEntry(in: &table, now: 0)
    let slab = table.slab
    let readers = try (0..<2).map { _ in try quiescence.makeReader() }
    let count = unsafe UInt(bitPattern: cdst_make_count())
    let ways: [(String, @Sendable (Int) -> Void)] = [
        (
            "hold, then read and decrement (C)",
            { _ in unsafe cdst_read_then_decrement(shared(count), packets) }
        ),
        (
            "hold, then decrement and use the result (C)",
            { _ in unsafe cdst_decrement_and_return(shared(count), packets) }
        ),
        (
            "Roost: counted, listed holder a packet",
            { _ in
                for packet in 0..<packets {
                    if let reference = slab.hold(handle, kind: .session, owner: 1, now: packet) {
                        slab.release(reference)
                    }
                }
            }
        ),
        (
            "Roost: counted, listed holder a batch of 32",
            { worker in
                for batch in 0..<packets / 32 {
                    if let reference = slab.hold(handle, kind: .session, owner: 1, now: batch) {
                        read(slab, handle, 32)
                        slab.release(reference)
                    }
                }
            }
        ),
        (
            "Roost: uncounted, in a batch of 32",
            { worker in
                for _ in 0..<packets / 32 {
                    quiescence.begin(readers[worker])
                    read(slab, handle, 32)
                    quiescence.end(readers[worker])
                }
            }
        ),
        (
            "Roost: the same, with this worker's use count and time",
            { worker in
                for batch in 0..<packets / 32 {
                    quiescence.begin(readers[worker])
                    read(slab, handle, 32)
                    for _ in 0..<32 { slab.recordUse(of: handle, worker: worker, now: batch) }
                    quiescence.end(readers[worker])
                }
            }
        ),
    ]
    print(
        "| what is done for a packet | one core, ns | two cores sharing the entry, ns each |"
    )
    print("|---|---|---|")
    var alone = [Samples](repeating: Samples(), count: ways.count)
    var together = alone
    for _ in 0..<turnCount {
        for (index, way) in ways.enumerated() {
            if let time = measure(threads: 1, packets: packets, way.1) { alone[index].add(time) }
            if let time = measure(threads: 2, packets: packets, way.1) {
                together[index].add(time)
            }
        }
    }
    for (index, way) in ways.enumerated() {
        print("| \(way.0) | \(range(alone[index])) | \(range(together[index])) |")
    }
}

/// Turns of each way, one after the other.
private let turnCount = 401

/// The median and the quartiles, and of how many undisturbed turns.
private func range(_ samples: Samples) -> String {
    if samples.values.isEmpty { return "no undisturbed turn" }
    return "\(fixed(samples.median, 1)) (\(fixed(samples.percentile(25), 1))–"
        + "\(fixed(samples.percentile(75), 1)), \(samples.values.count) turns)"
}

/// Loads an entry's first two words for a number of packets.
@inline(never)
private func read(_ slab: DestinationSlab, _ handle: DestinationHandle, _ packets: Int) {
    var sum: UInt64 = 0
    for _ in 0..<packets {
        sum &+= slab.word(of: handle).rawValue
    }
    precondition(sum != 0)
}

@unsafe
private func shared(_ address: UInt) -> OpaquePointer {
    guard let count = unsafe OpaquePointer(bitPattern: address) else {
        preconditionFailure("there is no count")
    }
    return unsafe count
}

/// One turn: the mean over the threads, in nanoseconds a packet; `nil` when something else ran meanwhile,
/// so that a thread lost its core or the two did not run together.
private func measure(
    threads: Int, packets: UInt64, _ body: @escaping @Sendable (Int) -> Void
) -> Double? {
    let ready = Ready()
    DispatchQueue.concurrentPerform(iterations: threads) { worker in
        _ = cdst_pin(Int32(worker))
        ready.count.wrappingAdd(1, ordering: .acquiringAndReleasing)
        while ready.count.load(ordering: .acquiring) < threads {}
        let thread = threadNanoseconds()
        let start = wallNanoseconds()
        body(worker)
        let end = wallNanoseconds()
        let used = threadNanoseconds() - thread
        ready.turns.withLock { $0.append(Turn(start: start, end: end, used: used)) }
    }
    let turns = ready.turns.withLock { $0 }
    let first = turns.map(\.start).max() ?? 0
    let last = turns.map(\.end).min() ?? 0
    for turn in turns {
        let elapsed = Double(turn.end - turn.start)
        guard last > first, Double(last - first) > elapsed * 0.8,
            Double(turn.used) > elapsed * 0.9
        else { return nil }
    }
    let elapsed = turns.reduce(0) { $0 + Double($1.end - $1.start) }
    return elapsed / Double(threads) / Double(packets)
}

private struct Turn {
    let start: UInt64
    let end: UInt64
    let used: UInt64
}

private final class Ready: Sendable {
    let count = Atomic<Int>(0)
    let turns = Mutex<[Turn]>([])
}
