import RoostHypervisor
import RoostMemory
import Testing
import TestSupport

@testable import RoostBlock

@Suite("A frontend's grants")
struct FrontendPolicyTests {
    @Test("BLK-2: always grants once and uses its pages again, also if the backend keeps nothing")
    func always() throws {
        var rig = try FrontendRig.make(
            { $0.policy = .always }, features: FrontendRig.features(isPersistent: false))
        let buffer = try rig.buffer(3 * pageByteCount)
        for _ in 0..<10 {
            rig.submit(.write, slices: [buffer.all])
            let ended = rig.run()
            #expect(ended.map(\.status) == [.done])
        }
        let statistics = rig.queue.statistics
        #expect(statistics.grantsClaimed == 3 && statistics.grantsReused == 27)
        #expect(statistics.grantsEnded == 0)
    }

    @Test(
        "BLK-2: negotiated keeps its grants only if the backend does too", arguments: [true, false])
    func negotiated(isPersistent: Bool) throws {
        var rig = try FrontendRig.make(
            { $0.policy = .negotiated }, features: FrontendRig.features(isPersistent: isPersistent))
        let buffer = try rig.buffer(3 * pageByteCount)
        for _ in 0..<10 {
            rig.submit(.read, slices: [buffer.all])
            _ = rig.run()
        }
        let statistics = rig.queue.statistics
        #expect(statistics.grantsClaimed == (isPersistent ? 3 : 30))
        #expect(statistics.grantsEnded == (isPersistent ? 0 : 30))
    }

    @Test("BLK-2: never grants for a request and ends the grants after it")
    func never() throws {
        var rig = try FrontendRig.make({ $0.policy = .never })
        let ring = rig.queue.allocator.claimedCount
        let buffer = try rig.buffer(20 * pageByteCount)
        rig.submit(.write, slices: [buffer.all])
        let during = rig.queue.allocator.claimedCount
        #expect(during == ring + 21, "20 pages of bytes and one of segments")
        let ended = rig.run()
        #expect(ended.map(\.status) == [.done])
        let after = rig.queue.allocator.claimedCount
        #expect(after == ring)
    }

    @Test(
        "BLK-3: a persistent grant is to be written, a plain one of a guest's write only read",
        arguments: [(GrantPolicy.always, true), (.never, false)])
    func access(policy: GrantPolicy, isWritable: Bool) throws {
        var rig = try FrontendRig.make({ $0.policy = policy })
        let buffer = try rig.buffer(pageByteCount)
        rig.submit(.write, slices: [buffer.all])
        let write = try #require(rig.backend.take().first)
        let canWrite = rig.backend.canWrite(write.segments[0])
        #expect(canWrite == isWritable)
        rig.backend.answer(write, .okay)
        rig.backend.publish()
        _ = rig.run()
        rig.submit(.read, slices: [buffer.all])
        let read = try #require(rig.backend.take().first)
        let canRead = rig.backend.canWrite(read.segments[0])
        #expect(canRead, "a page that is read into is writable under every policy")
    }

    @Test("BLK-5: the page that was used last is used next")
    func lastInFirstOut() throws {
        var rig = try FrontendRig.make()
        let buffer = try rig.buffer(32 * pageByteCount)
        for token in 0..<32 as Range<UInt64> {
            rig.submit(.read, slices: [buffer[0..<512]], token: token)
        }
        _ = rig.run()
        rig.backend.segments = []
        for _ in 0..<5 {
            rig.submit(.read, slices: [buffer[0..<512]])
            _ = rig.run()
        }
        let used = Set(rig.backend.segments.map(\.grant))
        #expect(used.count == 1, "one request at a time goes through one page")
    }

    @Test(
        "BLK-5: when the n-th grant of a request can't be had, what it had goes back, and it waits",
        arguments: 1...9)
    func shortage(count: Int) throws {
        // So many pages are free beside those that a first request holds.
        var rig = try FrontendRig.make({
            $0.segmentLimit = 8
            $0.grantLimit = 8 + count
        })
        let buffer = try rig.buffer(8 * pageByteCount)
        rig.submit(.write, slices: [buffer.all], token: 1)
        rig.submit(.write, sector: 64, slices: [buffer.all], token: 2)
        let first = rig.backend.take()
        // The ninth page of a request of eight, for its segments, is not needed.
        let fits = count >= 8
        #expect(first.count == (fits ? 2 : 1))
        let (claimed, kept) = (rig.queue.allocator.claimedCount, rig.queue.pool.count)
        #expect(claimed == 1 + (fits ? 16 : 8 + count) && kept == (fits ? 0 : count))
        #expect(rig.queue.lacksGrants == !fits)
        for request in first {
            let status = rig.backend.perform(request)
            rig.backend.answer(request, status)
        }
        rig.backend.publish()
        let ended = rig.run()
        #expect(ended.map(\.token) == [1, 2] && ended.allSatisfy { $0.status == .done })
    }

    @Test("BLK-10: a grant that the backend still uses is kept and ended later, never under it")
    func stuck() throws {
        var rig = try FrontendRig.make({ $0.policy = .never })
        let buffer = try rig.buffer(pageByteCount)
        rig.submit(.read, slices: [buffer.all])
        let request = try #require(rig.backend.take().first)
        let window = try PageWindow(pageCount: 1)
        let references = [request.segments[0].reference]
        let mapping = try rig.backend.mapper.map(references.span, .readWrite, into: window, at: 0)
        rig.backend.answer(request, .okay)
        rig.backend.publish()
        let ended = rig.run()
        #expect(ended.map(\.status) == [.done])
        #expect(rig.queue.statistics.stuckGrants == 1)
        let held = rig.queue.allocator.claimedCount
        #expect(held == 2, "the ring's page and the stuck one")
        try rig.backend.mapper.unmap(mapping)
        rig.queue.takeResponses()
        #expect(rig.queue.statistics.stuckGrants == 0)
        let left = rig.queue.allocator.claimedCount
        #expect(left == 1)
    }
}
