import RoostRouter

/// A family as this program makes and measures its tables.
protocol MeasuredAddress: NetworkAddress {
    /// How many of a full table's thousand prefixes have a length; the rest are of the last one.
    static var lengths: [(length: Int, perMille: Int)] { get }
    /// A random address where a full table has prefixes.
    static func place(_ random: inout SeededRandom) -> Self
    /// The address with the bits past the first ones from another.
    func completed(from length: Int, by other: Self) -> Self
    /// An address of random bits.
    static func noise(_ random: inout SeededRandom) -> Self
    /// Adds a route to one next hop.
    static func add(
        _ prefix: Prefix<Self>, to hop: UInt32, in tables: inout ForwardingTables,
        _ namespace: NamespaceIndex) throws
    /// Removes a route.
    static func remove(
        _ prefix: Prefix<Self>, in tables: inout ForwardingTables, _ namespace: NamespaceIndex)
        throws
    /// The sum of what each finds, one at a time.
    static func sum(
        _ addresses: [Self], in reader: ForwardingReader, _ namespace: NamespaceIndex
    ) -> UInt64
    /// The same, 64 at once.
    static func sumOfBatches(
        _ addresses: [Self], in reader: ForwardingReader, _ namespace: NamespaceIndex
    ) -> UInt64
}

extension IPv4Address: MeasuredAddress {
    // About what a full table of 2023 had.
    static var lengths: [(length: Int, perMille: Int)] {
        [
            (8, 1), (12, 1), (14, 1), (15, 1), (16, 14), (17, 9), (18, 15), (19, 27), (20, 46),
            (21, 54), (22, 116), (23, 105), (25, 1), (28, 1), (32, 1), (24, 0),
        ]
    }

    static func place(_ random: inout SeededRandom) -> IPv4Address {
        // 1.0.0.0 to 223.255.255.255.
        IPv4Address(rawValue: UInt32.random(in: 0x0100_0000..<0xE000_0000, using: &random))
    }

    func completed(from length: Int, by other: IPv4Address) -> IPv4Address {
        let rest = length == 32 ? 0 : UInt32.max >> UInt32(length)
        return IPv4Address(rawValue: rawValue & ~rest | other.rawValue & rest)
    }

    static func noise(_ random: inout SeededRandom) -> IPv4Address {
        IPv4Address(rawValue: UInt32(truncatingIfNeeded: random.next()))
    }

    static func add(
        _ prefix: Prefix<IPv4Address>, to hop: UInt32, in tables: inout ForwardingTables,
        _ namespace: NamespaceIndex
    ) throws {
        let nextHops = [NextHop(DestinationHandle(rawValue: hop))]
        _ = try tables.add(Route(prefix, nextHops: nextHops), in: namespace)
    }

    static func remove(
        _ prefix: Prefix<IPv4Address>, in tables: inout ForwardingTables,
        _ namespace: NamespaceIndex
    ) throws {
        _ = try tables.remove(prefix, in: namespace)
    }

    static func sum(
        _ addresses: [IPv4Address], in reader: ForwardingReader, _ namespace: NamespaceIndex
    ) -> UInt64 {
        var sum: UInt64 = 0
        for address in addresses {
            sum &+= UInt64(reader.lookup(address, in: namespace).rawValue)
        }
        return sum
    }

    static func sumOfBatches(
        _ addresses: [IPv4Address], in reader: ForwardingReader, _ namespace: NamespaceIndex
    ) -> UInt64 {
        var found = [UInt16](repeating: 0, count: 64)
        var sum: UInt64 = 0
        let all = addresses.span
        var results = found.mutableSpan
        for start in stride(from: 0, to: all.count, by: 64) {
            reader.lookup(all.extracting(start..<start + 64), in: namespace, into: &results)
            for index in results.indices { sum &+= UInt64(results[index]) }
        }
        return sum
    }
}

extension IPv6Address: MeasuredAddress {
    // About what a full table of 2023 had.
    static var lengths: [(length: Int, perMille: Int)] {
        [
            (29, 25), (32, 120), (33, 15), (34, 12), (36, 60), (38, 12), (40, 85), (42, 20),
            (44, 110), (46, 35), (47, 25), (56, 3), (64, 3), (128, 1), (48, 0),
        ]
    }

    static func place(_ random: inout SeededRandom) -> IPv6Address {
        // 25,000 blocks of 32 bits in the registries' blocks of 12, and anything below them.
        let registries: [UInt64] = [0x200, 0x240, 0x260, 0x280, 0x2A0, 0x2C0]
        var block = SeededRandom(seed: random.next() % 25_000)
        let first = registries[Int(block.next() % 6)] << 20 | block.next() >> 44
        return IPv6Address(high: first << 32 | random.next() >> 32, low: random.next())
    }

    func completed(from length: Int, by other: IPv6Address) -> IPv6Address {
        let kept = masked(to: length)
        let cut = other.masked(to: length)
        return IPv6Address(
            high: kept.high | other.high ^ cut.high, low: kept.low | other.low ^ cut.low)
    }

    static func noise(_ random: inout SeededRandom) -> IPv6Address {
        IPv6Address(high: random.next(), low: random.next())
    }

    static func add(
        _ prefix: Prefix<IPv6Address>, to hop: UInt32, in tables: inout ForwardingTables,
        _ namespace: NamespaceIndex
    ) throws {
        let nextHops = [NextHop(DestinationHandle(rawValue: hop))]
        _ = try tables.add(Route(prefix, nextHops: nextHops), in: namespace)
    }

    static func remove(
        _ prefix: Prefix<IPv6Address>, in tables: inout ForwardingTables,
        _ namespace: NamespaceIndex
    ) throws {
        _ = try tables.remove(prefix, in: namespace)
    }

    static func sum(
        _ addresses: [IPv6Address], in reader: ForwardingReader, _ namespace: NamespaceIndex
    ) -> UInt64 {
        var sum: UInt64 = 0
        for address in addresses {
            sum &+= UInt64(reader.lookup(address, in: namespace).rawValue)
        }
        return sum
    }

    static func sumOfBatches(
        _ addresses: [IPv6Address], in reader: ForwardingReader, _ namespace: NamespaceIndex
    ) -> UInt64 {
        var found = [UInt16](repeating: 0, count: 64)
        var sum: UInt64 = 0
        let all = addresses.span
        var results = found.mutableSpan
        for start in stride(from: 0, to: all.count, by: 64) {
            reader.lookup(all.extracting(start..<start + 64), in: namespace, into: &results)
            for index in results.indices { sum &+= UInt64(results[index]) }
        }
        return sum
    }
}

/// Routes of a table, in random order, each with a next hop of 4,095.
struct Inputs<Address: MeasuredAddress> {
    static var hopCount: UInt32 { 4095 }

    let prefixes: [Prefix<Address>]
    let hops: [UInt32]
    private let seed: UInt64

    /// Makes routes of a full table's lengths, the same for the same seed.
    init(count: Int, seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var seen: Set<Prefix<Address>> = []
        var prefixes: [Prefix<Address>] = []
        while prefixes.count < count {
            var left = Int(random.next() % 1000)
            let lengths = Address.lengths
            let choice = lengths.first { entry in
                left -= entry.perMille
                return left < 0
            }
            let length = choice?.length ?? lengths[lengths.count - 1].length
            let prefix = Prefix(Address.place(&random), length: length)
            if seen.insert(prefix).inserted { prefixes.append(prefix) }
        }
        self.prefixes = prefixes
        hops = prefixes.map { _ in UInt32.random(in: 1...Self.hopCount, using: &random) }
        self.seed = random.next()
    }

    /// Only some of the routes.
    func filter(_ isKept: (Prefix<Address>) -> Bool) -> Inputs<Address> {
        let kept = prefixes.indices.filter { isKept(prefixes[$0]) }
        return Inputs(
            prefixes: kept.map { prefixes[$0] }, hops: kept.map { hops[$0] }, seed: seed)
    }

    private init(prefixes: [Prefix<Address>], hops: [UInt32], seed: UInt64) {
        self.prefixes = prefixes
        self.hops = hops
        self.seed = seed
    }

    /// A million addresses in prefixes of the table; only some different ones, if asked for.
    func addresses(different: Int? = nil) -> [Address] {
        var random = SeededRandom(seed: seed)
        let count = 1 << 20
        let pool = (0..<(different ?? count)).map { _ in
            let prefix = prefixes[Int(random.next() % UInt64(prefixes.count))]
            return prefix.address.completed(from: prefix.length, by: .noise(&random))
        }
        guard let different else { return pool }
        return (0..<count).map { _ in pool[Int(random.next() % UInt64(different))] }
    }
}
