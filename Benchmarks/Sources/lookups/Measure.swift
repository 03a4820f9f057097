import Foundation
import RoostRouter

/// One side of a comparison: a name, and a pass whose sum is checked against the others'.
struct Side {
    let name: String
    let pass: () throws -> UInt64
}

/// What this thread has computed, in nanoseconds: other work on the machine is not counted, though its share
/// of caches and memory is felt.
func processorTime() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

/// How long each side's pass takes, in nanoseconds of processor time an item: by turns, each
/// turn beginning with another.
func byTurns(_ sides: [Side], turns: Int, items: Int) throws -> [Spread] {
    var times = sides.map { _ in [Double]() }
    let expected = try sides.map { try $0.pass() }
    for turn in 0..<turns {
        for offset in sides.indices {
            let side = (turn + offset) % sides.count
            // The others have had the caches to themselves.
            _ = try sides[side].pass()
            let start = processorTime()
            let sum = try sides[side].pass()
            let duration = processorTime() - start
            guard sum == expected[side] else { throw Failure("\(sides[side].name): sums differ") }
            times[side].append(duration / Double(items))
        }
    }
    return times.map { Spread($0) }
}

/// A table of Roost's alone in its namespace.
final class RoostTable<Address: MeasuredAddress> {
    let namespace = NamespaceIndex(rawValue: 1)
    let quiescence: Quiescence
    var tables: ForwardingTables
    let reader: ForwardingReader
    private let usageBefore: ForwardingUsage

    init() throws {
        let quiescence = try Quiescence(readerLimit: 1)
        var tables = try ForwardingTables(quiescence: quiescence)
        try tables.addNamespace(namespace)
        reader = tables.reader
        self.quiescence = quiescence
        self.tables = tables
        // Path groups are numbered as they come: made in order, in the other family, each has its
        // next hop's number, and sums can be compared with those of peers.
        for hop in 1...Inputs<IPv4Address>.hopCount {
            if Address.bitWidth == IPv4Address.bitWidth {
                let prefix = Prefix(IPv6Address(high: UInt64(hop), low: 0), length: 64)
                try IPv6Address.add(prefix, to: hop, in: &self.tables, namespace)
            } else {
                let prefix = Prefix(IPv4Address(rawValue: hop), length: 32)
                try IPv4Address.add(prefix, to: hop, in: &self.tables, namespace)
            }
        }
        usageBefore = self.tables.usage
    }

    /// What its own prefixes take, in bytes: what lookups read, and the authoritative trie.
    var bytes: (lookup: Int, trie: Int) {
        tables.reclaim()
        let usage = tables.usage
        return (
            usage.lookupBytes - usageBefore.lookupBytes, usage.trieBytes - usageBefore.trieBytes
        )
    }

    func add(_ prefixes: [Prefix<Address>], _ hops: [UInt32]) throws {
        for (prefix, hop) in zip(prefixes, hops) {
            try Address.add(prefix, to: hop, in: &tables, namespace)
        }
    }

    func remove(_ prefixes: [Prefix<Address>]) throws {
        for prefix in prefixes {
            try Address.remove(prefix, in: &tables, namespace)
        }
    }
}
