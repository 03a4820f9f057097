@testable import RoostRouter
import Testing

@Suite("Destination entries of ports that go")
struct DeviceEventTests {
    @Test("NET-7: a port that goes down turns its entries, live and waiting, to discard")
    func down() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let live = table.makeEntry()
        let waiting = table.makeEntry()
        let other = table.makeEntry(Lab.contents(through: Lab.otherPort))
        let holder = try table.take(waiting, kind: .session, owner: 1)
        table.retire(waiting, now: clock.now)
        table.settle(clock, &operations)
        table.portWentDown(Lab.port, now: clock.now)
        table.run(clock, &operations)
        for handle in [live, waiting] {
            let word = table.slab.word(of: handle)
            #expect(word.isDiscarding && word.port == Lab.port)
            #expect(word.flags.contains(.isKilled))
        }
        #expect(!table.slab.word(of: other).isDiscarding)
        #expect(Set(operations.interfaceDowns) == [live, waiting])
        // An entry that saw its port down never works again; one made after it came up does.
        #expect(table.slab.word(of: table.makeEntry()).isDiscarding)
        table.portCameUp(Lab.port)
        #expect(table.slab.word(of: live).isDiscarding)
        #expect(!table.slab.word(of: table.makeEntry()).isDiscarding)
        table.give(holder)
    }

    @Test(
        "NET-7: a port that is removed loses its entries and neighbours to its namespace's loopback"
    )
    func removed() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let live = table.makeEntry(Lab.contents(neighbour: 8))
        let held = table.makeEntry()
        let holder = try table.take(held, kind: .session, owner: 1)
        table.retire(held, now: clock.now)
        table.portRemoved(Lab.port, now: clock.now)
        #expect(table.hasGone(Lab.port) == false)
        table.run(clock, &operations)
        #expect(table.hasGone(Lab.port) == true)
        for handle in [live, held] {
            let word = table.slab.word(of: handle)
            #expect(word.isDiscarding && word.port == Lab.loopback)
        }
        #expect(
            operations.rehomings == [
                .init(
                    neighbour: NeighbourHandle(rawValue: 8), port: Lab.port,
                    loopback: Lab.loopback)
            ])
        let formerPorts = table.entries(limit: 9).map(\.formerPort)
        #expect(formerPorts == [Lab.port, Lab.port])
        // Its place may be another port's now, which has nothing of the old one's.
        try table.addPort(Lab.port, namespace: Lab.neighbourTenant)
        var count = 0
        table.forEachEntry(of: Lab.port) { _ in count += 1 }
        #expect(count == 0)
        table.give(holder)
    }

    @Test(
        "NET-7: a namespace that goes leaves its entries to the blackhole, which outlives everything"
    )
    func namespaceRemoved() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let handle = table.makeEntry()
        let foreign = table.makeEntry(
            Lab.contents(through: Lab.foreignPort), in: Lab.neighbourTenant)
        let holder = try table.take(handle, kind: .session, owner: 1)
        table.retire(handle, now: clock.now)
        table.portRemoved(Lab.port, now: clock.now)
        table.namespaceRemoved(Lab.tenant, now: clock.now)
        #expect(table.makeEntry(in: Lab.tenant).isNone)
        table.settle(clock, &operations)
        #expect(table.hasGone(Lab.tenant) == true)
        #expect(table.hasGone(Lab.port) == true)
        #expect(table.hasGone(Lab.loopback) == true)
        let word = table.slab.word(of: handle)
        #expect(word.isDiscarding && word.port == .blackhole)
        #expect(table.orphanAccount.entries == 1 && table.orphanAccount.retired == 1)
        #expect(!table.slab.word(of: foreign).isDiscarding)
        // The next namespace of that number starts with clean accounts, and pays for nothing of the old.
        try table.addNamespace(Lab.tenant, loopback: Lab.loopback)
        #expect(table.account(of: Lab.tenant) == DestinationAccount())
        table.give(holder)
        table.settle(clock, &operations)
        #expect(table.state(of: handle) == .free)
        #expect(table.account(of: Lab.tenant) == DestinationAccount())
        #expect(table.orphanAccount.entries == 0 && table.orphanAccount.destroyed == 1)
    }

    @Test("NET-7: the blackhole and a namespace's loopback are not removed as ports")
    func parkingPlacesStay() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        table.portWentDown(.blackhole, now: 1)
        table.portRemoved(.blackhole, now: 1)
        table.portRemoved(Lab.loopback, now: 1)
        table.run(ManualClock(), &operations)
        #expect(table.hasGone(.blackhole) == false)
        #expect(table.hasGone(Lab.loopback) == false)
    }

    @Test("NET-7, NET-17: removing a port takes slices by its own entries, whoever holds them")
    func boundedRemoval() throws {
        var table = try Lab.table { $0.sliceEntryCount = 10 }
        var operations = RecordedOperations()
        let clock = ManualClock()
        for owner in 0..<95 as Range<UInt64> {
            let handle = table.makeEntry()
            _ = table.slab.hold(handle, kind: .control, owner: owner, now: 0)?.token()
        }
        for _ in 0..<500 { _ = table.makeEntry(Lab.contents(through: Lab.otherPort)) }
        table.portRemoved(Lab.port, now: clock.now)
        var slices = 0
        while !table.hasGone(Lab.port) {
            _ = table.collect(clock: clock, operations: &operations)
            slices += 1
        }
        #expect(slices == 10)
        let visits = table.collectorStatistics.visits
        #expect(visits == 96)
        #expect(table.collectorStatistics.longestSliceVisits == 10)
        // Who kept what was the port's is told by name.
        let holders = table.holders(ofFormer: Lab.port, limit: 1000)
        #expect(Set(holders.map(\.owner)) == Set(0..<95))
        #expect(holders.allSatisfy { $0.kind == .control })
        #expect(table.holders(ofFormer: Lab.port, limit: 9).count == 9)
        #expect(table.holders(ofFormer: Lab.otherPort, limit: 9).isEmpty)
    }

    @Test("NET-7: entries made while their port leaves discard, and hold nothing up")
    func entriesMadeMeanwhile() throws {
        var table = try Lab.table { $0.sliceEntryCount = 1 }
        var operations = RecordedOperations()
        let clock = ManualClock()
        for _ in 0..<5 { _ = table.makeEntry() }
        table.portRemoved(Lab.port, now: clock.now)
        var slices = 0
        while !table.hasGone(Lab.port), slices < 100 {
            _ = table.collect(clock: clock, operations: &operations)
            let word = table.slab.word(of: table.makeEntry())
            #expect(word.isDiscarding && word.port == Lab.loopback)
            slices += 1
        }
        #expect(slices == 6)
    }

    @Test("NET-7: a walk over a port's entries goes on when the next of them is destroyed")
    func destroyedAheadOfTheWalk() throws {
        var table = try Lab.table { limits in
            limits.sliceEntryCount = 1
            limits.ipv4 = DestinationLimits.Family(threshold: 4, ceiling: 100)
        }
        var operations = RecordedOperations()
        let clock = ManualClock()
        let handles = (0..<5).map { _ in table.makeEntry() }
        table.portWentDown(Lab.port, now: clock.now)
        _ = table.collect(clock: clock, operations: &operations)
        // The walk is at the next newest entry, which making room destroys.
        table.retire(handles[3], now: clock.now)
        let made = table.allocate(
            .ipv4, namespace: Lab.tenant, now: clock.now, operations: &operations)
        #expect(made == handles[3])
        table.settle(clock, &operations)
        for handle in handles where handle != made {
            #expect(table.slab.word(of: handle).isDiscarding)
        }
    }

    @Test("NET-7: a port that goes up and down all the time holds up only itself")
    func flappingPort() throws {
        var table = try Lab.table { $0.sliceEntryCount = 2 }
        var operations = RecordedOperations()
        let clock = ManualClock()
        for _ in 0..<50 { _ = table.makeEntry() }
        for _ in 0..<6 { _ = table.makeEntry(Lab.contents(through: Lab.otherPort)) }
        table.retire(table.makeEntry(Lab.contents(through: Lab.foreignPort)), now: clock.now)
        clock.now += 100
        table.portWentDown(Lab.port, now: clock.now)
        table.portRemoved(Lab.otherPort, now: clock.now)
        for _ in 0..<20 {
            table.portCameUp(Lab.port)
            table.portWentDown(Lab.port, now: clock.now)
            _ = table.collect(clock: clock, operations: &operations)
        }
        #expect(table.hasGone(Lab.otherPort) == true)
        #expect(table.garbageCount == 0)
        #expect(operations.destroyed.count == 1)
    }

    @Test("NET-7: a port has gone only when the batch that may have seen it has ended")
    func portGoneAfterGrace() throws {
        let quiescence = try Quiescence(readerLimit: 1)
        var table = try Lab.table(quiescence: quiescence)
        var operations = RecordedOperations()
        let reader = try quiescence.makeReader()
        _ = table.makeEntry()
        quiescence.begin(reader)
        table.portRemoved(Lab.port, now: 0)
        table.run(ManualClock(), &operations)
        #expect(table.hasGone(Lab.port) == false)
        #expect(throws: RouterError.self) {
            try table.addPort(Lab.port, namespace: Lab.tenant)
        }
        quiescence.end(reader)
        #expect(table.hasGone(Lab.port) == true)
    }

    @Test("NET-5: a timer and a device event at once run one pass")
    func timerAndEvent() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let handle = table.makeEntry()
        let holder = try table.take(handle, kind: .session, owner: 1)
        table.retire(handle, now: clock.now)
        clock.now = table.nextWake ?? 0
        table.portWentDown(Lab.port, now: clock.now)
        let lines = table.run(clock, &operations)
        #expect(lines.count == 1)
        table.give(holder)
    }

    @Test("NET-8: an entry through another namespace's port discards, and accounts stay apart")
    func foreignPort() throws {
        var table = try Lab.table()
        let handle = table.makeEntry(Lab.contents(through: Lab.foreignPort), in: Lab.tenant)
        let word = table.slab.word(of: handle)
        #expect(word.isDiscarding && word.port == Lab.loopback)
        #expect(table.account(of: Lab.tenant).entries == 1)
        #expect(table.account(of: Lab.neighbourTenant) == DestinationAccount())
    }

    @Test("NET-8: events of one namespace touch nothing of another")
    func eventsStayApart() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let foreign = table.makeEntry(
            Lab.contents(through: Lab.foreignPort), in: Lab.neighbourTenant)
        let word = table.slab.word(of: foreign)
        let account = table.account(of: Lab.neighbourTenant)
        let own = table.makeEntry()
        table.portWentDown(Lab.port, now: 0)
        table.portRemoved(Lab.otherPort, now: 0)
        table.retire(own, now: clock.now)
        table.namespaceRemoved(Lab.tenant, now: 0)
        table.settle(clock, &operations)
        #expect(table.slab.word(of: foreign) == word)
        #expect(table.account(of: Lab.neighbourTenant) == account)
    }
}
