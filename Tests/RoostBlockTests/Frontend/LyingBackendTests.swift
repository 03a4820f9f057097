import RoostHypervisor
import RoostMemory
import Testing
import TestSupport

@testable import RoostBlock

@Suite("BLK-14: a lying backend")
struct LyingBackendTests {
    @Test("an answer to a request that there is not ends the disk, by name", arguments: 0..<6)
    func lies(kind: Int) throws {
        var rig = try FrontendRig.make()
        let buffer = try rig.buffer(pageByteCount)
        rig.submit(.read, slices: [buffer.all])
        rig.submit(.read, slices: [buffer.all])
        let requests = rig.backend.take()
        let request = try #require(requests.first)
        var lie = BlockResponse(id: request.id, code: request.code, .okay)
        var isTwice = false
        switch kind {
        case 0: lie.id = 32
        case 1: lie.id = .max
        case 2: lie.id = 7
        case 3: lie.code = BlockOperation.write.rawValue
        case 4: lie.statusCode = 1
        default: isTwice = true
        }
        rig.backend.ring.put(lie)
        if isTwice { rig.backend.ring.put(lie) }
        rig.backend.publish()
        rig.queue.takeResponses()
        let failed = rig.queue.failure
        let failure = try #require(failed)
        #expect(failure.kind == .peer)
        #expect(failure.description.contains("broke the protocol"))
        rig.submit(.flush)
        let more = rig.backend.take()
        #expect(more.isEmpty, "nothing more is asked of it")
    }

    @Test(
        "a producer index that cannot be ends the disk",
        arguments: [3, 33, 1 << 31, .max] as [UInt32])
    func producer(index: UInt32) throws {
        var rig = try FrontendRig.make()
        let buffer = try rig.buffer(pageByteCount)
        rig.submit(.read, slices: [buffer.all])
        rig.submit(.read, slices: [buffer.all])
        rig.queue.window.storeReleasing(
            index, at: rig.queue.ringPages.page * pageByteCount + RingWord.responseProducer.rawValue
        )
        rig.queue.takeResponses()
        let failure = rig.queue.failure
        #expect(failure?.kind == .peer)
    }

    @Test(
        "whatever a backend answers, nothing traps, and a neighbour's disk is undisturbed",
        arguments: 0..<20 as Range<UInt64>)
    func anything(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var neighbour = try FrontendRig.make()
        let block = try neighbour.buffer(pageByteCount)
        for round in 0..<50 as Range<UInt64> {
            try lieOnce(&random)
            let content = (0..<512).map { _ in UInt8.random(in: 0...255, using: &random) }
            block.store(content, at: 0)
            neighbour.submit(.write, sector: round, slices: [block[0..<512]])
            let written = neighbour.run()
            neighbour.submit(.read, sector: round, slices: [block[512..<1024]])
            let read = neighbour.run()
            #expect(written.map(\.status) == [.done] && read.map(\.status) == [.done])
            #expect(block.load(512..<1024) == content)
        }
    }

    /// Lets a backend answer some requests in the right way and then in any.
    private func lieOnce(_ random: inout SeededRandom) throws {
        var rig = try FrontendRig.make({ $0.depth = 64 })
        let buffer = try rig.buffer(4 * pageByteCount)
        for token in 0..<20 as Range<UInt64> {
            let count = Int.random(in: 1...8, using: &random) * 512
            if Bool.random(using: &random) {
                rig.submit(
                    Bool.random(using: &random) ? .read : .write, slices: [buffer[0..<count]],
                    token: token)
            } else {
                rig.submit(
                    Bool.random(using: &random) ? .flush : .discard, byteCount: 512, token: token)
            }
        }
        for request in rig.backend.take().prefix(Int.random(in: 0...20, using: &random)) {
            var response = BlockResponse(id: request.id, code: request.answeredCode, .okay)
            switch Int.random(in: 0...9, using: &random) {
            case 0: response.id = UInt64.random(in: 0...40, using: &random)
            case 1: response.id = UInt64.random(in: 0 ... .max, using: &random)
            case 2: response.code = UInt8.random(in: 0...7, using: &random)
            case 3: response.statusCode = Int16.random(in: -3...1, using: &random)
            default: break
            }
            rig.backend.ring.put(response)
        }
        if Bool.random(using: &random) { rig.backend.publish() }
        if Int.random(in: 0...3, using: &random) == 0 {
            rig.queue.window.storeReleasing(
                UInt32.random(in: 0 ... .max, using: &random),
                at: rig.queue.ringPages.page * pageByteCount
                    + RingWord.responseProducer.rawValue)
        }
        rig.queue.takeResponses()
        var ended: Set<UInt64> = []
        while let completion = rig.queue.takeCompletion() {
            let isNew = ended.insert(completion.token).inserted
            #expect(isNew, "a caller is answered once")
        }
        let left = rig.queue.unfinished()
        #expect(left.allSatisfy { !ended.contains($0.token) } && left.count + ended.count == 20)
    }
}
