import RoostSystem
import Synchronization
import TestSupport
import Testing

@testable import RoostRouter

/// Under the thread sanitizer, in release, this is the proof that readers need no lock.
@Suite("Lookups beside changes")
struct ConcurrentLookupTests {
    private let namespace = NamespaceIndex(rawValue: 2)

    @Test(
        "NET-2: readers beside a writer find the old route or the new one",
        arguments: [5, 6] as [UInt64])
    func readers(seed: UInt64) async throws {
        let quiescence = try Quiescence(readerLimit: 2)
        var tables = try ForwardingTables(quiescence: quiescence)
        try tables.addNamespace(namespace)
        var random = SeededRandom(seed: seed)
        let routes = ConcurrentRoutes()
        let reader = tables.reader
        let progress = ReaderProgress()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<2 as Range<UInt64> {
                let place = try quiescence.makeReader()
                group.addTask { [namespace] in
                    _ = try await DedicatedThread.run(name: "reader") { () throws(Never) in
                        var random = SeededRandom(seed: seed ^ worker)
                        while !progress.isDone.load(ordering: .acquiring) {
                            quiescence.begin(place)
                            for _ in 0..<32 {
                                let index = Int.random(in: 0..<routes.count, using: &random)
                                let address = routes.address(in: index, &random)
                                let group = reader.lookup(address, in: namespace)
                                let paths = reader.paths(of: group, in: namespace)
                                let found = reader.destination(of: paths, flowHash: random.next())
                                let isRight =
                                    group.isNone || routes.may(index, have: found.rawValue)
                                if !isRight { progress.wrong.add(1, ordering: .relaxed) }
                            }
                            quiescence.end(place)
                            progress.batches.add(1, ordering: .relaxed)
                        }
                    }
                }
            }
            defer { progress.isDone.store(true, ordering: .releasing) }
            for step in 0..<6_000 {
                let index = Int.random(in: 0..<routes.count, using: &random)
                let prefix = routes.prefix(index)
                if step % 3 == 2 {
                    if try !tables.routes(at: prefix, in: namespace).isEmpty {
                        _ = try tables.remove(prefix, in: namespace)
                    }
                } else {
                    let nextHops = routes.nextHops(index, &random)
                    _ = try tables.put(Route(prefix, nextHops: nextHops), .replace, in: namespace)
                }
                if step % 64 == 0 { await Task.yield() }
            }
            while progress.batches.load(ordering: .relaxed) < 4 { await Task.yield() }
        }
        #expect(progress.wrong.load(ordering: .relaxed) == 0)
        tables.reclaim()
        #expect(tables.usage.deferredBlocks == 0)
    }
}

/// What readers and the writer tell each other.
private final class ReaderProgress: Sendable {
    let isDone = Atomic<Bool>(false)
    let wrong = Atomic<Int>(0)
    let batches = Atomic<Int>(0)
}

/// Prefixes 10.0.0.0/8 and, in it, 16 of /16, in each 16 of /24, in each a /28: each with two
/// destinations of its own that its routes may have.
private struct ConcurrentRoutes: Sendable {
    let count = 1 + 16 + 256 + 256

    func prefix(_ index: Int) -> IPv4Prefix {
        let number = UInt32(index)
        return switch index {
        case 0: Prefix(IPv4Address(rawValue: 0x0A00_0000), length: 8)
        case 1..<17: Prefix(IPv4Address(rawValue: 0x0A00_0000 | (number - 1) << 16), length: 16)
        case 17..<273: Prefix(child(number - 17), length: 24)
        default: Prefix(child(number - 273), length: 28)
        }
    }

    private func child(_ number: UInt32) -> IPv4Address {
        IPv4Address(rawValue: 0x0A00_0000 | (number >> 4) << 16 | (number & 15) << 8)
    }

    func nextHops(_ index: Int, _ random: inout SeededRandom) -> [NextHop] {
        let first = UInt32(index) * 2 + 1
        return switch Int.random(in: 0..<3, using: &random) {
        case 0: hops(first)
        case 1: hops(first + 1)
        default: hops(first, first + 1)
        }
    }

    func address(in index: Int, _ random: inout SeededRandom) -> IPv4Address {
        let prefix = prefix(index)
        let rest = UInt32(truncatingIfNeeded: random.next()) & UInt32.max >> UInt32(prefix.length)
        return IPv4Address(rawValue: prefix.address.rawValue | rest)
    }

    /// Whether an address of a prefix may be sent to a destination: one of its own, of a prefix that
    /// covers it, or of one in it.
    func may(_ index: Int, have destination: UInt32) -> Bool {
        guard destination > 0, destination <= UInt32(2 * count) else { return false }
        let other = prefix(Int(destination - 1) / 2)
        return other.contains(prefix(index)) || prefix(index).contains(other)
    }
}
