import RoostHypervisor
import RoostMemory
import Synchronization
import SystemPackage
import Testing

@testable import RoostBlock

@Suite("A queue's answers to requests")
struct BackendRequestTests {
    @Test(
        "BLK-12: data goes to the disk and back, in each mode and layout",
        arguments: GrantMode.allCases, BlockProtocol.allCases)
    func dataGoesThereAndBack(mode: GrantMode, blockProtocol: BlockProtocol) throws {
        var rig = try BackendRig.make(.init(mode: mode, blockProtocol: blockProtocol))
        for page in 0..<11 { rig.fill(page: page, UInt8(page + 1)) }
        let write = BackendRig.request(.write, sector: 16, pages: Array(0..<11))
        holds(rig.status(of: write) == .okay)
        for page in 0..<11 {
            let stored = rig.stored(sector: 16 + 8 * page, count: 8)
            #expect(stored.allSatisfy { $0 == UInt8(page + 1) })
        }
        let read = BackendRig.request(.read, sector: 24, pages: [20, 21])
        holds(rig.status(of: read) == .okay)
        let (first, second) = (rig.contents(page: 20), rig.contents(page: 21))
        #expect(first.allSatisfy { $0 == 2 } && second.allSatisfy { $0 == 3 })
        let statistics = rig.statistics
        #expect(statistics.reads == 1 && statistics.readBytes == 8192)
        #expect(statistics.writes == 1 && statistics.writtenBytes == 11 * 4096)
        #expect(statistics.errors == 0 && statistics.inFlight == 0)
        #expect(statistics.latencies.reduce(0, +) == 2)
        rig.close()
    }

    @Test("BLK-12: one sector inside a page goes where it belongs, and nothing beside it")
    func oneSectorInsideAPage() throws {
        for mode in GrantMode.allCases {
            var rig = try BackendRig.make(.init(mode: mode))
            rig.disk.state.withLock { state in
                for index in state.bytes.indices { state.bytes[index] = UInt8(index / 512 % 251) }
            }
            rig.fill(page: 3, 0xff)
            let read = BackendRig.request(.read, sector: 77, pages: [3], sectors: 3...3)
            holds(rig.status(of: read) == .okay)
            let bytes = rig.contents(page: 3)
            for index in bytes.indices {
                #expect(bytes[index] == (index / 512 == 3 ? 77 : 0xff))
            }
            rig.close()
        }
    }

    @Test(
        "BLK-12: indirect requests go there and back, in each mode", arguments: GrantMode.allCases)
    func indirectRequests(mode: GrantMode) throws {
        var rig = try BackendRig.make(.init(mode: mode, indirectLimit: 600))
        // More than one page of segments holds: 512 of them, and 3 in a second page.
        var request = rig.indirect(.write, descriptorPage: 580, pages: Array(0..<64))
        for page in 0..<64 { rig.fill(page: page, UInt8(page)) }
        holds(rig.status(of: request) == .okay)
        for page in 0..<64 {
            let stored = rig.stored(sector: 8 * page, count: 8)
            #expect(stored.allSatisfy { $0 == UInt8(page) })
        }
        request = rig.indirect(.read, sector: 8, descriptorPage: 580, pages: [100, 101])
        request.segmentCount = 515
        request.indirectGrants[1] = 100 + 581
        for index in 0..<515 {
            let at = (index < 512 ? 1 + 580 : 1 + 581) * pageByteCount + 8 * (index % 512)
            // One sector each, all but the last into the same page.
            rig.domain.window.storeSegment(
                BlockSegment(index < 514 ? 200 : 201, 0x0101), at: at)
        }
        holds(rig.status(of: request) == .okay)
        let last = rig.contents(page: 101)
        #expect(last[512] == UInt8((8 + 514) / 8 % 64) || last[512] == 0)
        #expect(rig.statistics.reads == 1 && rig.statistics.readBytes == 515 * 512)
        rig.close()
    }

    @Test(
        "BLK-14: each request that is not allowed is answered as Linux answers it",
        arguments: GrantMode.allCases)
    func refusalsAreLinuxs(mode: GrantMode) throws {
        var rig = try BackendRig.make(.init(mode: mode, indirectLimit: 32))
        typealias Case = (String, BlockRequest, BlockStatus)
        var cases: [Case] = []
        func add(_ name: String, _ request: BlockRequest, _ status: BlockStatus = .error) {
            cases.append((name, request, status))
        }
        let one = BackendRig.request(.read, pages: [0])
        var request = one
        request.segmentCount = 0
        add("no segments", request)
        request = one
        request.segments[0].firstSector = 5
        request.segments[0].lastSector = 4
        add("last before first", request)
        request = one
        request.segments[0].lastSector = 8
        add("behind the page", request)
        request = one
        request.sector = 1017
        add("past the end", request)
        request.sector = UInt64.max - 3
        add("wraps", request)
        request = one
        request.segments[0].grant = 9999
        add("unknown grant", request)
        request = rig.indirect(.read, descriptorPage: 590, pages: Array(0..<33))
        add("too many indirect", request)
        request = rig.indirect(.flush, descriptorPage: 590, pages: [0])
        add("inner flush", request)
        request = rig.indirect(.read, descriptorPage: 590, pages: [0])
        request.indirectGrants[0] = 9999
        add("unknown indirect page", request)
        request = BlockRequest(.discard, id: 1, sector: 1020)
        request.discardSectorCount = 5
        add("discard past the end", request)
        add("empty flush", BlockRequest(.flush, id: 1), .okay)
        add("empty barrier", BlockRequest(.writeBarrier, id: 1), .okay)
        add("same grant twice", BackendRig.request(.read, pages: [4, 4]), .okay)
        for (name, request, status) in cases {
            let answered = rig.status(of: request)
            #expect(answered == status, "\(name)")
        }
        // What no frontend of ours would write goes into the ring raw.
        for (word, code, status) in [
            (UInt32(0x0c00), UInt8(0), BlockStatus.error), (0x4d, 77, .unsupported),
            (0x04, 4, .unsupported),
        ] {
            let slot = rig.queue.ring.layout.slotOffset(UInt32(cases.count))
            rig.front.put(one)
            rig.domain.window.storeRelaxed(word, at: slot)
            _ = rig.front.publish()
            _ = rig.queue.serve()
            let found = rig.responses()
            #expect(found == [BlockResponse(id: 1, code: code, status)])
            cases.append(("", one, status))
        }
        #expect(rig.statistics.errors == 13)
        rig.close()
    }

    @Test("BLK-12: a read-only disk, one without discards, and one of large sectors refuse")
    func otherDisksRefuse() throws {
        var geometry = DiskGeometry(sectorCount: 1024, isReadOnly: true)
        var rig = try BackendRig.make(.init(geometry: geometry))
        holds(rig.status(of: BackendRig.request(.write, pages: [0])) == .error)
        holds(rig.status(of: BackendRig.request(.read, pages: [0])) == .okay)
        rig.close()
        geometry = DiskGeometry(sectorCount: 1024, canDiscard: false)
        rig = try BackendRig.make(.init(geometry: geometry))
        var discard = BlockRequest(.discard, id: 1, sector: 8)
        discard.discardSectorCount = 8
        holds(rig.status(of: discard) == .unsupported)
        rig.close()
        geometry = DiskGeometry(sectorCount: 1024, logicalSectorByteCount: 4096)
        rig = try BackendRig.make(.init(geometry: geometry))
        holds(rig.status(of: BackendRig.request(.read, sector: 8, pages: [0])) == .okay)
        holds(rig.status(of: BackendRig.request(.read, sector: 4, pages: [0])) == .error)
        let part = BackendRig.request(.read, sector: 8, pages: [0], sectors: 0...3)
        holds(rig.status(of: part) == .error)
        rig.close()
    }

    @Test("BLK-21: nothing of a write that crosses the end is written, also not after a resize")
    func writeAcrossTheEndFailsWhole() throws {
        var rig = try BackendRig.make()
        rig.fill(page: 0, 7)
        holds(rig.status(of: BackendRig.request(.write, sector: 1018, pages: [0])) == .error)
        let stored = rig.stored(sector: 1016, count: 8)
        #expect(stored.allSatisfy { $0 == 0 } && rig.disk.log.isEmpty)
        rig.shared.control.sectorCount = 512
        holds(rig.status(of: BackendRig.request(.write, sector: 508, pages: [0])) == .error)
        holds(rig.status(of: BackendRig.request(.write, sector: 504, pages: [0])) == .okay)
        rig.close()
    }

    @Test("BLK-12: a discard reaches the storage, and what that cannot do is said for good")
    func discardReachesTheStorage() throws {
        var rig = try BackendRig.make()
        rig.fill(page: 0, 7)
        holds(rig.status(of: BackendRig.request(.write, sector: 8, pages: [0])) == .okay)
        var discard = BlockRequest(.discard, id: 1, sector: 8)
        discard.discardSectorCount = 4
        discard.isSecure = true
        holds(rig.status(of: discard) == .okay)
        let stored = rig.stored(sector: 8, count: 8)
        #expect(stored[..<2048].allSatisfy { $0 == 0 } && stored[2048...].allSatisfy { $0 == 7 })
        rig.disk.state.withLock {
            $0.failing = 2
            $0.failure = .notSupported
        }
        holds(rig.status(of: discard) == .unsupported)
        rig.disk.state.withLock {
            $0.failing = 3
            $0.failure = .ioError
        }
        holds(rig.status(of: discard) == .error)
        #expect(rig.statistics.discards == 1)
        rig.close()
    }

    @Test("BLK-15: data of a read that has failed is not copied out")
    func failedReadIsNotCopiedOut() throws {
        var rig = try BackendRig.make(.init(mode: .copy))
        rig.fill(page: 0, 0x11)
        rig.disk.state.withLock { $0.failing = 0 }
        holds(rig.status(of: BackendRig.request(.read, pages: [0])) == .error)
        let bytes = rig.contents(page: 0)
        #expect(bytes.allSatisfy { $0 == 0x11 })
        #expect(rig.statistics.errors == 1 && rig.statistics.reads == 0)
        rig.close()
    }

    @Test("A request that fails in the storage fails alone", arguments: GrantMode.allCases)
    func failureIsAlone(mode: GrantMode) throws {
        for failing in 0..<4 {
            var rig = try BackendRig.make(.init(mode: mode))
            rig.disk.state.withLock { $0.failing = failing }
            for id in 0..<4 {
                rig.front.put(BackendRig.request(.write, id: UInt64(id), pages: [id]))
            }
            _ = rig.front.publish()
            _ = rig.queue.serve()
            let statuses = rig.responses().map(\.status)
            #expect(statuses == (0..<4).map { $0 == failing ? .error : .okay })
            rig.close()
        }
    }

    @Test("A barrier waits for what came before, and what comes after waits for it")
    func barrierKeepsOrder() throws {
        var rig = try BackendRig.make(.init(pace: .held))
        rig.front.put(BackendRig.request(.write, id: 0, sector: 0, pages: [0]))
        rig.front.put(BackendRig.request(.write, id: 1, sector: 8, pages: [1]))
        rig.front.put(BackendRig.request(.writeBarrier, id: 2, sector: 16, pages: [2]))
        rig.front.put(BackendRig.request(.write, id: 3, sector: 24, pages: [3]))
        _ = rig.front.publish()
        var expected = ["begin write 0", "begin write 8"]
        func step(_ rig: inout BackendRig, _ allow: Int?, _ new: [String]) throws {
            if let allow { try rig.disk.allow(allow) }
            _ = rig.queue.serve()
            expected += new
            #expect(rig.disk.log == expected)
        }
        try step(&rig, nil, [])
        try step(&rig, 1, ["end write 8"])
        try step(&rig, 0, ["end write 0", "begin flush 0"])
        try step(&rig, 2, ["end flush 0", "begin write 16"])
        try step(&rig, 3, ["end write 16", "begin flush 0"])
        try step(&rig, 4, ["end flush 0", "begin write 24"])
        try step(&rig, 5, ["end write 24"])
        let answered = rig.responses().map(\.id)
        #expect(answered == [0, 1, 2, 3])
        #expect(rig.statistics.barriers == 1)
        rig.close()
    }

    @Test("A flush with data flushes, then writes; one that fails writes nothing")
    func flushWithData() throws {
        var rig = try BackendRig.make()
        holds(rig.status(of: BackendRig.request(.flush, sector: 8, pages: [0])) == .okay)
        #expect(rig.disk.log == ["begin flush 0", "end flush 0", "begin write 8", "end write 8"])
        rig.disk.state.withLock { $0.failing = 2 }
        holds(rig.status(of: BackendRig.request(.flush, sector: 8, pages: [0])) == .error)
        #expect(rig.disk.log.count == 6)
        rig.disk.state.withLock { $0.failing = 3 }
        holds(rig.status(of: BackendRig.request(.writeBarrier, pages: [0])) == .error)
        holds(rig.status(of: BackendRig.request(.write, pages: [0])) == .okay)
        rig.close()
    }

    @Test(
        "Responses keep the order of their requests if that is wanted",
        arguments: [ResponseOrder.asRequested, .asCompleted], 0..<8)
    func responsesKeepOrder(order: ResponseOrder, seed: UInt64) throws {
        var rig = try BackendRig.make(
            .init(order: order, pace: .shuffled(seed: seed), startingAt: UInt32.max - 100))
        var answered: [UInt64] = []
        for batch in 0..<10 {
            for id in 0..<20 {
                rig.front.put(
                    BackendRig.request(.read, id: UInt64(batch * 20 + id), pages: [id]))
            }
            _ = rig.front.publish()
            _ = rig.queue.serve()
            answered += rig.responses().map(\.id)
        }
        #expect(answered.sorted() == Array(0..<200))
        #expect((answered == Array(0..<200)) == (order == .asRequested))
        rig.close()
    }

    @Test("A response waits for those before it, and its grants do not")
    func laterRequestIsReleasedEarly() throws {
        var rig = try BackendRig.make(.init(mode: .map, pace: .held))
        rig.front.put(BackendRig.request(.read, id: 0, pages: [0]))
        rig.front.put(BackendRig.request(.read, id: 1, pages: [1]))
        _ = rig.front.publish()
        _ = rig.queue.serve()
        try rig.disk.allow(1)
        _ = rig.queue.serve()
        let early = rig.responses()
        #expect(early.isEmpty)
        #expect(rig.domain.mappedCount(of: 100) == 1 && rig.domain.mappedCount(of: 101) == 0)
        #expect(rig.statistics.inFlight == 2)
        try rig.disk.allow(0)
        _ = rig.queue.serve()
        let late = rig.responses().map(\.id)
        #expect(late == [0, 1])
        rig.close()
    }
}
