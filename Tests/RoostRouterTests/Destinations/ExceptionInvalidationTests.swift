import TestSupport
import Testing

@testable import RoostRouter

/// A family in whose small corner the oracle plays.
protocol OracleAddress: NetworkAddress {
    /// One of 256 addresses at the end of the family's, spread over its middle.
    static func make(_ number: UInt64) -> Self
    /// The lengths of prefixes that tell them apart.
    static var lengths: [Int] { get }
    static var family: AddressFamily { get }
    static func routeChanged(
        _ prefix: Prefix<Self>, lost: [DestinationHandle], in rig: ExceptionRig,
        matchLength: (Self) -> Int
    ) -> ExceptionInvalidation
}

extension IPv4Address: OracleAddress {
    static func make(_ number: UInt64) -> IPv4Address {
        IPv4Address(rawValue: 0xFFFF_FF00 | UInt32(number))
    }
    static var lengths: [Int] { [0] + Array(24...32) }
    static var family: AddressFamily { .ipv4 }
    static func routeChanged(
        _ prefix: IPv4Prefix, lost: [DestinationHandle], in rig: ExceptionRig,
        matchLength: (IPv4Address) -> Int
    ) -> ExceptionInvalidation {
        rig.exceptions.routeChanged(
            prefix, lost: lost, in: ExceptionRig.first, of: &rig.table, now: rig.now,
            matchLength: matchLength)
    }
}

extension IPv6Address: OracleAddress {
    /// Four bits on either side of the halves' border.
    static func make(_ number: UInt64) -> IPv6Address {
        IPv6Address(high: .max << 4 | number >> 4, low: number << 60)
    }
    static var lengths: [Int] { [0] + Array(60...68) + [128] }
    static var family: AddressFamily { .ipv6 }
    static func routeChanged(
        _ prefix: IPv6Prefix, lost: [DestinationHandle], in rig: ExceptionRig,
        matchLength: (IPv6Address) -> Int
    ) -> ExceptionInvalidation {
        rig.exceptions.routeChanged(
            prefix, lost: lost, in: ExceptionRig.first, of: &rig.table, now: rig.now,
            matchLength: matchLength)
    }
}

/// Routes as a list, searched from end to end.
private struct OracleRoutes<Address: OracleAddress> {
    var routes: [Prefix<Address>: Set<DestinationHandle>] = [:]

    func match(_ address: Address) -> Prefix<Address>? {
        routes.keys.filter { $0.contains(address) }.max { $0.length < $1.length }
    }

    func nextHops(_ address: Address) -> Set<DestinationHandle> {
        match(address).flatMap { routes[$0] } ?? []
    }

    /// What addresses of a prefix that nothing more specific covers go by.
    func nextHops(at prefix: Prefix<Address>) -> Set<DestinationHandle> {
        let covering = routes.keys.filter { $0.contains(prefix) }.max { $0.length < $1.length }
        return covering.flatMap { routes[$0] } ?? []
    }
}

@Suite("Exact invalidation of exceptions")
struct ExceptionInvalidationTests {
    /// An exception as the test knows it.
    private struct Known: Hashable {
        let number: UInt64
        let nextHop: DestinationHandle
    }

    /// Every exception there is, with its entry's words.
    private static func present<Address: OracleAddress>(
        _ nextHops: [DestinationHandle], _ rig: ExceptionRig, of type: Address.Type
    ) -> [Known: [UInt64]] {
        var present: [Known: [UInt64]] = [:]
        for nextHop in nextHops {
            for number in 0..<256 as Range<UInt64> {
                let place = ExceptionPlace(nextHop: nextHop, address: Address.make(number))
                let entry = rig.find(place)
                guard !entry.isNone else { continue }
                present[Known(number: number, nextHop: nextHop)] = [
                    UInt64(entry.rawValue), rig.table.slab.word(of: entry).rawValue,
                    rig.table.slab.link(of: entry).rawValue,
                ]
            }
        }
        return present
    }

    private static func play<Address: OracleAddress>(_ type: Address.Type, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let rig = try ExceptionRig()
        let nextHops = (0..<6 as Range<UInt16>).map {
            rig.nextHop(port: $0 % 2 + 1, family: Address.family)
        }
        var oracle = OracleRoutes<Address>()
        var removed = 0
        for _ in 0..<400 {
            // Facts are learned only by way of the routes there are.
            for _ in 0..<20 {
                let address = Address.make(UInt64.random(in: 0..<256, using: &random))
                guard
                    let nextHop = oracle.nextHops(address).sorted(by: { $0.rawValue < $1.rawValue })
                        .randomElement(using: &random)
                else { continue }
                _ = rig.learnMTU(1400, of: ExceptionPlace(nextHop: nextHop, address: address))
            }
            let before = present(nextHops, rig, of: type)
            let length = Address.lengths.randomElement(using: &random) ?? 0
            let prefix = Prefix(
                Address.make(UInt64.random(in: 0..<256, using: &random)), length: length)
            let old = oracle.nextHops(at: prefix)
            if oracle.routes[prefix] != nil && Bool.random(using: &random) {
                oracle.routes[prefix] = nil
            } else {
                let count = Int.random(in: 1...3, using: &random)
                oracle.routes[prefix] = Set(nextHops.shuffled(using: &random).prefix(count))
            }
            let lost = old.subtracting(oracle.nextHops(at: prefix))
            let done = Address.routeChanged(prefix, lost: Array(lost), in: rig) {
                oracle.match($0)?.length ?? 0
            }
            let expected = before.filter {
                oracle.nextHops(Address.make($0.key.number)).contains($0.key.nextHop)
            }
            #expect(present(nextHops, rig, of: type) == expected)
            #expect(done.removed == before.count - expected.count)
            // Beside those that go, one is looked at for each more specific route and lost next hop.
            let specific = oracle.routes.keys.count { prefix.contains($0) && $0 != prefix }
            #expect(done.visited - done.removed <= specific * lost.count)
            #expect(!done.isWhole)
            removed += done.removed
            rig.collectAhead()
        }
        #expect(removed > 100)
    }

    @Test(
        "NET-15: a route's change removes the exceptions whose answer changes, and touches no other",
        arguments: [UInt64(1), 2, 3])
    func ipv4(seed: UInt64) throws {
        try Self.play(IPv4Address.self, seed: seed)
    }

    @Test(
        "NET-15: an IPv6 route's change removes the exceptions whose answer changes, and no other",
        arguments: [UInt64(1), 2, 3])
    func ipv6(seed: UInt64) throws {
        try Self.play(IPv6Address.self, seed: seed)
    }

    @Test("NET-15: a port's loss removes the exceptions through it, in slices, and no other")
    func port() throws {
        let rig = try ExceptionRig()
        let nextHops = [rig.nextHop(port: 1), rig.nextHop(port: 1), rig.nextHop(port: 2)]
        for nextHop in nextHops {
            for number in 0..<10 as Range<UInt64> {
                _ = rig.learnMTU(
                    1400,
                    of: ExceptionPlace(nextHop: nextHop, address: IPv4Address.make(number)))
            }
        }
        let before = Self.present(nextHops, rig, of: IPv4Address.self)
        let port = PortIndex(rawValue: 11)
        var slices = 1
        while !rig.exceptions.portLost(port, of: &rig.table, now: rig.now, budget: 6) {
            slices += 1
        }
        #expect(slices == 4)
        let expected = before.filter { $0.key.nextHop == nextHops[2] }
        #expect(Self.present(nextHops, rig, of: IPv4Address.self) == expected)
        #expect(expected.count == 10)
    }

    @Test("NET-15: a next hop's loss removes its exceptions and lets it go")
    func nextHop() throws {
        let rig = try ExceptionRig()
        let nextHops = [rig.nextHop(), rig.nextHop()]
        for nextHop in nextHops {
            for number in 0..<10 as Range<UInt32> {
                _ = rig.learnMTU(1400, of: ExceptionPlace(nextHop, number))
            }
        }
        _ = rig.learnFailure(of: ExceptionPlace(nextHops[0], 1))
        var slices = 1
        while !rig.exceptions.nextHopLost(nextHops[0], of: &rig.table, now: rig.now, budget: 4) {
            slices += 1
        }
        #expect(slices == 3)
        #expect(rig.exceptions.count(in: ExceptionRig.first) == 10)
        rig.table.retire(nextHops[0], now: rig.now)
        rig.collect()
        #expect(rig.table.state(of: nextHops[0]) == .free)
        // The failure's timer is gone, too.
        #expect(rig.exceptions.timers.count == 10)
    }

    @Test("NET-15: a neighbour's loss ends redirects to it, and leaves what else is known")
    func neighbour() throws {
        let rig = try ExceptionRig()
        let nextHop = rig.nextHop()
        let places = (0..<4 as Range<UInt32>).map { ExceptionPlace(nextHop, $0) }
        for place in places { _ = rig.learnRedirect(to: 77, neighbour: 3, of: place) }
        _ = rig.learnMTU(1400, of: places[1])
        _ = rig.learnRedirect(to: 78, neighbour: 4, of: places[2])
        let kept = rig.find(places[2])
        let isDone = rig.exceptions.neighbourLost(
            NeighbourHandle(rawValue: 3), of: &rig.table, operations: &rig.operations,
            now: rig.now, budget: 10)
        #expect(isDone)
        #expect(rig.find(places[0]).isNone)
        #expect(rig.mtu(places[1]) == 1400)
        #expect(rig.table.slab.gateway(of: rig.find(places[1])).low == 0x0A00_0001)
        #expect(rig.find(places[2]) == kept)
        #expect(rig.find(places[3]).isNone)
        rig.collect()
        // Four to the lost neighbour, the third's when it was redirected anew.
        #expect(rig.operations.releasedNeighbours == [3, 3, 3, 3])
    }

    @Test(
        "NET-15: too much at once changes the namespace's generation, and a sweep finds what stays")
    func generation() throws {
        let rig = try ExceptionRig(exactChange: 10)
        let nextHops = [rig.nextHop(), rig.nextHop(), rig.nextHop(in: ExceptionRig.second)]
        for nextHop in nextHops {
            for number in 0..<20 as Range<UInt32> {
                _ = rig.learnMTU(1400, of: ExceptionPlace(nextHop, number))
            }
        }
        let done = rig.exceptions.routeChanged(
            IPv4Prefix.all, lost: [nextHops[0]], in: ExceptionRig.first, of: &rig.table,
            now: rig.now,
            matchLength: { _ in 0 })
        #expect(done.isWhole)
        #expect(done.removed == 10)
        // Until they are looked at, none of the namespace is believed, and others' are.
        #expect(rig.find(ExceptionPlace(nextHops[1], 5)).isNone)
        #expect(!rig.find(ExceptionPlace(nextHops[2], 5)).isNone)
        // One learned meanwhile is of the new generation, whatever was known before.
        #expect(rig.learnMTU(1300, of: ExceptionPlace(nextHops[1], 5)) == .learned)
        #expect(rig.mtu(ExceptionPlace(nextHops[1], 5)) == 1300)
        var slices = 1
        while !rig.exceptions.revalidate(
            of: &rig.table, now: rig.now, budget: 7,
            isAnswer: { place, _ in place.nextHop == nextHops[1] })
        {
            slices += 1
        }
        #expect(slices == 5)
        for number in 0..<20 as Range<UInt32> {
            #expect(rig.find(ExceptionPlace(nextHops[0], number)).isNone)
            #expect(!rig.find(ExceptionPlace(nextHops[1], number)).isNone)
        }
        #expect(rig.exceptions.count(in: ExceptionRig.first) == 20)
    }

    @Test("a namespace's loss takes all of its exceptions, and no other's")
    func namespace() throws {
        let rig = try ExceptionRig()
        let nextHops = [rig.nextHop(), rig.nextHop(in: ExceptionRig.second)]
        for nextHop in nextHops {
            for number in 0..<5 as Range<UInt32> {
                _ = rig.learnMTU(1400, of: ExceptionPlace(nextHop, number))
            }
        }
        let isDone = rig.exceptions.namespaceLost(
            ExceptionRig.first, of: &rig.table, now: rig.now, budget: 10)
        #expect(isDone)
        #expect(rig.exceptions.count(in: ExceptionRig.first) == 0)
        #expect(rig.exceptions.count(in: ExceptionRig.second) == 5)
    }
}
