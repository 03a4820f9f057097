@testable import RoostRouter
import Testing

@Suite("A destination entry's life")
struct DestinationLifeTests {
    @Test(
        "NET-1: an entry discards in both directions until it is finished, then shows its contents")
    func allocateAndFinish() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let handle = table.allocate(
            .ipv6, namespace: Lab.tenant, now: 5, operations: &operations)
        #expect(!handle.isNone)
        #expect(table.slab.word(of: handle).isDiscarding)
        var contents = Lab.contents(flags: [.isHost], neighbour: 9)
        contents.gateway = (0x2001_0db8 << 32, 1)
        contents.pathMTU = 1400
        contents.metrics.hopLimit = 12
        contents.expires = 600
        contents.error = .prohibited
        contents.generation = 3
        table.finish(handle, as: contents)
        let word = table.slab.word(of: handle)
        #expect(word.input == .forward && word.output == .forward && word.port == Lab.port)
        #expect(word.namespace == Lab.tenant && word.error == .prohibited)
        #expect(word.flags == [.isHost])
        let link = table.slab.link(of: handle)
        #expect(link.neighbour.rawValue == 9 && link.pathMTU == 1400)
        #expect(table.slab.metrics(at: link.metrics).hopLimit == 12)
        #expect(table.slab.gateway(of: handle) == (0x2001_0db8 << 32, 1))
        #expect(table.slab.expiry(of: handle) == 600)
        let snapshot = try #require(table.entries(limit: 9).first)
        #expect(snapshot.state == .cached && snapshot.created == 5 && snapshot.family == .ipv6)
    }

    @Test("NET-1: no entry, read as one, discards through the blackhole")
    func noEntry() throws {
        let table = try Lab.table()
        let word = table.slab.word(of: .none)
        #expect(word.isDiscarding && word.port == .blackhole)
    }

    @Test(
        "NET-1: uses are counted by each worker and folded on reading; a reused place starts at none"
    )
    func usage() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let handle = table.makeEntry()
        table.slab.recordUse(of: handle, worker: 0, now: 40)
        table.slab.recordUse(of: handle, worker: 1, packets: 5, now: 70)
        table.slab.recordUse(of: handle, worker: 0, now: 50)
        let usage = table.slab.usage(of: handle)
        #expect(usage.packetCount == 7 && usage.lastUse == 70)
        let clock = ManualClock()
        table.retire(handle, now: clock.now)
        table.settle(clock, &operations)
        #expect(table.makeEntry() == handle)
        #expect(table.slab.usage(of: handle) == DestinationUsage())
    }

    @Test("NET-1: entries share equal metrics, and a change of one's leaves the others'")
    func metricsAreShared() throws {
        var table = try Lab.table()
        var contents = Lab.contents()
        contents.metrics.window = 7
        let first = table.makeEntry(contents)
        let second = table.makeEntry(contents)
        let shared = table.slab.link(of: first).metrics
        #expect(shared != 0 && table.slab.link(of: second).metrics == shared)
        var changed = contents.metrics
        changed.window = 8
        table.setMetrics(changed, of: first)
        #expect(table.slab.metrics(at: table.slab.link(of: first).metrics).window == 8)
        #expect(table.slab.metrics(at: table.slab.link(of: second).metrics).window == 7)
        table.setMetrics(DestinationMetrics(), of: second)
        #expect(table.slab.link(of: second).metrics == 0)
    }

    @Test("NET-1: a set of metrics is not written over while a batch may be reading it")
    func metricsRest() throws {
        let quiescence = try Quiescence(readerLimit: 1)
        var table = try Lab.table(quiescence: quiescence)
        let reader = try quiescence.makeReader()
        var contents = Lab.contents()
        contents.metrics.window = 7
        let handle = table.makeEntry(contents)
        quiescence.begin(reader)
        let seen = table.slab.link(of: handle).metrics
        for window in 8..<40 as Range<UInt32> {
            contents.metrics.window = window
            table.setMetrics(contents.metrics, of: handle)
        }
        #expect(table.slab.metrics(at: seen).window == 7)
        quiescence.end(reader)
        contents.metrics.window = 99
        table.setMetrics(contents.metrics, of: handle)
        #expect(table.slab.link(of: handle).metrics < 40)
    }

    @Test("NET-1: a place that is used again has another serial number")
    func serials() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let handle = table.makeEntry()
        let id = table.slab.id(of: handle)
        #expect(table.slab.check(id, generation: 0, now: 0) == .valid)
        #expect(table.slab.check(id, generation: 1, now: 0) == .check)
        table.kill(handle)
        #expect(table.slab.check(id, generation: 0, now: 0) == .check)
        table.retire(handle, now: clock.now)
        #expect(table.slab.isCurrent(id))
        #expect(table.slab.check(id, generation: 0, now: 0) == .dead)
        table.settle(clock, &operations)
        #expect(table.makeEntry() == handle)
        #expect(!table.slab.isCurrent(id))
        #expect(table.slab.check(id, generation: 0, now: 0) == .dead)
        let nonsense = DestinationID(handle: DestinationHandle(rawValue: .max), serial: 0)
        #expect(!table.slab.isCurrent(nonsense))
    }

    @Test("NET-1: what was learned ends at its expiry, or when a transport advises against it")
    func expiryAndAdvice() throws {
        var table = try Lab.table()
        var contents = Lab.contents()
        let plain = table.makeEntry(contents)
        contents.expires = 50
        let learned = table.makeEntry(contents)
        let id = table.slab.id(of: learned)
        #expect(table.slab.check(id, generation: 0, now: 49) == .valid)
        #expect(table.slab.check(id, generation: 0, now: 50) == .check)
        #expect(table.takeNegativeAdvice(plain) == false)
        #expect(table.takeNegativeAdvice(learned) == true)
        #expect(table.slab.check(id, generation: 0, now: 0) == .check)
        table.retire(plain, now: 1)
        #expect(table.takeNegativeAdvice(plain) == true)
    }

    @Test("NET-2, NET-4: a retired entry lives until its last reference is given back")
    func references() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let handle = table.makeEntry(Lab.contents(neighbour: 4))
        let first = try table.take(handle, kind: .session, owner: 1)
        let second = try table.take(handle, kind: .queuedPacket, owner: 2)
        table.retire(handle, now: clock.now)
        table.settle(clock, &operations)
        #expect(table.state(of: handle) == .waiting)
        table.give(first)
        table.settle(clock, &operations)
        #expect(table.state(of: handle) == .waiting && operations.destroyed.isEmpty)
        // A dead entry whose port is up goes on working for those who hold it.
        #expect(table.slab.word(of: handle).output == .forward)
        table.give(second)
        table.settle(clock, &operations)
        #expect(table.state(of: handle) == .free)
        #expect(operations.destroyed.map(\.neighbour.rawValue) == [4])
        #expect(table.count == 0)
    }

    @Test("NET-2: giving back more references than were taken stops the program")
    func tooManyReleases() async {
        await #expect(processExitsWith: .failure) {
            let table = try Lab.table()
            table.slab.counts.remove(DestinationHandle(rawValue: 1))
        }
    }

    @Test("NET-4: an entry that a batch may be reading is not destroyed before the batch ends")
    func gracePeriod() throws {
        let quiescence = try Quiescence(readerLimit: 1)
        var table = try Lab.table(quiescence: quiescence)
        var operations = RecordedOperations()
        let clock = ManualClock()
        let reader = try quiescence.makeReader()
        let handle = table.makeEntry()
        quiescence.begin(reader)
        table.retire(handle, now: clock.now)
        table.settle(clock, &operations)
        #expect(table.state(of: handle) == .garbage)
        // The batch may still take a reference: it found the entry in time.
        let late = try table.take(handle, kind: .session, owner: 1)
        quiescence.end(reader)
        table.settle(clock, &operations)
        #expect(table.state(of: handle) == .waiting)
        table.give(late)
        table.settle(clock, &operations)
        #expect(table.state(of: handle) == .free)
    }

    @Test(
        "NET-4: retiring twice, or what is no entry, does nothing; a private entry may be discarded"
    )
    func retireTwice() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let handle = table.makeEntry()
        table.retire(handle, now: clock.now)
        table.retire(handle, now: clock.now)
        table.retire(.none, now: clock.now)
        table.retire(DestinationHandle(rawValue: .max), now: clock.now)
        #expect(table.garbageCount == 1)
        let unused = table.allocate(
            .ipv4, namespace: Lab.tenant, now: 1, operations: &operations)
        table.retire(unused, now: clock.now)
        table.settle(clock, &operations)
        #expect(operations.destroyed.count == 2 && table.count == 0)
    }

    @Test("NET-10: one discard serves both directions, counts, and answers success")
    func discard() throws {
        let table = try Lab.table()
        #expect(table.slab.discard(worker: 0) == .success)
        #expect(table.slab.discard(worker: 1, packets: 4) == .success)
        #expect(table.slab.discardCount == 5)
        #expect(ActionResult.success.rawValue == 0)
    }

    @Test("NET-1: a word keeps each part apart from the others", arguments: 0..<64 as Range<UInt64>)
    func wordParts(seed: UInt64) {
        let input = DestinationAction.allCases[Int(seed % 6)]
        let output = DestinationAction.allCases[Int(seed / 6 % 6)]
        var word = DestinationWord(
            input: input, output: output, port: PortIndex(rawValue: UInt16(seed * 1021)),
            namespace: NamespaceIndex(rawValue: .max - UInt16(seed)),
            error: DestinationError.allCases[Int(seed % 7)],
            flags: DestinationFlags(rawValue: UInt8(seed * 4 + 3)))
        let before = word
        #expect(word.input == input && word.output == output)
        #expect(word.port.rawValue == UInt16(seed * 1021))
        #expect(word.namespace.rawValue == .max - UInt16(seed))
        #expect(word.error.rawValue == UInt8(seed % 7))
        #expect(word.flags.rawValue == UInt8(seed * 4 + 3))
        word.port = .blackhole
        word.port = before.port
        word.namespace = NamespaceIndex(rawValue: 0)
        word.namespace = before.namespace
        #expect(word == before)
        #expect(before.discarding.isDiscarding && before.discarding.port == before.port)
    }
}
