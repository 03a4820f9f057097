import CLookupPeers
import RoostRouter

/// IPv4 beside rte_lpm and rte_fib.
func ipv4(_ library: PeerLibrary?, counts: [Int]?) throws {
    try measure(
        IPv4Address.self, counts: counts ?? [20, 1_000, 900_000], library,
        kinds: [(clookup_lpm, "rte_lpm"), (clookup_fib, "rte_fib")])
}

/// IPv6 beside rte_lpm6 and rte_fib6.
func ipv6(_ library: PeerLibrary?, counts: [Int]?) throws {
    try measure(
        IPv6Address.self, counts: counts ?? [200_000], library,
        kinds: [(clookup_lpm6, "rte_lpm6"), (clookup_fib6, "rte_fib6")])
}

private func measure<Address: MeasuredAddress>(
    _ family: Address.Type, counts: [Int], _ library: PeerLibrary?,
    kinds: [(clookup_kind, String)]
) throws {
    for count in counts {
        let inputs = Inputs<Address>(count: count, seed: 9)
        let roost = try RoostTable<Address>()
        let peers = try kinds.compactMap { kind, name in
            library == nil
                ? nil : try PeerTable<Address>(kind, named: name, routes: count + 64)
        }
        say("\(Address.self), \(count) prefixes:\n")
        try load(inputs, roost, peers)
        try look(inputs, roost, peers)
        try update(inputs, roost, peers)
    }
}

/// Adds all prefixes once, and shows what tables take.
private func load<Address: MeasuredAddress>(
    _ inputs: Inputs<Address>, _ roost: RoostTable<Address>, _ peers: [PeerTable<Address>]
) throws {
    let count = Double(inputs.prefixes.count)
    let routes = peerRoutes(inputs.prefixes, inputs.hops)
    head(["table", "adds/s, all at once", "lookup memory, KiB", "control memory, KiB"])
    let start = processorTime()
    try roost.add(inputs.prefixes, inputs.hops)
    let own = (processorTime() - start) / 1e9
    let bytes = roost.bytes
    row([
        "Roost", decimal(count / own, 0), decimal(Double(bytes.lookup) / 1024, 1),
        decimal(Double(bytes.trie) / 1024, 1),
    ])
    try slowest(inputs)
    for peer in peers {
        let bytesBefore = peer.bytes
        let start = processorTime()
        try peer.add(routes)
        let duration = (processorTime() - start) / 1e9
        row([
            peer.name, decimal(count / duration, 0),
            decimal(Double(peer.createdBytes) / 1024, 1) + " made, rules included",
            decimal((Double(peer.bytes) - Double(bytesBefore)) / 1024, 1) + " since",
        ])
    }
    say("")
}

/// How long the processor is held up by one change at most: an add on the way to the full table, and
/// changes of short prefixes of it.
private func slowest<Address: MeasuredAddress>(_ inputs: Inputs<Address>) throws {
    let roost = try RoostTable<Address>()
    let clock = ContinuousClock()
    func time(_ length: Int, _ hop: UInt32) throws -> Double {
        let prefix = Prefix(inputs.prefixes[0].address, length: length)
        let add = try clock.measure { try roost.add([prefix], [hop]) }
        let removal = try clock.measure { try roost.remove([prefix]) }
        return max(add, removal) / .milliseconds(1)
    }
    var longest = 0.0
    for index in inputs.prefixes.indices {
        let duration = try clock.measure {
            try roost.add([inputs.prefixes[index]], [inputs.hops[index]])
        }
        longest = max(longest, duration / .milliseconds(1))
    }
    row([
        "Roost's longest change, ms: while adding \(decimal(longest))",
        "of a prefix of 0 bits \(decimal(try time(0, 77), 3))",
        "of 4 bits \(decimal(try time(4, 78), 3))", "of 10 bits \(decimal(try time(10, 79), 3))",
    ])
}

/// Looks up addresses of the table, many and few different ones.
private func look<Address: MeasuredAddress>(
    _ inputs: Inputs<Address>, _ roost: RoostTable<Address>, _ peers: [PeerTable<Address>]
) throws {
    head(["addresses", "by", "ns each", "million/s", "time / Roost's, alike"])
    for different in [nil, 65_536, 4_096] as [Int?] {
        let addresses = inputs.addresses(different: different)
        let theirs = PeerAddresses(addresses)
        let (reader, namespace) = (roost.reader, roost.namespace)
        var sides = [
            Side(name: "Roost, single") { Address.sum(addresses, in: reader, namespace) },
            Side(name: "Roost, 64 at once") {
                Address.sumOfBatches(addresses, in: reader, namespace)
            },
        ]
        for peer in peers {
            if peer.kind == clookup_lpm || peer.kind == clookup_lpm6 {
                sides.append(
                    Side(name: "\(peer.name), single") { peer.sum(theirs, isBulk: false) })
                sides.append(
                    Side(name: "\(peer.name), 64 at once") { peer.sum(theirs, isBulk: true) })
            } else {
                for (suffix, isVector) in [("scalar", false), ("AVX-512", true)] {
                    sides.append(
                        Side(name: "\(peer.name), 64 at once, \(suffix)") {
                            peer.setVector(isVector)
                            return peer.sum(theirs, isBulk: true)
                        })
                }
            }
        }
        let sums = try sides.map { try $0.pass() }
        guard sums.allSatisfy({ $0 == sums[0] }) else {
            throw Failure("sums differ: \(zip(sides, sums).map { "\($0.name) \($1)" })")
        }
        let times = try byTurns(sides, turns: 15, items: addresses.count)
        for (index, side) in sides.enumerated() {
            let own = times[side.name.contains("single") ? 0 : 1]
            row([
                different.map { "\($0) different" } ?? "random", side.name,
                times[index].text("%.2f"), decimal(1000 / times[index].median, 1),
                index < 2 ? "" : decimal(times[index].median / own.median),
            ])
        }
    }
    say("")
}

/// Removes some prefixes and adds them again.
private func update<Address: MeasuredAddress>(
    _ inputs: Inputs<Address>, _ roost: RoostTable<Address>, _ peers: [PeerTable<Address>]
) throws {
    let some = min(5_000, inputs.prefixes.count)
    let prefixes = Array(inputs.prefixes[..<some])
    let hops = Array(inputs.hops[..<some])
    let routes = peerRoutes(prefixes, hops)
    var names = ["Roost"]
    var removes: [() throws -> Void] = [{ try roost.remove(prefixes) }]
    var adds: [() throws -> Void] = [{ try roost.add(prefixes, hops) }]
    for peer in peers {
        names.append(peer.name)
        removes.append { try peer.remove(routes) }
        adds.append { try peer.add(routes) }
    }
    var removeTimes = names.map { _ in [Double]() }
    var addTimes = removeTimes
    for _ in 0..<5 {
        for side in names.indices {
            let start = processorTime()
            try removes[side]()
            let middle = processorTime()
            try adds[side]()
            removeTimes[side].append((middle - start) / 1000 / Double(some))
            addTimes[side].append((processorTime() - middle) / 1000 / Double(some))
        }
    }
    head(["table", "µs an add", "µs a removal", "add / Roost's", "removal / Roost's"])
    let (ownAdd, ownRemove) = (Spread(addTimes[0]).median, Spread(removeTimes[0]).median)
    for side in names.indices {
        let (add, remove) = (Spread(addTimes[side]), Spread(removeTimes[side]))
        row([
            names[side], add.text("%.2f"), remove.text("%.2f"), decimal(add.median / ownAdd),
            decimal(remove.median / ownRemove),
        ])
    }
    say("")
}
