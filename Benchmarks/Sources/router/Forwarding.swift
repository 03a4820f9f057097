import Foundation
@_spi(Benchmarks) import RoostRouter

/// One packet's way through the forwarding step, beside the floor in C.
func forwarding(routeCounts: [Int]) throws {
    say("Clock reads in each number: \(decimal(clockShare(), 2)) ns a packet.\n")
    head(["table", "destinations", "Roost, ns/packet", "C, ns/packet", "Roost / C"])
    for count in routeCounts {
        var inputs = Inputs<IPv4Address>(count: count, seed: 1)
        inputs = inputs.forwardable
        var pair = try Pair(inputs)
        for different in [1, 4_096, 1 << 20] {
            let addresses = inputs.addresses(different: different == 1 << 20 ? nil : different)
            try pair.measure(addresses, "\(count) routes", "\(different)")
        }
    }
    let hosts = (0..<1_000 as Range<UInt32>).map { IPv4Address(rawValue: 0x0A80_0002 + $0) }
    var pair = try Pair(neighbours: hosts)
    var random = SeededRandom(seed: 2)
    let addresses = (0..<1 << 20).map { _ in hosts[Int(random.next() % 1_000)] }
    try pair.measure(addresses, "on the link", "1000")
    say("")
}

/// The same router twice.
private struct Pair: ~Copyable {
    private static let turns = 41
    private static let batchesPerTurn = 1_024
    private static let gatewayCount: UInt32 = 16

    private var roost: InMemoryRouter
    private let floor: Floor
    private let packet = PacketFrame(forPort: 0)
    private var batch = [UInt8](
        repeating: 0, count: InMemoryRouter.batchCapacity * frameByteCount)

    /// Routers with routes by 16 gateways on one link.
    init(_ inputs: Inputs<IPv4Address>) throws {
        let gateways = (0..<Self.gatewayCount).map { IPv4Address(rawValue: 0x0A00_0202 + $0) }
        var namespace = NamespaceConfiguration(
            name: "main", ports: [port("left", "10.0.1.1/24"), port("right", "10.0.2.1/24")])
        namespace.routes = zip(inputs.prefixes, inputs.hops).map { prefix, hop in
            let gateway = gateways[Int(hop % Self.gatewayCount)]
            return RouteConfiguration(
                .ipv4(prefix), .forward([NextHopConfiguration(.ipv4(gateway), port: "right")]))
        }
        let floor = try Floor()
        for (number, gateway) in gateways.enumerated() {
            floor.setHop(UInt16(number + 1), mac: hostMAC(gateway), port: 1)
        }
        let routes = zip(inputs.prefixes, inputs.hops).sorted { $0.0.length < $1.0.length }
        for (prefix, hop) in routes {
            try floor.add(prefix, hop: UInt16(hop % Self.gatewayCount + 1))
        }
        roost = try InMemoryRouter(RouterConfiguration(namespaces: [namespace]))
        self.floor = floor
        setPorts()
        // Packets that go by each of the gateways.
        for gateway in 0..<Self.gatewayCount {
            guard let place = inputs.hops.firstIndex(where: { $0 % Self.gatewayCount == gateway })
            else { continue }
            roost.resolve([inputs.prefixes[place].address], by: packet)
        }
        roost.resolve(gateways, by: packet)
    }

    /// Routers with neighbours on a link.
    init(neighbours: [IPv4Address]) throws {
        let floor = try Floor()
        let prefix = Prefix(IPv4Address(rawValue: 0x0A80_0000), length: 9)
        try floor.addLink(prefix, port: 1, neighbours: neighbours)
        roost = try InMemoryRouter(
            RouterConfiguration(namespaces: [
                NamespaceConfiguration(
                    name: "main",
                    ports: [port("left", "10.0.1.1/24"), port("right", "10.255.0.1/9")])
            ]))
        self.floor = floor
        setPorts()
        roost.resolve(neighbours, by: packet)
    }

    private func setPorts() {
        for number in 0..<2 as Range<UInt16> {
            floor.setPort(number, mac: InMemoryRouter.mac(ofPort: Int(number)))
        }
    }

    /// Measures both by turns, and prints a row.
    mutating func measure(_ addresses: [IPv4Address], _ table: String, _ name: String) throws {
        try compare(addresses)
        var times: (roost: [Double], floor: [Double]) = ([], [])
        for turn in 0..<Self.turns {
            if turn % 2 == 0 { times.roost.append(try passOfRoost(addresses, turn)) }
            times.floor.append(try passOfFloor(addresses, turn))
            if turn % 2 == 1 { times.roost.append(try passOfRoost(addresses, turn)) }
        }
        let roost = Spread(times.roost)
        let floor = Spread(times.floor)
        row([
            table, name, roost.text("%.1f"), floor.text("%.1f"),
            decimal(roost.median / floor.median),
        ])
    }

    /// Whether both make the same frames of a quarter of a million packets.
    private mutating func compare(_ addresses: [IPv4Address]) throws {
        for number in 0..<4_096 {
            fill(addresses, number)
            roost.load(batch, byteCount: frameByteCount)
            floor.load(batch, byteCount: frameByteCount)
            let counts = (roost.decide(fromPort: 0), floor.decide(now: roost.now))
            guard counts == (InMemoryRouter.batchCapacity, InMemoryRouter.batchCapacity) else {
                throw Failure("of 64 packets go out: Roost's \(counts.0), C's \(counts.1)")
            }
            guard roost.decidedBytes() == floor.decidedBytes() else {
                throw Failure("the frames of batch \(number) differ")
            }
        }
    }

    private mutating func fill(_ addresses: [IPv4Address], _ number: Int) {
        let capacity = InMemoryRouter.batchCapacity
        let first = number * capacity % addresses.count
        for slot in 0..<capacity {
            packet.write(
                to: addresses[first + slot], into: &batch, at: slot * frameByteCount)
        }
    }

    /// The median of a turn's batches, in nanoseconds a packet; what fills a batch is not timed.
    private mutating func passOfRoost(_ addresses: [IPv4Address], _ turn: Int) throws -> Double {
        var times: [Double] = []
        times.reserveCapacity(Self.batchesPerTurn)
        for number in turn * Self.batchesPerTurn..<(turn + 1) * Self.batchesPerTurn {
            fill(addresses, number)
            roost.load(batch, byteCount: frameByteCount)
            let start = nanoseconds(CLOCK_MONOTONIC)
            let count = roost.decide(fromPort: 0)
            let end = nanoseconds(CLOCK_MONOTONIC)
            guard count == InMemoryRouter.batchCapacity else { throw Failure("a packet was lost") }
            times.append(Double(end - start) / Double(count))
        }
        return Spread(times).median
    }

    private mutating func passOfFloor(_ addresses: [IPv4Address], _ turn: Int) throws -> Double {
        var times: [Double] = []
        times.reserveCapacity(Self.batchesPerTurn)
        for number in turn * Self.batchesPerTurn..<(turn + 1) * Self.batchesPerTurn {
            fill(addresses, number)
            floor.load(batch, byteCount: frameByteCount)
            let start = nanoseconds(CLOCK_MONOTONIC)
            let count = floor.decide(now: roost.now)
            let end = nanoseconds(CLOCK_MONOTONIC)
            guard count == InMemoryRouter.batchCapacity else { throw Failure("a packet was lost") }
            times.append(Double(end - start) / Double(count))
        }
        return Spread(times).median
    }
}

extension Inputs<IPv4Address> {
    /// Without the prefixes of addresses that are not forwarded, or are the router's links.
    fileprivate var forwardable: Inputs<IPv4Address> {
        filter { prefix in
            let first = prefix.address.rawValue >> 24
            return first != 10 && first != 127 && first != 169
        }
    }
}

/// What two reads of the clock add to a packet of a batch.
private func clockShare() -> Double {
    let reads = (0..<10_001).map { _ in
        let start = nanoseconds(CLOCK_MONOTONIC)
        return Double(nanoseconds(CLOCK_MONOTONIC) - start)
    }
    return Spread(reads).median / Double(InMemoryRouter.batchCapacity)
}
