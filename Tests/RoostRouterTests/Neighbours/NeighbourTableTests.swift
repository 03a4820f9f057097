@testable import RoostRouter
import Testing

@Suite("Neighbours")
struct NeighbourTableTests {
    private typealias Bench = NeighbourBench

    @Test(
        "NET-13: packets wait for the answer and go in their order; then workers send by themselves"
    )
    func resolution() throws {
        var bench = try Bench()
        let key = Bench.key(1)
        for byte in 1...3 { #expect(bench.send(key, UInt8(byte), context: 7) == .queued) }
        #expect(bench.taken() == [.solicit(key, nil)])
        #expect(bench.word(key).isUsable == false)
        bench.answer(key, Bench.link(1))
        #expect(
            bench.taken() == (1...3).map { .transmit([UInt8($0)], 7, key, Bench.link(1)) })
        let word = bench.word(key)
        #expect(word.isUsable && !word.needsConfirmation)
        #expect(word.mac == Bench.link(1))
        #expect(bench.send(key, 4) == .sent)
        #expect(bench.taken() == [.transmit([4], 0, key, Bench.link(1))])
    }

    @Test("the fourth packet that waits takes the place of the first")
    func fullQueue() throws {
        var bench = try Bench()
        let key = Bench.key(1)
        for byte in 1...4 {
            #expect(bench.send(key, UInt8(byte), context: UInt64(byte)) == .queued)
        }
        #expect(bench.taken() == [.solicit(key, nil), .dropped(1, .queueFull)])
        bench.answer(key, Bench.link(1))
        #expect(bench.taken().count == 3)
        #expect(bench.table.usage(of: Bench.namespace).frames == 0)
    }

    @Test("NET-13: without an answer each packet is reported, and for a while no question is asked")
    func failure() throws {
        var bench = try Bench()
        let key = Bench.key(1)
        for byte in 1...2 { _ = bench.send(key, UInt8(byte), context: UInt64(byte)) }
        bench.advance(milliseconds: 4_000)
        #expect(
            bench.taken() == [
                .solicit(key, nil), .solicit(key, nil), .solicit(key, nil),
                .unreachable([1], 1, key), .unreachable([2], 2, key),
            ])
        #expect(bench.phase(key) == .failed)
        #expect(bench.send(key, 3, context: 3) == .unreachable)
        #expect(bench.taken() == [.unreachable([3], 3, key)])
        bench.advance(milliseconds: 3_500)
        #expect(bench.table.view.find(key).isNone)
        #expect(bench.send(key, 4) == .queued)
        #expect(bench.taken() == [.solicit(key, nil)])
    }

    @Test("NET-13: a stale neighbour that a worker uses is confirmed, or asked and given up")
    func staleUse() throws {
        var bench = try Bench()
        let key = Bench.key(1)
        bench.resolve(key, Bench.link(1))
        bench.advance(milliseconds: 46_000)
        #expect(bench.phase(key) == .stale)
        let handle = bench.table.view.find(key)
        #expect(bench.word(key).needsConfirmation)
        bench.table.view.noteUse(handle)
        bench.table.view.noteUse(handle)
        bench.advance(milliseconds: 100)
        #expect(bench.phase(key) == .delay)
        #expect(bench.word(key).isUsable && !bench.word(key).needsConfirmation)
        bench.advance(milliseconds: 5_300)
        #expect(bench.taken() == [.solicit(key, Bench.link(1))])
        bench.answer(key, Bench.link(1))
        #expect(bench.phase(key) == .reachable)
    }

    @Test("a neighbour in probation that does not answer fails, and workers no longer use it")
    func probeFailure() throws {
        var bench = try Bench()
        let key = Bench.key(1)
        bench.resolve(key, Bench.link(1))
        bench.advance(milliseconds: 46_000)
        bench.table.view.noteUse(bench.table.view.find(key))
        bench.advance(milliseconds: 9_100)
        #expect(
            bench.taken()
                == [MACAddress?](repeating: Bench.link(1), count: 3).map {
                    .solicit(key, $0)
                })
        #expect(bench.phase(key) == .failed)
        #expect(!bench.word(key).isUsable)
    }

    @Test("a stale neighbour that nobody uses goes after a minute; a held one stays")
    func aging() throws {
        var bench = try Bench()
        bench.resolve(Bench.key(1), Bench.link(1))
        bench.resolve(Bench.key(2), Bench.link(2))
        let held = bench.table.view.find(Bench.key(2))
        bench.table.hold(held)
        bench.advance(milliseconds: 46_000 + 61_000)
        #expect(bench.table.view.find(Bench.key(1)).isNone)
        #expect(bench.phase(Bench.key(2)) == .stale)
        bench.table.release(held)
        bench.advance(milliseconds: 61_000)
        #expect(bench.table.view.find(Bench.key(2)).isNone)
        #expect(bench.table.usage(of: Bench.namespace).entries == 0)
    }

    @Test("ARP: an address that just changed is kept for a second, whoever answers")
    func lock() throws {
        var bench = try Bench()
        let key = Bench.key(1)
        bench.resolve(key, Bench.link(1))
        bench.now += 999
        bench.answer(key, Bench.link(2))
        #expect(bench.word(key).mac == Bench.link(1))
        bench.now += 1
        bench.answer(key, Bench.link(2))
        #expect(bench.word(key).mac == Bench.link(2))
        #expect(bench.phase(key) == .stale)
    }

    @Test("ARP: an answer that nobody asked for confirms nothing, and makes no neighbour")
    func unasked() throws {
        var bench = try Bench()
        bench.answer(Bench.key(1), Bench.link(1))
        #expect(bench.table.view.find(Bench.key(1)).isNone)
        bench.resolve(Bench.key(1), Bench.link(1))
        bench.advance(milliseconds: 46_000)
        bench.answer(Bench.key(1), Bench.link(1))
        #expect(bench.phase(Bench.key(1)) == .stale)
    }

    @Test("a neighbour given by hand is used at once, and neither answers nor time change it")
    func permanent() throws {
        var bench = try Bench()
        let key = Bench.key(1)
        #expect(bench.send(key, 1) == .queued)
        try bench.table.setPermanent(key, link: Bench.link(9), &bench.sink)
        #expect(
            bench.taken() == [.solicit(key, nil), .transmit([1], 0, key, Bench.link(9))])
        bench.answer(key, Bench.link(2))
        bench.advance(milliseconds: 200_000)
        #expect(bench.phase(key) == .permanent)
        #expect(bench.word(key).mac == Bench.link(9))
        #expect(bench.table.remove(key, &bench.sink) == true)
        #expect(bench.table.view.find(key).isNone)
    }

    @Test("a neighbour by hand is refused an address of a group, and on a port that is none")
    func permanentRefusal() throws {
        var bench = try Bench()
        #expect(throws: RouterError.self) {
            try bench.table.setPermanent(Bench.key(1), link: .broadcast, &bench.sink)
        }
        let nowhere = Bench.key(1, port: PortIndex(rawValue: 77))
        #expect(throws: RouterError.self) {
            try bench.table.setPermanent(nowhere, link: Bench.link(1), &bench.sink)
        }
        #expect(bench.send(nowhere, 1, context: 5) == .dropped(.portDown))
        #expect(bench.taken() == [.dropped(5, .portDown)])
    }

    @Test(
        "a packet too long to wait is dropped, one as long as may be waits", arguments: [128, 129])
    func longPackets(byteCount: Int) throws {
        var bench = try Bench()
        let frame = [UInt8](repeating: 1, count: byteCount)
        // SAFETY: any bytes are bytes.
        let outcome = bench.table.send(
            unsafe frame.span.bytes, to: Bench.key(1), context: 0, now: bench.now, &bench.sink)
        #expect(outcome == (byteCount == 128 ? .queued : .dropped(.tooLong)))
    }

    @Test("IPv4 and IPv6 neighbours of the same number are two")
    func families() throws {
        var bench = try Bench()
        let four = NeighbourKey(Bench.port, IPv4Address(rawValue: 5))
        let six = NeighbourKey(Bench.port, IPv6Address(high: 0, low: 5))
        bench.resolve(four, Bench.link(4))
        bench.resolve(six, Bench.link(6))
        #expect(bench.word(four).mac == Bench.link(4))
        #expect(bench.word(six).mac == Bench.link(6))
    }

    @Test("rows show each neighbour, of one namespace or all, up to a limit")
    func rows() throws {
        var bench = try Bench()
        bench.resolve(Bench.key(1), Bench.link(1))
        _ = bench.send(Bench.key(2), 1)
        _ = bench.send(Bench.key(3, port: Bench.other), 1)
        let all = bench.table.rows(of: nil, limit: 2)
        #expect(all.total == 3)
        #expect(all.rows.count == 2)
        let mine = bench.table.rows(of: Bench.namespace, limit: 10)
        #expect(mine.rows.map(\.phase) == [.reachable, .incomplete])
        #expect(mine.rows.map(\.link) == [Bench.link(1), nil])
        #expect(mine.rows.map(\.queued) == [0, 1])
    }
}
