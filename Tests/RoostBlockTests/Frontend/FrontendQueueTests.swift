import RoostHypervisor
import RoostMemory
import Testing
import TestSupport

@testable import RoostBlock

@Suite("A frontend's queue")
struct FrontendQueueTests {
    @Test(
        "BLK-4: buffers of any offset and length, several in a page, arrive and come back whole",
        arguments: 0..<24 as Range<UInt64>)
    func anyAlignment(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let isIndirect = Bool.random(using: &random)
        var rig = try FrontendRig.make(
            { options in
                options.segmentLimit = Int.random(in: 1...64, using: &random)
                options.blockProtocol = seed % 2 == 0 ? .x86_64 : .x86_32
            }, features: FrontendRig.features(indirectSegmentLimit: isIndirect ? 256 : 0))
        var oracle = [UInt8](repeating: 0, count: ScriptedBackend.diskByteCount)
        let buffer = try rig.buffer(300_000)
        for token in 0..<40 as Range<UInt64> {
            let sectors = Int.random(in: 1...(token % 5 == 0 ? 500 : 20), using: &random)
            let byteCount = sectors * sectorByteCount
            let sector = Int.random(
                in: 0...ScriptedBackend.diskByteCount / sectorByteCount - sectors, using: &random)
            let slices = Self.slices(of: buffer, byteCount, using: &random)
            let place = sector * sectorByteCount..<(sector + sectors) * sectorByteCount
            if Bool.random(using: &random) {
                let bytes = (0..<byteCount).map { _ in UInt8.random(in: 0...255, using: &random) }
                Self.scatter(bytes, over: slices)
                rig.submit(.write, sector: UInt64(sector), slices: slices, token: token)
                oracle.replaceSubrange(place, with: bytes)
                #expect(rig.run() == [DiskCompletion(token: token, status: .done)])
            } else {
                rig.submit(.read, sector: UInt64(sector), slices: slices, token: token)
                #expect(rig.run() == [DiskCompletion(token: token, status: .done)])
                let read = slices.flatMap { buffer.load($0.range) }
                #expect(read == Array(oracle[place]), "at sector \(sector)")
            }
        }
        let disk = [UInt8](rig.backend.disk.bytes(at: 0, count: ScriptedBackend.diskByteCount))
        #expect(disk == oracle)
    }

    /// Cuts a number of bytes into pieces anywhere in a buffer, none over another.
    private static func slices(
        of buffer: BlockBuffer, _ byteCount: Int, using random: inout SeededRandom
    ) -> [BlockBufferSlice] {
        let pieces = Int.random(in: 1...min(8, byteCount), using: &random)
        var cuts = Set([0, byteCount])
        while cuts.count < pieces + 1 { cuts.insert(Int.random(in: 1..<byteCount, using: &random)) }
        let sorted = cuts.sorted()
        var start = Int.random(in: 0...4000, using: &random)
        return zip(sorted, sorted.dropFirst()).map { first, last in
            let slice = buffer[start..<start + last - first]
            start += last - first + Int.random(in: 0...700, using: &random)
            return slice
        }
    }

    private static func scatter(_ bytes: [UInt8], over slices: [BlockBufferSlice]) {
        var taken = 0
        for slice in slices {
            slice.buffer.store(
                Array(bytes[taken..<taken + slice.range.count]), at: slice.range.lowerBound)
            taken += slice.range.count
        }
    }

    @Test("a large request is cut by the segments of a ring's request, direct and indirect")
    func splitting() throws {
        for (offered, limit, parts) in [(0, 32, 7), (256, 32, 3), (256, 64, 2), (16, 64, 5)] {
            var rig = try FrontendRig.make(
                { $0.segmentLimit = limit },
                features: FrontendRig.features(indirectSegmentLimit: offered))
            let buffer = try rig.buffer(73 * pageByteCount)
            rig.submit(.write, slices: [buffer.all])
            let requests = rig.backend.take()
            #expect(requests.count == parts, "\(offered) offered, \(limit) wanted")
            let sectors = requests.map(\.sector)
            #expect(sectors == sectors.sorted() && sectors.first == 0)
        }
    }

    @Test("what the ring has no slot for waits, in order, and is neither lost nor failed")
    func fullRing() throws {
        var rig = try FrontendRig.make()
        let buffer = try rig.buffer(pageByteCount)
        for token in 0..<100 as Range<UInt64> {
            rig.submit(.read, sector: token, slices: [buffer[0..<512]], token: token)
        }
        let first = rig.backend.take()
        #expect(first.map(\.sector) == Array(0..<32))
        for request in first { rig.backend.answer(request, .okay) }
        rig.backend.publish()
        let ended = rig.run()
        #expect(ended.map(\.token) == Array(0..<100))
        #expect(ended.allSatisfy { $0.status == .done })
        let isIdle = rig.queue.isIdle
        #expect(isIdle)
    }

    @Test("a request of which a part fails has failed, and its other parts are not asked for")
    func failedPart() throws {
        var rig = try FrontendRig.make(features: FrontendRig.features(indirectSegmentLimit: 0))
        let buffer = try rig.buffer(40 * 11 * pageByteCount)
        rig.submit(.read, slices: [buffer.all], token: 9)
        let requests = rig.backend.take()
        #expect(requests.count == 32)
        for (number, request) in requests.enumerated() {
            rig.backend.answer(request, number == 3 ? .error : .okay)
        }
        rig.backend.publish()
        let ended = rig.run()
        #expect(ended == [DiskCompletion(token: 9, status: .failed)])
        let count = rig.queue.statistics.requests
        #expect(count == 32)
    }

    @Test("what a failed read left in its pages does not reach the caller")
    func failedRead() throws {
        var rig = try FrontendRig.make()
        let buffer = try rig.buffer(pageByteCount)
        buffer.store([UInt8](repeating: 7, count: pageByteCount), at: 0)
        rig.backend.disk.storeRelaxed(.max, at: 0)
        rig.submit(.read, slices: [buffer.all])
        let request = try #require(rig.backend.take().first)
        let status = rig.backend.perform(request)
        #expect(status == .okay)
        rig.backend.answer(request, .error)
        rig.backend.publish()
        let ended = rig.run()
        #expect(ended.map(\.status) == [.failed])
        #expect(buffer.load(0..<4) == [7, 7, 7, 7])
    }

    @Test("flush, barrier and discard carry what they should, and a flush has no pages")
    func otherOperations() throws {
        var rig = try FrontendRig.make()
        let buffer = try rig.buffer(2 * pageByteCount)
        rig.submit(.flush, token: 0)
        rig.submit(.barrier, sector: 8, slices: [buffer[0..<8192]], token: 1)
        rig.submit(.discard, sector: 16, byteCount: 1 << 18, token: 2)
        rig.submit(.secureDiscard, sector: 32, byteCount: 512, token: 3)
        let requests = rig.backend.take()
        #expect(requests.map(\.operation) == [.flush, .writeBarrier, .discard, .discard])
        #expect(requests.map(\.segmentCount) == [0, 2, 0, 0])
        #expect(requests.map(\.discardSectorCount) == [0, 0, 512, 1])
        #expect(requests.map(\.isSecure) == [false, false, false, true])
        #expect(requests.map(\.sector) == [0, 8, 16, 32])
        let claimed = rig.queue.statistics.grantsClaimed
        #expect(claimed == 2, "a flush and a discard touch no grants")
    }

    @Test("an operation that the backend says it never does is not asked for again")
    func unsupported() throws {
        var rig = try FrontendRig.make()
        for operation in [DiskOperation.secureDiscard, .discard, .flush] {
            rig.submit(operation, byteCount: operation == .flush ? 0 : 512)
            let request = try #require(rig.backend.take().first)
            rig.backend.answer(request, .unsupported)
            rig.backend.publish()
            let ended = rig.run()
            #expect(ended.map(\.status) == [operation == .flush ? .done : .unsupported])
        }
        rig.submit(.discard, byteCount: 512, token: 1)
        rig.submit(.flush, token: 2)
        let requests = rig.backend.take()
        #expect(requests.map(\.operation) == [.writeBarrier], "in place of the flush")
        let refused = rig.queue.takeCompletion()
        #expect(refused == DiskCompletion(token: 1, status: .unsupported))
    }

    @Test("what had no answer is given back in the order of arrival, with its places")
    func unfinished() throws {
        var rig = try FrontendRig.make({ $0.depth = 64 })
        let buffer = try rig.buffer(64 * pageByteCount)
        for token in 0..<40 as Range<UInt64> {
            let start = Int(token) * 600
            rig.submit(
                token % 2 == 0 ? .write : .read, sector: token,
                slices: [buffer[start..<start + 200], buffer[start + 300..<start + 612]],
                token: token)
        }
        let requests = rig.backend.take()
        for request in requests where request.sector % 3 == 0 {
            rig.backend.answer(request, .okay)
        }
        rig.backend.publish()
        rig.queue.takeResponses()
        var ended: [UInt64] = []
        while let completion = rig.queue.takeCompletion() { ended.append(completion.token) }
        let left = rig.queue.unfinished()
        #expect(left.map(\.token) == (0..<40).filter { !ended.contains($0) })
        #expect(ended == (0..<32).filter { $0 % 3 == 0 })
        for submission in left {
            #expect(submission.pieceCount == 2 && submission.byteCount == 512)
            #expect(submission.piece(1).offset - submission.piece(0).offset == 300)
        }
    }
}
