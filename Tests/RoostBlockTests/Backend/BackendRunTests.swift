import RoostHypervisor
import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import RoostBlock

@Suite("A queue's thread, and frontends that lie")
struct BackendRunTests {
    private typealias End = FakeQueue.End

    @Test("BLK-14: a ring whose index cannot be stops its queue, and what was begun is finished")
    func brokenRingStopsItsQueue() throws {
        for claim in [UInt32(34), 0, UInt32.max, 1 << 31] {
            var rig = try BackendRig.make(.init(pace: .held))
            rig.front.put(BackendRig.request(.write, id: 0, pages: [0]))
            _ = rig.front.publish()
            _ = rig.queue.serve()
            rig.domain.window.storeRelaxed(claim, at: RingWord.requestProducer.rawValue)
            let stop = try StopSignal()
            let end = rig.queue.run(until: stop)
            #expect(end == .broken)
            try rig.disk.allow(0)
            rig.close()
            #expect(rig.disk.log == ["begin write 0", "end write 0"])
        }
    }

    @Test("A ring that is no ring is refused, and nothing stays mapped")
    func wrongRingIsRefused() throws {
        let layout = try #require(RingLayout(.x86_64, pageOrder: 0))
        let domain = try FakeDomain(pageCount: 1)
        let shared = FakeQueue.Shared(
            geometry: DiskGeometry(sectorCount: 8), control: BackendControl(sectorCount: 8),
            ceiling: GrantCeiling(limit: 10))
        let references = [GrantReference(rawValue: 1)]
        for isGranted in [false, true] {
            if isGranted { domain.grant(1, page: 0) }
            domain.window.storeRelaxed(33, at: 0)
            let error = #expect(throws: BlockError.self) {
                let queue = try FakeQueue.attach(
                    BackendConfiguration(layout: layout), shared, ring: references.span,
                    mapper: FakeMapper(domain), channel: FakeChannel(try FakeChannel.Wire()),
                    storage: FakeStorageQueue(try FakeDisk(sectorCount: 8)))
                _ = consume queue
            }
            #expect(error?.kind == .peer)
            #expect(domain.mappedCount == 0)
        }
    }

    @Test("A stopped queue leaves what it has not taken to the next, which answers it")
    func nextQueueAnswers() throws {
        var rig = try BackendRig.make(.init(pace: .held, startingAt: UInt32.max - 1))
        for id in 0..<3 { rig.front.put(BackendRig.request(.write, id: UInt64(id), pages: [id])) }
        _ = rig.front.publish()
        _ = rig.queue.serve()
        for number in 0..<3 { try rig.disk.allow(number) }
        for id in 3..<5 { rig.front.put(BackendRig.request(.write, id: UInt64(id), pages: [id])) }
        _ = rig.front.publish()
        rig.close()
        let first = rig.responses().map(\.id)
        #expect(first == [0, 1, 2])
        let references = [GrantReference(rawValue: 1)]
        var next = try FakeQueue.attach(
            rig.queue.configuration, rig.shared, ring: references.span,
            mapper: FakeMapper(rig.domain), channel: FakeChannel(rig.wire),
            storage: FakeStorageQueue(try FakeDisk(sectorCount: 1024)))
        _ = next.serve()
        let second = rig.responses().map(\.id)
        #expect(second == [3, 4])
        let left = next.close()
        #expect(left == 0 && rig.domain.mappedCount == 0)
    }

    @Test("One batch of responses is one event, and none if the frontend did not ask")
    func eventsAreBatched() throws {
        var rig = try BackendRig.make()
        for id in 0..<20 { rig.front.put(BackendRig.request(.read, id: UInt64(id), pages: [id])) }
        _ = rig.front.publish()
        _ = rig.queue.serve()
        #expect(rig.wire.notifyCount.load(ordering: .relaxed) == 1)
        // The frontend has not looked, nor asked again.
        rig.ask(BackendRig.request(.read, id: 20, pages: [0]))
        _ = rig.queue.serve()
        #expect(rig.wire.notifyCount.load(ordering: .relaxed) == 1)
        #expect(rig.statistics.notificationsSent == 1)
        // The twenty came in batches of eight, of which it was told of the first.
        #expect(rig.statistics.notificationsSuppressed == 3)
        _ = rig.responses()
        _ = rig.front.rearm()
        rig.wire.isPeerGone.store(true, ordering: .relaxed)
        rig.ask(BackendRig.request(.read, id: 21, pages: [0]))
        _ = rig.queue.serve()
        #expect(rig.statistics.notificationsFailed == 1)
        rig.close()
    }

    /// What a lying frontend puts into a slot: near to what is allowed, or anything.
    private static func lie(_ rig: inout BackendRig, _ random: inout SeededRandom) {
        func pick<Value>(_ values: [Value]) -> Value {
            values[Int.random(in: 0..<values.count, using: &random)]
        }
        let slot = rig.queue.ring.layout.slotOffset(
            rig.domain.window.loadRelaxed(at: RingWord.requestProducer.rawValue))
        var request = BlockRequest(pick([.read, .write, .flush, .writeBarrier, .discard]), id: 0)
        request.id = random.next()
        request.sector = pick([0, 8, 1016, 1017, 1024, UInt64.max, UInt64.max - 7])
        if request.operation == .discard {
            request.discardSectorCount = pick([0, 1, 1024, UInt64.max, 1 << 55])
        } else {
            request.segmentCount = pick([0, 1, 2, 11])
        }
        for index in 0..<11 {
            request.segments[index] = BlockSegment(
                pick([100, 101, 140, 9999, 0, 1, UInt32.max]),
                pick([0x700, 0x700, 0x303, 0x800, 0x0007, 0xffff_ffff]))
        }
        if Bool.random(using: &random) {
            let pages = (0..<pick([1, 5, 64])).map { _ in pick([0, 1, 40]) }
            request = rig.indirect(pick([.read, .write]), descriptorPage: 500, pages: pages)
            request.segmentCount = pick([pages.count, pages.count, 0, 65, 65535])
            request.innerCode = pick([0, 1, 2, 6, 255])
            request.indirectGrants[0] = pick([600, 600, 9999, 1, 101])
            for _ in 0..<3 {
                rig.domain.window.storeRelaxed(
                    UInt32(truncatingIfNeeded: random.next()),
                    at: 501 * pageByteCount + 4 * Int.random(in: 0..<128, using: &random))
            }
        }
        var words = request.encoded(.x86_64)
        for _ in 0..<pick([0, 0, 1, 28]) {
            words[Int.random(in: 0..<28, using: &random)] = UInt32(
                truncatingIfNeeded: random.next())
        }
        rig.domain.window.storeWords(words, at: slot)
    }

    /// A thousand lies in all: 40 seeds of 25.
    @Test(
        "BLK-14: a thousand lying requests are each answered, and a neighbour goes on undisturbed",
        arguments: 0..<40)
    func liesCostOnlyTheLiar(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let mode = GrantMode.allCases[Int(seed) % 3]
        var liar = try BackendRig.make(
            .init(mode: mode, persistentLimit: 10, pace: .shuffled(seed: seed)))
        var neighbour = try BackendRig.make(.init(mode: mode))
        for round in 0..<25 {
            Self.lie(&liar, &random)
            let words = liar.domain.window
            let producer = words.loadRelaxed(at: RingWord.requestProducer.rawValue) &+ 1
            words.storeReleasing(producer, at: RingWord.requestProducer.rawValue)
            _ = liar.queue.serve()
            let answered = words.loadAcquiring(at: RingWord.responseProducer.rawValue)
            #expect(answered == producer)
            neighbour.fill(page: round % 7, UInt8(round + 1))
            let write = BackendRig.request(
                .write, id: UInt64(round), sector: UInt64(round) * 8, pages: [round % 7])
            holds(neighbour.status(of: write) == .okay)
            let read = BackendRig.request(
                .read, id: UInt64(round), sector: UInt64(round) * 8, pages: [50 + round % 3])
            holds(neighbour.status(of: read) == .okay)
            let bytes = neighbour.contents(page: 50 + round % 3)
            #expect(bytes.allSatisfy { $0 == UInt8(round + 1) })
        }
        // In the end its index lies too.
        liar.domain.window.storeRelaxed(
            UInt32(truncatingIfNeeded: random.next()) | 1 << 20,
            at: RingWord.requestProducer.rawValue)
        let end = liar.queue.run(until: try StopSignal())
        #expect(end == .broken)
        liar.close()
        neighbour.close()
    }

    @Test("A queue's thread sleeps until it is told, and ends when it is stopped")
    func threadServesUntilStopped() async throws {
        let wire = try FakeChannel.Wire()
        let stop = try StopSignal()
        let domain = try FakeDomain(pageCount: 40)
        domain.grant(1, page: 0)
        for page in 0..<39 { domain.grant(100 + UInt32(page), page: 1 + page) }
        let layout = try #require(RingLayout(.x86_64, pageOrder: 0))
        let counters = BackendCounters()
        var front = FrontendRing(layout, in: domain.window, atPage: 0)
        let ready = try Semaphore()
        async let outcome = DedicatedThread.run(name: "queue") { () throws -> (End, Int) in
            let references = [GrantReference(rawValue: 1)]
            var queue = try FakeQueue.attach(
                BackendConfiguration(layout: layout),
                FakeQueue.Shared(
                    geometry: DiskGeometry(sectorCount: 1024),
                    control: BackendControl(sectorCount: 1024), counters: counters,
                    ceiling: GrantCeiling(limit: 1000)),
                ring: references.span, mapper: FakeMapper(domain), channel: FakeChannel(wire),
                storage: FakeStorageQueue(try FakeDisk(sectorCount: 1024)))
            ready.signal()
            let end = queue.run(until: stop)
            return (end, queue.close())
        }
        ready.wait()
        for id in 0..<2000 {
            front.put(BackendRig.request(.write, id: UInt64(id), pages: [id % 30]))
            if front.publish() { try wire.ring() }
            let deadline = ContinuousClock.now + .seconds(20)
            var waiting = 0
            while waiting == 0, ContinuousClock.now < deadline {
                if case .slots(let count) = front.look() { waiting = count }
                await Task.yield()
            }
            guard waiting == 1 else {
                Issue.record("request \(id) is not answered")
                break
            }
            let response = front.takeResponse()
            #expect(response.id == UInt64(id) && response.status == .okay)
        }
        // Events for nothing are taken ever more slowly.
        let before = wire.unmaskCount.load(ordering: .relaxed)
        let end = ContinuousClock.now + .milliseconds(300)
        while ContinuousClock.now < end { try wire.ring() }
        #expect(wire.unmaskCount.load(ordering: .relaxed) - before < 150)
        #expect(counters.snapshot().spuriousEvents > 0)
        #expect(counters.snapshot().writes == 2000)
        stop.raise()
        let (reason, left) = try await outcome
        #expect(reason == .stopped && left == 0 && domain.mappedCount == 0)
    }

    @Test("A queue's wait ends for the control plane and for a lost hypervisor, not for itself")
    func waitEndsForOthers() throws {
        var rig = try BackendRig.make()
        let (readEnd, writeEnd) = try FileDescriptor.pipe()
        defer {
            try? readEnd.close()
            try? writeEnd.close()
        }
        _ = try writeEnd.writeAll([1])
        let stop = try StopSignal()
        var end = rig.queue.run(until: stop, control: readEnd)
        #expect(end == .control)
        end = rig.queue.run(until: stop, loss: readEnd)
        #expect(end == .lost)
        // What came meanwhile is done before the wait.
        rig.ask(BackendRig.request(.read, pages: [0]))
        end = rig.queue.run(until: stop, control: readEnd)
        let found = rig.responses().map(\.status)
        #expect(end == .control && found == [.okay])
        stop.raise()
        end = rig.queue.run(until: stop)
        #expect(end == .stopped)
        rig.close()
    }
}
