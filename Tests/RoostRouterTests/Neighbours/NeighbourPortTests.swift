@testable import RoostRouter
import Testing

@Suite("Neighbours of ports")
struct NeighbourPortTests {
    private typealias Bench = NeighbourBench

    @Test("NET-7: a port that goes down takes exactly its own neighbours along")
    func portDown() throws {
        var bench = try Bench()
        let stays = Bench.key(1, port: Bench.other)
        bench.resolve(Bench.key(1), Bench.link(1))
        bench.resolve(stays, Bench.link(2))
        try bench.table.setPermanent(Bench.key(3), link: Bench.link(3), &bench.sink)
        _ = bench.send(Bench.key(2), 1, context: 5)
        _ = bench.taken()
        bench.table.portDown(Bench.port, &bench.sink)
        #expect(bench.taken() == [.dropped(5, .portDown)])
        #expect(bench.table.view.find(Bench.key(1)).isNone)
        #expect(bench.table.view.find(Bench.key(2)).isNone)
        #expect(bench.word(Bench.key(3)).isUsable)
        #expect(bench.word(stays).isUsable)
        #expect(bench.table.usage(of: Bench.namespace).asked == 0)
        #expect(bench.table.usage(of: Bench.namespace).frames == 0)
    }

    @Test("NET-7: a removed port's held neighbours move to their namespace's loopback, the rest go")
    func removal() throws {
        var bench = try Bench()
        for number in 1...4 { bench.resolve(Bench.key(number), Bench.link(number)) }
        let held = bench.table.view.find(Bench.key(1))
        bench.table.hold(held)
        bench.table.removePort(Bench.port, &bench.sink)
        let rows = bench.table.rows(of: nil, limit: 100).rows
        #expect(rows.count == 1)
        #expect(rows.first?.key.port == Bench.loopback)
        #expect(rows.first?.namespace == Bench.namespace)
        #expect(rows.first?.isDead == true)
        let word = bench.table.view.word(held)
        #expect(word.isDead && !word.isUsable)
        // The port is no longer known: nothing new can lie behind it.
        #expect(bench.send(Bench.key(9), 1) == .dropped(.portDown))
        bench.table.release(held)
        #expect(bench.table.rows(of: nil, limit: 100).total == 0)
        #expect(bench.table.usage(of: Bench.namespace).entries == 0)
    }

    @Test(
        "NET-7: what is dead at a loopback stays until it is released, though the loopback goes down"
    )
    func deadAtLoopback() throws {
        var bench = try Bench()
        bench.table.addPort(
            Bench.loopback, namespace: Bench.namespace, loopback: Bench.loopback)
        bench.resolve(Bench.key(1), Bench.link(1))
        let held = bench.table.view.find(Bench.key(1))
        bench.table.hold(held)
        bench.table.removePort(Bench.port, &bench.sink)
        bench.table.portDown(Bench.loopback, &bench.sink)
        #expect(bench.table.rows(of: nil, limit: 10).total == 1)
        bench.table.release(held)
        #expect(bench.table.rows(of: nil, limit: 10).total == 0)
    }

    @Test("a neighbour's place is used again only when every batch that could see it has ended")
    func reuse() throws {
        var bench = try Bench()
        let reader = try bench.quiescence.makeReader()
        bench.resolve(Bench.key(1), Bench.link(1))
        bench.quiescence.begin(reader)
        let seen = bench.table.view.find(Bench.key(1))
        _ = bench.table.remove(Bench.key(1), &bench.sink)
        bench.resolve(Bench.key(2), Bench.link(2))
        #expect(bench.table.view.find(Bench.key(2)) != seen)
        #expect(bench.table.view.word(seen).isDead)
        bench.quiescence.end(reader)
        bench.resolve(Bench.key(3), Bench.link(3))
        #expect(bench.table.view.find(Bench.key(3)) == seen)
    }

    @Test("a next hop's neighbour is held before anybody asks for it, and goes with its holder")
    func nextHop() throws {
        var bench = try Bench()
        let key = Bench.key(1)
        let handle = bench.table.acquire(key, &bench.sink)
        #expect(bench.taken() == [])
        #expect(bench.phase(key) == .none)
        #expect(bench.send(key, 1) == .queued)
        bench.advance(milliseconds: 8_000)
        // It failed and was forgotten, and is still there for the next packet.
        #expect(bench.phase(key) == .none)
        #expect(bench.table.view.find(key) == handle)
        _ = bench.taken()
        #expect(bench.send(key, 2) == .queued)
        #expect(bench.taken() == [.solicit(key, nil)])
        bench.answer(key, Bench.link(1))
        bench.table.release(handle)
        #expect(bench.phase(key) == .reachable)
    }

    @Test("a held neighbour that was never asked for goes when it is released")
    func unusedNextHop() throws {
        var bench = try Bench()
        let handle = bench.table.acquire(Bench.key(1), &bench.sink)
        bench.table.release(handle)
        #expect(bench.table.view.find(Bench.key(1)).isNone)
        #expect(bench.table.usage(of: Bench.namespace).entries == 0)
    }
}
