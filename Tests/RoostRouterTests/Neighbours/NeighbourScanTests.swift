@testable import RoostRouter
import Testing
import TestSupport

@Suite("Neighbours and scans")
struct NeighbourScanTests {
    private typealias Bench = NeighbourBench

    private static var limits: NeighbourLimits {
        var limits = Bench.small
        limits.unresolvedPerPort = 32
        limits.entriesPerPort = 100
        return limits
    }

    @Test(
        "NET-12, NET-16: a scan stays in its bound, and costs neither its port nor others a neighbour"
    )
    func scan() throws {
        var bench = try Bench(limits: Self.limits)
        let mine = (1...60).map { Bench.key($0) }
        let others = (1...60).map { Bench.key($0, port: Bench.other) }
        for (index, key) in (mine + others).enumerated() {
            bench.resolve(key, Bench.link(index + 1))
            bench.now += 10
        }
        var peak = 0
        for number in 0..<20_000 {
            _ = bench.send(Bench.key(100_000 + number), 1)
            if number % 100 == 0 { bench.advance(milliseconds: 100) }
            if number % 1_000 == 0 {
                // Confirmed from time to time, as neighbours in use are.
                for key in mine + others {
                    bench.table.confirm(bench.table.view.find(key), now: bench.now, &bench.sink)
                }
            }
            peak = max(peak, bench.table.usage(of: Bench.namespace).asked)
        }
        #expect(peak == 32)
        for key in mine + others { #expect(bench.phase(key) == .reachable) }
        #expect(bench.table.usage(of: Bench.namespace).entries <= 100)
        #expect(bench.table.usage(of: Bench.namespace).refusedEntries > 0)
        #expect(bench.table.usage(of: Bench.otherNamespace).refusedEntries == 0)
        // The other port can still resolve all that it may.
        for number in 1_000..<1_032 {
            #expect(bench.send(Bench.key(number, port: Bench.other), 1) == .queued)
        }
    }

    @Test(
        "NET-12: solicitations of a scan keep to the port's rate; a next hop is asked for all the same"
    )
    func rate() throws {
        var limits = Bench.small
        limits.solicitationsPerSecond = 10
        limits.solicitationBurst = 5
        var quota = NeighbourQuota()
        quota.frames = 256
        var bench = try Bench(limits: limits, quota: quota)
        let nextHop = Bench.key(1)
        _ = bench.table.acquire(nextHop, &bench.sink)
        for number in 100..<200 { _ = bench.send(Bench.key(number), 1) }
        #expect(bench.taken().count == 5)
        #expect(bench.table.statistics.suppressedSolicitations == 95)
        #expect(bench.send(nextHop, 1) == .queued)
        #expect(bench.taken() == [.solicit(nextHop, nil)])
        // The rate of another port is its own.
        #expect(bench.send(Bench.key(1, port: Bench.other), 1) == .queued)
        #expect(bench.taken().count == 1)
        bench.now += 1_000
        for number in 300..<320 { _ = bench.send(Bench.key(number), 1) }
        #expect(bench.taken().count == 5)
    }

    @Test("NET-16: a next hop resolves while a scan has filled the port's share of questions")
    func nextHopDuringScan() throws {
        var bench = try Bench(limits: Self.limits)
        let nextHop = Bench.key(1)
        let handle = bench.table.acquire(nextHop, &bench.sink)
        for number in 100..<200 { _ = bench.send(Bench.key(number), 1) }
        _ = bench.taken()
        #expect(bench.send(nextHop, 1) == .queued)
        #expect(bench.taken() == [.solicit(nextHop, nil)])
        bench.answer(nextHop, Bench.link(1))
        #expect(bench.table.view.word(handle).isUsable)
    }

    @Test("a new question takes a remembered failure's place, never that of one still asked")
    func failuresMakeRoom() throws {
        var bench = try Bench(limits: Self.limits)
        for number in 100..<132 { #expect(bench.send(Bench.key(number), 1) == .queued) }
        #expect(bench.send(Bench.key(200), 1, context: 9) == .dropped(.unresolvedLimit))
        bench.advance(milliseconds: 4_000)
        #expect(bench.phase(Bench.key(100)) == .failed)
        #expect(bench.send(Bench.key(200), 1) == .queued)
        #expect(bench.table.view.find(Bench.key(100)).isNone)
    }

    @Test("neighbours that speak unasked push out stale ones, never those confirmed or held")
    func talkers() throws {
        var bench = try Bench(limits: Self.limits)
        let used = (1...10).map { Bench.key($0) }
        for (index, key) in used.enumerated() { bench.resolve(key, Bench.link(index + 1)) }
        bench.table.learned(Bench.key(50), link: Bench.link(50), now: bench.now, &bench.sink)
        let held = bench.table.view.find(Bench.key(50))
        bench.table.hold(held)
        for number in 1_000..<2_000 {
            bench.table.learned(
                Bench.key(number), link: Bench.link(number), now: bench.now, &bench.sink)
        }
        for key in used { #expect(bench.phase(key) == .reachable) }
        #expect(bench.table.view.find(Bench.key(50)) == held)
        #expect(bench.phase(Bench.key(1_999)) == .stale)
        #expect(bench.table.usage(of: Bench.namespace).entries == 100)
        #expect(bench.table.statistics.evictions > 0)
    }

    @Test("a port full of neighbours in use takes no other, and says so")
    func fullPort() throws {
        var limits = Bench.small
        limits.entriesPerPort = 10
        var bench = try Bench(limits: limits)
        for number in 1...10 { bench.resolve(Bench.key(number), Bench.link(number)) }
        #expect(bench.send(Bench.key(11), 1, context: 4) == .dropped(.entryLimit))
        #expect(bench.taken() == [.dropped(4, .entryLimit)])
        #expect(bench.table.acquire(Bench.key(12), &bench.sink).isNone == true)
        #expect(bench.send(Bench.key(1, port: Bench.other), 1) == .queued)
    }

    @Test("NET-16: waiting packets of one namespace leave the other's room alone")
    func waitingPackets() throws {
        var quota = NeighbourQuota()
        quota.frames = 4
        var bench = try Bench(quota: quota)
        for number in 1...4 { #expect(bench.send(Bench.key(number), 1) == .queued) }
        #expect(bench.send(Bench.key(5), 1) == .dropped(.frameLimit))
        #expect(bench.table.usage(of: Bench.namespace).refusedFrames == 1)
        for number in 1...4 {
            #expect(bench.send(Bench.key(number, port: Bench.other), 1) == .queued)
        }
    }

    @Test("NET-16: quotas that together pass the table are refused, and nothing changes")
    func promises() throws {
        var bench = try Bench()
        var quota = NeighbourQuota()
        quota.entries = 4_096
        let error = #expect(throws: RouterError.self) {
            try bench.table.setQuota(quota, of: Bench.namespace)
        }
        #expect(error?.kind == .limit)
        #expect(bench.table.usage(of: Bench.namespace).quota == NeighbourQuota())
        quota.entries = 4_096 - 1_024
        try bench.table.setQuota(quota, of: Bench.namespace)
    }

    @Test("NET-8: a namespace without a quota has no neighbours")
    func noQuota() throws {
        var bench = try Bench()
        let port = PortIndex(rawValue: 3)
        bench.table.addPort(
            port, namespace: NamespaceIndex(rawValue: 3), loopback: Bench.loopback)
        #expect(bench.send(Bench.key(1, port: port), 1) == .dropped(.unresolvedLimit))
    }
}
