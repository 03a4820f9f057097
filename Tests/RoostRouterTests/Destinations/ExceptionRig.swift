import Testing

@testable import RoostRouter

/// What entries leave behind, in a test.
struct RigOperations: DestinationOperations, ~Copyable {
    /// The neighbours whose claims came back.
    var releasedNeighbours: [UInt32] = []

    mutating func destroy(_ remains: DestinationRemains) {
        if !remains.neighbour.isNone { releasedNeighbours.append(remains.neighbour.rawValue) }
    }

    mutating func rehome(_ neighbour: NeighbourHandle, from: PortIndex, to: PortIndex) {}
}

/// Clocks that stand.
private struct RigClock: CollectorClock {
    let now: UInt64
    func ticks() -> UInt64 { now }
    func threadNanoseconds() -> UInt64 { 0 }
    func wallNanoseconds() -> UInt64 { 0 }
}

/// Two namespaces with two ports each, their destinations and exceptions, and a time.
final class ExceptionRig {
    static let first = NamespaceIndex(rawValue: 1)
    static let second = NamespaceIndex(rawValue: 2)

    let quotas: QuotaLedger
    let quiescence: Quiescence
    var table: DestinationTable
    var exceptions: ExceptionTable
    var operations: RigOperations
    var now: UInt64 = 1_000_000

    init(
        share: QuotaLimits = QuotaLimits(each: 1000), perNextHop: Int = 4096,
        exactChange: Int = 1024, entries: Int = 8192
    ) throws {
        quotas = try QuotaLedger(ceilings: QuotaLimits(each: 1 << 20))
        var limits = DestinationLimits()
        limits.entryCount = entries
        quiescence = try Quiescence(readerLimit: 4)
        table = try DestinationTable(limits: limits, workerCount: 1, quiescence: quiescence)
        var bounds = ExceptionLimits()
        bounds.perNextHop = perNextHop
        bounds.exactChange = exactChange
        exceptions = try ExceptionTable(
            limits: bounds, slab: table.slab, quotas: quotas,
            random: KeyedRandom(key: SipHashKey(low: 5, high: 16)))
        operations = RigOperations()
        for namespace in [Self.first, Self.second] {
            try quotas.setLimits(share, of: namespace)
            let number = namespace.rawValue * 10
            try table.addNamespace(namespace, loopback: PortIndex(rawValue: number))
            for port in number + 1...number + 2 {
                try table.addPort(PortIndex(rawValue: port), namespace: namespace)
            }
        }
    }

    /// A next hop's entry on the first or second port of a namespace.
    func nextHop(
        in namespace: NamespaceIndex = ExceptionRig.first, port: UInt16 = 1, isOnLink: Bool = false,
        family: AddressFamily = .ipv4
    ) -> DestinationHandle {
        let handle = table.allocate(
            family, namespace: namespace, now: now, operations: &operations)
        var contents = DestinationContents()
        contents.port = PortIndex(rawValue: namespace.rawValue * 10 + port)
        contents.input = .forward
        contents.output = .forward
        contents.gateway = (0, 0x0A00_0001)
        if isOnLink { contents.flags = .isOnLink }
        table.finish(handle, as: contents)
        return handle
    }

    func learnMTU(
        _ mtu: UInt32, of place: ExceptionPlace, linkMTU: UInt16 = 1500
    ) -> ExceptionOutcome {
        exceptions.learnPathMTU(
            PathMTU.Report(mtu: mtu, packetByteCount: linkMTU, headerByteCount: 20), of: place,
            linkMTU: linkMTU, in: &table, operations: &operations, now: now)
    }

    func learnRedirect(
        to gateway: UInt64, neighbour: UInt32, of place: ExceptionPlace
    ) -> ExceptionOutcome {
        exceptions.learnRedirect(
            to: (0, gateway), neighbour: NeighbourHandle(rawValue: neighbour), of: place,
            in: &table, operations: &operations, now: now)
    }

    func learnFailure(of place: ExceptionPlace) -> ExceptionOutcome {
        exceptions.learnFailure(
            .hostUnreachable, of: place, in: &table, operations: &operations, now: now)
    }

    func setPolicy(
        _ policy: ExceptionFacts.Policy?, of place: ExceptionPlace
    ) -> ExceptionOutcome {
        exceptions.setPolicy(policy, of: place, in: &table, operations: &operations, now: now)
    }

    /// Lets time pass and ends what ends.
    func wait(_ milliseconds: UInt64) {
        now += milliseconds
        while !exceptions.expire(in: &table, operations: &operations, now: now, budget: 64) {}
    }

    /// Destroys all retired entries that nobody holds.
    func collect() {
        for _ in 0..<3 {
            now += 120_000
            while case .more = table.collect(clock: RigClock(now: now), operations: &operations) {}
        }
    }

    /// One pass of the collector without time passing for facts.
    func collectAhead() {
        while case .more = table.collect(
            clock: RigClock(now: now + 1_000_000), operations: &operations)
        {}
    }

    /// How many entries a namespace has, those that wait to be destroyed included.
    func entryCount(of namespace: NamespaceIndex) -> Int {
        table.account(of: namespace).entries
    }

    /// The entry that a worker finds, and what it says.
    func find(_ place: ExceptionPlace) -> DestinationHandle {
        let namespace = table.slab.word(of: place.nextHop).namespace
        return exceptions.index.find(
            nextHop: place.nextHop, high: place.high, low: place.low, namespace: namespace)
    }

    func word(_ place: ExceptionPlace) -> DestinationWord { table.slab.word(of: find(place)) }

    func mtu(_ place: ExceptionPlace) -> UInt16 { table.slab.link(of: find(place)).pathMTU }

    /// A worker sends a packet by an exception.
    func use(_ place: ExceptionPlace) {
        table.slab.recordUse(of: find(place), worker: 0, now: now)
    }
}

extension ExceptionPlace {
    /// An IPv4 destination by its number.
    init(_ nextHop: DestinationHandle, _ number: UInt32) {
        self.init(nextHop: nextHop, address: IPv4Address(rawValue: number))
    }
}
