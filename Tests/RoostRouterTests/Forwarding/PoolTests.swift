import RoostMemory
import TestSupport
import Testing

@testable import RoostRouter

@Suite("Memory of forwarding tables")
struct PoolTests {
    private let namespace = NamespaceIndex(rawValue: 1)

    @Test(
        "NET-13: a table whose memory ends is what it was before, whichever block is refused",
        arguments: [
            // A host route, a short prefix over many, a removal that uncovers, one more path.
            ("10.1.2.3/32", false), ("10.0.0.0/9", false), ("10.1.0.0/16", true),
            ("10.1.2.0/24", false), ("203.0.113.0/24", false),
        ])
    func exhaustion(text: String, removes: Bool) throws {
        let prefix = try #require(IPv4Prefix(text))
        var tables = try filledTables(try Quiescence(readerLimit: 1))
        let probes = probes()
        let before = probes.map { tables.reader.destinations(of: $0, in: namespace) }
        tables.reclaim()
        let usage = blockUsage(of: tables)
        var failures = 0
        while true {
            tables.allocationsLeft = failures
            do throws(RouterError) {
                if removes {
                    _ = try tables.remove(prefix, in: namespace)
                } else {
                    _ = try tables.add(
                        Route(prefix, nextHops: hops(500, 501, 502)), in: namespace)
                }
                break
            } catch {
                #expect(error.kind == .limit)
            }
            tables.reclaim()
            #expect(probes.map { tables.reader.destinations(of: $0, in: namespace) } == before)
            #expect(blockUsage(of: tables) == usage)
            failures += 1
        }
        #expect(failures > 0)
        #expect(probes.map { tables.reader.destinations(of: $0, in: namespace) } != before)
    }

    @Test("NET-13: a full pool refuses routes and takes them again once others are gone")
    func fullPool() throws {
        var limits = ForwardingLimits()
        limits.nodes = 64 * BlockAllocator.chunkUnits
        let quiescence = try Quiescence(readerLimit: 1)
        var tables = try ForwardingTables(quiescence: quiescence, limits: limits)
        try tables.addNamespace(namespace)
        var added: [IPv4Prefix] = []
        while true {
            let host = IPv4Address(rawValue: 0x0A00_0000 &+ UInt32(added.count) &* 0x10101)
            let prefix = Prefix(host, length: 32)
            do throws(RouterError) {
                _ = try tables.add(Route(prefix, nextHops: hops(7)), in: namespace)
                added.append(prefix)
            } catch {
                #expect(error.kind == .limit)
                break
            }
        }
        #expect(added.count > 100)
        for prefix in added {
            #expect(tables.reader.destinations(of: prefix.address, in: namespace) == [7])
            _ = try tables.remove(prefix, in: namespace)
        }
        tables.reclaim()
        #expect(tables.usage.nodeBytes == 0)
        _ = try tables.add(Route(added[0], nextHops: hops(8)), in: namespace)
        #expect(tables.reader.destinations(of: added[0].address, in: namespace) == [8])
    }

    @Test("NET-2: what a reader's batch found stays what it was until the batch ends")
    func quiescence() throws {
        let quiescence = try Quiescence(readerLimit: 1)
        var tables = try filledTables(quiescence)
        let worker = try quiescence.makeReader()
        let address = try #require(IPv4Address("10.1.2.3"))
        quiescence.begin(worker)
        // The words from which a lookup goes on: of the root, of the direct part, of the group.
        let root = tables.reader.roots.acquire(Int(namespace.rawValue) * TrieWord.rootStride)
        let base = Int(root & ~TrieWord.orderMask)
        let (direct, bits) = address.split(at: root & TrieWord.orderMask)
        let word = tables.reader.words.acquire(base + direct)
        try #require(word & TrieWord.nodeFlag != 0)
        let reader = tables.reader
        func found() -> UInt16 {
            reader.descend(bits, from: word, by: PortableBitCounter.self)
        }
        let group = PathGroupIndex(rawValue: found())
        let paths = tables.reader.paths(of: group, in: namespace)
        let destination = tables.reader.destination(of: paths, flowHash: 0)
        let prefix = try #require(IPv4Prefix("10.1.2.0/24"))
        for round in 0..<2_000 as Range<UInt32> {
            let changed = Route(prefix, nextHops: hops(1_000 + round, 4_000 + round))
            _ = try tables.put(changed, .replace, in: namespace)
            tables.reclaim()
            try #require(found() == group.rawValue)
            try #require(tables.reader.paths(of: group, in: namespace) == paths)
            try #require(
                tables.reader.destination(of: paths, flowHash: 0) == destination)
        }
        #expect(tables.reader.destinations(of: address, in: namespace) == [2_999, 5_999])
        #expect(tables.usage.deferredBlocks >= 2_000)
        let held = tables.usage.lookupBytes
        quiescence.end(worker)
        tables.reclaim()
        #expect(tables.usage.deferredBlocks == 0)
        #expect(tables.usage.lookupBytes < held / 2)
    }

    @Test("NET-8: a thousand namespaces of twenty routes take little memory and see only their own")
    func manyNamespaces() throws {
        var random = SeededRandom(seed: 31)
        let quiescence = try Quiescence(readerLimit: 1)
        var tables = try ForwardingTables(quiescence: quiescence)
        for index in 0..<1_000 as Range<UInt16> {
            let namespace = NamespaceIndex(rawValue: index)
            try tables.addNamespace(namespace)
            for route in 0..<20 as Range<UInt32> {
                let prefix = Prefix(
                    IPv4Address(rawValue: UInt32(truncatingIfNeeded: random.next())), length: 24)
                let hop = UInt32(index) * 20 + route + 1
                _ = try tables.add(Route(prefix, nextHops: hops(hop)), in: namespace)
                #expect(tables.reader.destinations(of: prefix.address, in: namespace) == [hop])
                let other = NamespaceIndex(rawValue: index + 1)
                #expect(tables.reader.lookup(prefix.address, in: other).isNone)
            }
        }
        let usage = tables.usage
        #expect(usage.touchedBytes + usage.trieBytes < 8 << 20)
        for index in 0..<1_000 as Range<UInt16> {
            #expect(try tables.removeNamespace(NamespaceIndex(rawValue: index)).count == 20)
        }
        tables.reclaim()
        #expect(tables.usage.nodeBytes == 0 && tables.usage.leafBytes == 0)
        // The first block of words is every empty table's direct part.
        #expect(tables.usage.wordBytes == 4 << WordAllocator.smallestOrder)
    }

    @Test("blocks never overlap, whatever comes and goes", arguments: [1, 2, 3] as [UInt64])
    func blocks(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var allocator = try BlockAllocator(units: 16 * BlockAllocator.chunkUnits)
        var owners = Array(repeating: 0, count: 16 * BlockAllocator.chunkUnits)
        var blocks: [(first: Int, size: Int)] = []
        for step in 1...20_000 {
            if Bool.random(using: &random), let block = blocks.popLast() {
                allocator.free(UInt32(block.first), size: block.size)
                for unit in block.first..<block.first + block.size { owners[unit] = 0 }
            } else {
                // A phase prefers small blocks, the next one large ones.
                let limit = step / 2_000 % 2 == 0 ? 8 : 64
                let size = Int.random(in: 1...limit, using: &random)
                guard let first = allocator.allocate(size).map(Int.init) else { continue }
                #expect(owners[first..<first + size].allSatisfy { $0 == 0 })
                for unit in first..<first + size { owners[unit] = step }
                blocks.insert((first, size), at: Int.random(in: 0...blocks.count, using: &random))
            }
        }
        for block in blocks { allocator.free(UInt32(block.first), size: block.size) }
        #expect(allocator.usedUnits == 0)
        // All chunks are free again: the whole can be taken in the largest blocks.
        for _ in 0..<12 * 16 { #expect(allocator.allocate(64) != nil) }
        // All but the reserve.
        #expect(allocator.allocate(1) == nil)
        for _ in 0..<4 * 16 { #expect(allocator.allocate(64, usesReserve: true) != nil) }
        #expect(allocator.allocate(1, usesReserve: true) == nil)
    }

    @Test("halves of words become one again")
    func words() {
        var allocator = WordAllocator(order: 10)
        let blocks = (0..<32).map { _ in allocator.allocate(order: 5) }
        #expect(Set(blocks).count == 32 && !blocks.contains(nil))
        #expect(allocator.allocate(order: 5) == nil)
        for case let block? in blocks { allocator.free(block, order: 5) }
        #expect(allocator.allocate(order: 10) == 0)
    }

    /// What is in use, the nodes of tries apart, of which free ones count too.
    private func blockUsage(of tables: borrowing ForwardingTables) -> ForwardingUsage {
        var usage = tables.usage
        usage.trieBytes = 0
        return usage
    }

    private func probes() -> [IPv4Address] {
        (0..<2_000).map { IPv4Address(rawValue: 0x0A00_0000 &+ UInt32($0) &* 0x2101) }
            + ["10.1.2.3", "10.1.2.0", "203.0.113.9", "0.0.0.0"].compactMap { IPv4Address($0) }
    }

    /// 200 routes about 10.0.0.0/8, with equal paths among them.
    private func filledTables(_ quiescence: Quiescence) throws -> ForwardingTables {
        var tables = try ForwardingTables(quiescence: quiescence)
        try tables.addNamespace(namespace)
        for (text, hop) in [("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("0.0.0.0/0", 3)] {
            let prefix = try #require(IPv4Prefix(text))
            _ = try tables.add(
                Route(prefix, nextHops: hops(UInt32(hop), UInt32(hop) + 10)), in: namespace)
        }
        for index in 0..<200 as Range<UInt32> {
            let prefix = Prefix(
                IPv4Address(rawValue: 0x0A00_0000 &+ index &* 0x41_0300), length: 24)
            _ = try tables.put(
                Route(prefix, nextHops: hops(100 + index % 7)), .replace, in: namespace)
        }
        return tables
    }
}

/// Next hops of equal weight.
func hops(_ destinations: UInt32...) -> [NextHop] {
    destinations.map { NextHop(DestinationHandle(rawValue: $0)) }
}

extension ForwardingReader {
    /// All destinations that flows to an address go to, by handle.
    func destinations(of address: IPv4Address, in namespace: NamespaceIndex) -> [UInt32] {
        let paths = paths(of: lookup(address, in: namespace), in: namespace)
        let found = (0..<UInt64(PathBuckets.count)).map {
            destination(of: paths, flowHash: $0 << 57).rawValue
        }
        return Set(found).sorted()
    }
}
