import RoostHypervisor
import RoostMemory
import Synchronization
import Testing

@testable import RoostBlock

@Suite("A queue's grants")
struct BackendGrantTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("BLK-6: a grant is mapped the first time it is seen, with the others of its request")
    func grantIsMappedOnce() throws {
        var rig = try BackendRig.make()
        holds(rig.status(of: BackendRig.request(.read, pages: Array(0..<11))) == .okay)
        #expect(rig.domain.state.withLock { $0.mapCalls } == 2)
        for _ in 0..<50 {
            holds(rig.status(of: BackendRig.request(.write, pages: Array(0..<11))) == .okay)
        }
        #expect(rig.domain.state.withLock { $0.mapCalls } == 2)
        holds(rig.status(of: BackendRig.request(.write, pages: [3, 20, 4, 21])) == .okay)
        #expect(rig.domain.state.withLock { $0.mapCalls } == 3)
        let statistics = rig.statistics
        #expect(statistics.grantsMapped == 13 && statistics.grantsPeak == 13)
        #expect(statistics.grantsLimit == 32 * 65)
        #expect(statistics.grantMisses == 13 && statistics.grantHits == 552)
        #expect(rig.domain.state.withLock { $0.unmapCalls } == 0)
        rig.close()
    }

    @Test(
        "Without persistent grants nothing is mapped any more when a response is shown",
        arguments: [GrantMode.map, .copy])
    func grantsGoBeforeTheResponse(mode: GrantMode) throws {
        var rig = try BackendRig.make(.init(mode: mode))
        let domain = rig.domain
        rig.disk.state.withLock { state in
            state.onSubmit = { _ in
                // The ring is mapped, and in the one mode the data.
                #expect((domain.mappedCount > 1) == (mode == .map))
            }
        }
        let unmapped = Mutex(0)
        rig.domain.state.withLock { state in
            state.afterUnmap = {
                let shown = domain.window.loadAcquiring(at: RingWord.responseProducer.rawValue)
                #expect(shown == unmapped.withLock { $0 })
                unmapped.withLock { $0 += 1 }
            }
        }
        holds(rig.status(of: BackendRig.request(.read, pages: [0, 1])) == .okay)
        #expect(rig.domain.mappedCount == 1)
        let indirect = rig.indirect(.write, id: 7, descriptorPage: 500, pages: Array(0..<20))
        holds(rig.status(of: indirect) == .okay)
        #expect(rig.domain.mappedCount == 1)
        #expect(unmapped.withLock { $0 } == (mode == .map ? 2 : 0))
        rig.domain.state.withLock { $0.afterUnmap = nil }
        rig.close()
    }

    @Test(
        "BLK-8: one grant that cannot be mapped fails its own request and leaves nothing",
        arguments: GrantMode.allCases)
    func badGrantFailsItsOwnRequest(mode: GrantMode) throws {
        var rig = try BackendRig.make(.init(mode: mode))
        rig.domain.revoke(105)
        for id in 0..<10 {
            rig.front.put(BackendRig.request(.write, id: UInt64(id), pages: [id, 50 + id]))
        }
        _ = rig.front.publish()
        _ = rig.queue.serve()
        let statuses = rig.responses().map(\.status)
        #expect(statuses == (0..<10).map { $0 == 5 ? .error : .okay })
        #expect(rig.domain.mappedCount(of: 105) == 0 && rig.domain.mappedCount(of: 155) == 0)
        #expect(rig.statistics.grantsMapped == (mode == .persistent ? 18 : 0))
        // Granted after all, it is mapped like any other.
        rig.domain.grant(105, page: 6)
        holds(rig.status(of: BackendRig.request(.write, pages: [5, 55])) == .okay)
        rig.close()
    }

    @Test(
        "BLK-8: whichever call for grants fails, one request fails and nothing is left",
        arguments: GrantMode.allCases)
    func everyCallMayFail(mode: GrantMode) throws {
        var failing = 1
        var hadFailure = true
        while hadFailure {
            var rig = try BackendRig.make(.init(mode: mode, persistentLimit: 12))
            rig.domain.state.withLock { $0.failingCall = failing }
            var statuses: [BlockStatus?] = []
            for round in 0..<6 {
                let pages = Array(round * 5..<round * 5 + 6)
                let request =
                    round % 2 == 0
                    ? BackendRig.request(round < 3 ? .read : .write, pages: pages)
                    : rig.indirect(
                        round < 3 ? .read : .write, descriptorPage: 500 + round, pages: pages)
                statuses.append(rig.status(of: request))
                let isMarked = rig.domain.mappedCount > 1 + 12
                #expect(!isMarked)
            }
            hadFailure = statuses.contains(.error)
            #expect(statuses.count { $0 == .error } == (hadFailure ? 1 : 0))
            rig.close()
            failing += 1
        }
        #expect(failing > 6)
    }

    @Test("Read-only grants of a frontend that says persistent are refused")
    func readOnlyGrantsAreRefused() throws {
        var rig = try BackendRig.make()
        rig.domain.grant(100, page: 1, .readOnly)
        holds(rig.status(of: BackendRig.request(.write, pages: [0])) == .error)
        holds(rig.status(of: BackendRig.request(.write, pages: [1])) == .okay)
        rig.close()
        // A plain frontend grants so what is only to be written to the disk.
        rig = try BackendRig.make(.init(mode: .map))
        rig.domain.grant(100, page: 1, .readOnly)
        holds(rig.status(of: BackendRig.request(.write, pages: [0])) == .okay)
        holds(rig.status(of: BackendRig.request(.read, pages: [0])) == .error)
        rig.close()
    }

    @Test("BLK-7: grants past the bound are mapped for their request, beside persistent ones")
    func overflowIsMappedOnce() throws {
        var rig = try BackendRig.make(.init(persistentLimit: 8))
        for page in 0..<12 { rig.fill(page: page, UInt8(page + 1)) }
        holds(rig.status(of: BackendRig.request(.write, pages: Array(0..<6))) == .okay)
        // Six are known, two find room, two do not.
        holds(rig.status(of: BackendRig.request(.write, pages: Array(0..<10))) == .okay)
        for page in 0..<10 {
            let stored = rig.stored(sector: 8 * page, count: 8)
            #expect(stored.allSatisfy { $0 == UInt8(page + 1) })
        }
        #expect(rig.domain.mappedCount == 1 + 8)
        let statistics = rig.statistics
        #expect(statistics.grantsMapped == 8 && statistics.grantsLimit == 8)
        #expect(statistics.grantOverflows == 2 && statistics.grantsMappedOnce == 2)
        // Pages of segments find no room either, and are copied.
        let indirect = rig.indirect(.write, descriptorPage: 500, pages: [0, 1, 11])
        holds(rig.status(of: indirect) == .okay)
        #expect(rig.statistics.grantOverflows == 4)
        #expect(rig.domain.state.withLock { $0.copyCalls } == 1)
        rig.close()
    }

    @Test("BLK-7: the other policy refuses requests that bring a grant past the bound")
    func overflowIsRefused() throws {
        var rig = try BackendRig.make(.init(overflow: .refuse, persistentLimit: 4))
        holds(rig.status(of: BackendRig.request(.write, pages: [0, 1, 2, 3])) == .okay)
        holds(rig.status(of: BackendRig.request(.write, pages: [0, 4])) == .error)
        holds(rig.status(of: BackendRig.request(.write, pages: [3, 2, 1, 0])) == .okay)
        let indirect = rig.indirect(.write, descriptorPage: 500, pages: [0])
        holds(rig.status(of: indirect) == .error)
        #expect(rig.domain.mappedCount == 1 + 4)
        rig.close()
    }

    @Test("BLK-7: a device's ceiling holds above the queues' own bounds")
    func ceilingHolds() throws {
        var rig = try BackendRig.make(.init(persistentLimit: 100, ceiling: 5))
        holds(rig.status(of: BackendRig.request(.write, pages: Array(0..<8))) == .okay)
        #expect(rig.statistics.grantsMapped == 5 && rig.statistics.grantOverflows == 3)
        rig.close()
        #expect(rig.shared.ceiling.take(upTo: 100) == 5)
    }

    @Test("A grant that is in flight twice is mapped once, and stays until both have ended")
    func grantInFlightTwice() throws {
        var rig = try BackendRig.make(.init(pace: .held))
        rig.fill(page: 0, 9)
        rig.front.put(BackendRig.request(.write, id: 0, sector: 0, pages: [0, 0]))
        rig.front.put(BackendRig.request(.write, id: 1, sector: 16, pages: [0]))
        _ = rig.front.publish()
        _ = rig.queue.serve()
        // Everything idle goes, once it is not in flight any more.
        rig.time.nanoseconds = 100 * Self.second
        _ = rig.queue.serve()
        #expect(rig.statistics.grantEvictions == 2)
        #expect(rig.domain.mappedCount(of: 100) == 2)
        try rig.disk.allow(0)
        _ = rig.queue.serve()
        #expect(rig.domain.mappedCount(of: 100) == 2)
        try rig.disk.allow(1)
        _ = rig.queue.serve()
        let statuses = rig.responses().map(\.status)
        #expect(statuses == [.okay, .okay])
        #expect(rig.domain.mappedCount(of: 100) == 0)
        let stored = rig.stored(sector: 0, count: 24)
        #expect(stored.allSatisfy { $0 == 9 })
        rig.close()
    }

    @Test("A reference that the frontend gives another page, after it was let go, is that page")
    func referenceIsReused() throws {
        var rig = try BackendRig.make()
        rig.fill(page: 0, 1)
        rig.fill(page: 1, 2)
        holds(rig.status(of: BackendRig.request(.write, pages: [0])) == .okay)
        rig.time.nanoseconds = 100 * Self.second
        _ = rig.queue.serve()
        #expect(rig.domain.mappedCount(of: 100) == 0)
        rig.domain.grant(100, page: 2)
        holds(rig.status(of: BackendRig.request(.write, pages: [0])) == .okay)
        let stored = rig.stored(sector: 0, count: 8)
        #expect(stored.allSatisfy { $0 == 2 })
        rig.close()
    }

    @Test("BLK-9: what was idle for longest goes first, a bounded share at a time")
    func leastRecentlyUsedGoesFirst() throws {
        var rig = try BackendRig.make(.init(persistentLimit: 100))
        for page in 0..<60 {
            rig.time.nanoseconds += Self.second / 10
            holds(rig.status(of: BackendRig.request(.read, pages: [page])) == .okay)
        }
        // The first is used again.
        holds(rig.status(of: BackendRig.request(.read, pages: [0])) == .okay)
        rig.time.nanoseconds += 56 * Self.second
        _ = rig.queue.serve()
        #expect(rig.statistics.grantEvictions == 5)
        for page in 1...5 { #expect(rig.domain.mappedCount(of: UInt32(100 + page)) == 0) }
        #expect(rig.domain.mappedCount(of: 100) == 1 && rig.domain.mappedCount(of: 106) == 1)
        // Not again at once, and not what is not idle.
        _ = rig.queue.serve()
        #expect(rig.statistics.grantEvictions == 5)
        for _ in 0..<20 {
            rig.time.nanoseconds += Self.second / 10
            _ = rig.queue.serve()
        }
        #expect(rig.domain.mappedCount(of: 100) == 1)
        #expect((20...40).contains(Int(rig.statistics.grantEvictions)))
        rig.time.nanoseconds += 100 * Self.second
        for _ in 0..<20 {
            rig.time.nanoseconds += Self.second
            _ = rig.queue.serve()
        }
        #expect(rig.statistics.grantsMapped == 0 && rig.statistics.grantEvictions == 60)
        rig.close()
    }

    @Test("BLK-9: one busy page does not keep its slab, not even while it is in flight")
    func busyPageDoesNotKeepItsSlab() throws {
        var rig = try BackendRig.make(.init(pace: .held))
        rig.ask(BackendRig.request(.read, id: 0, pages: Array(0..<11)))
        _ = rig.queue.serve()
        try rig.disk.allow(0)
        _ = rig.queue.serve()
        _ = rig.responses()
        // From now on one page is always in flight.
        rig.ask(BackendRig.request(.read, id: 1, pages: [4]))
        for number in 1..<80 {
            rig.time.nanoseconds += Self.second
            rig.ask(BackendRig.request(.read, id: UInt64(number + 1), pages: [4]))
            _ = rig.queue.serve()
            try rig.disk.allow(number)
            _ = rig.queue.serve()
            let found = rig.responses().map(\.status)
            #expect(found == [.okay])
        }
        #expect(rig.domain.mappedCount == 2 && rig.domain.mappedCount(of: 104) == 1)
        #expect(rig.statistics.grantEvictions == 11)
        try rig.disk.allow(80)
        rig.close()
    }

    @Test("BLK-9: when a grant finds no room, what is not in use now makes some")
    func overflowMakesRoom() throws {
        var rig = try BackendRig.make(.init(persistentLimit: 40))
        for page in 0..<40 {
            holds(rig.status(of: BackendRig.request(.read, pages: [page])) == .okay)
        }
        rig.time.nanoseconds += Self.second
        // Not idle for long, and nobody needs the room.
        _ = rig.queue.serve()
        #expect(rig.statistics.grantEvictions == 0)
        holds(rig.status(of: BackendRig.request(.read, pages: [50])) == .okay)
        #expect(rig.statistics.grantOverflows == 1)
        rig.time.nanoseconds += Self.second / 10
        _ = rig.queue.serve()
        #expect(rig.statistics.grantEvictions == 2)
        holds(rig.status(of: BackendRig.request(.read, pages: [50])) == .okay)
        #expect(rig.domain.mappedCount(of: 150) == 1 && rig.statistics.grantsMapped == 39)
        rig.close()
    }

    @Test("BLK-10: at the end every grant is unmapped, and what the system refuses is told")
    func everyGrantIsUnmapped() throws {
        var rig = try BackendRig.make(.init(mode: .persistent))
        for page in stride(from: 0, to: 500, by: 10) {
            holds(
                rig.status(of: BackendRig.request(.read, pages: Array(page..<page + 10))) == .okay)
        }
        #expect(rig.domain.mappedCount == 501)
        rig.domain.state.withLock { $0.refusesUnmap = true }
        let left = rig.queue.close()
        #expect(left == 501)
        rig.domain.state.withLock { $0.refusesUnmap = false }
        rig.close()
    }

    @Test(
        "BLK-14: a slot or a page of segments that changes after it was read changes nothing",
        arguments: GrantMode.allCases)
    func changesAfterTheReadChangeNothing(mode: GrantMode) throws {
        var rig = try BackendRig.make(.init(mode: mode))
        rig.fill(page: 0, 5)
        let domain = rig.domain
        let slot = RingLayout(.x86_64, pageOrder: 0).map { $0.slotOffset(0) } ?? 0
        let scramble: @Sendable () -> Void = {
            for word in 0..<28 { domain.window.storeRelaxed(0xffff_ffff, at: slot + 4 * word) }
        }
        rig.domain.state.withLock { $0.beforeMap = { _ in scramble() } }
        holds(rig.status(of: BackendRig.request(.write, id: 3, pages: [0])) == .okay)
        // The descriptors are good when they are read, and bad from the first use of them on.
        let hits = Mutex(0)
        let indirect = rig.indirect(.write, id: 4, sector: 8, descriptorPage: 500, pages: [0])
        rig.domain.state.withLock {
            $0.beforeMap = { wanted in
                if wanted.contains(100) {
                    hits.withLock { $0 += 1 }
                    domain.window.storeSegment(BlockSegment(9999, 0xffff), at: 501 * pageByteCount)
                }
            }
        }
        rig.disk.state.withLock {
            $0.onSubmit = { _ in
                domain.window.storeSegment(BlockSegment(9999, 0xffff), at: 501 * pageByteCount)
            }
        }
        holds(rig.status(of: indirect) == .okay)
        #expect(hits.withLock { $0 } == (mode == .persistent ? 0 : 1))
        let stored = rig.stored(sector: 0, count: 16)
        #expect(stored.allSatisfy { $0 == 5 })
        rig.close()
    }
}
