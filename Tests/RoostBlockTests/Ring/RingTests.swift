import RoostHypervisor
import RoostMemory
import Testing

@testable import RoostBlock

/// Indices that one thread reads and writes.
private final class PlainWords: RingMemory {
    private var words: [Int: UInt32] = [:]

    func loadAcquiring(_ word: RingWord) -> UInt32 { words[word.rawValue] ?? 0 }
    func loadRelaxed(_ word: RingWord) -> UInt32 { words[word.rawValue] ?? 0 }
    func storeReleasing(_ value: UInt32, to word: RingWord) { words[word.rawValue] = value }
    func storeRelaxed(_ value: UInt32, to word: RingWord) { words[word.rawValue] = value }
    func fence() {}
}

@Suite("Both ends of a ring")
struct RingTests {
    private static func window() throws -> (PageWindow, RingLayout) {
        let window = try PageWindow(pageCount: 2)
        try window.mapAnonymous(count: 2, at: 0)
        return (window, try #require(RingLayout(.x86_64, pageOrder: 0)))
    }

    @Test(
        "The peer is told of a slot exactly if the slot is the one it asked for",
        arguments: [0, 1, 100, UInt32.max - 2, UInt32.max - 1, UInt32.max])
    func notificationFollowsTheEventIndex(start: UInt32) {
        for count in UInt32(1)...4 {
            for event in -3...8 {
                let words = PlainWords()
                words.storeRelaxed(start &+ UInt32(bitPattern: Int32(event)), to: .requestEvent)
                var producer = RingProducer(
                    at: start, index: .requestProducer, event: .requestEvent)
                for _ in 0..<count { producer.advance() }
                // Slots start, …, start + count − 1 are shown; the event index names the slot after
                // the one waited for, so those from 1 to `count` ask for one of them.
                holds(producer.publish(words) == (1...Int(count) ~= event))
                #expect(words.loadRelaxed(.requestProducer) == start &+ count)
                holds(!producer.publish(words))
            }
        }
    }

    @Test(
        "Requests and responses pass through a ring whose indices wrap",
        arguments: BlockProtocol.allCases, 0...2)
    func ringWraps(blockProtocol: BlockProtocol, order: Int) throws {
        let layout = try #require(RingLayout(blockProtocol, pageOrder: order))
        let window = try PageWindow(pageCount: 5)
        try window.mapAnonymous(count: 5, at: 0)
        var front = FrontendRing(layout, in: window, atPage: 1, startingAt: UInt32.max - 40)
        guard var back = BackendRing.attach(layout, in: window, atPage: 1) else {
            Issue.record("the backend refuses a new ring")
            return
        }
        var asked: UInt64 = 0
        var answered: UInt64 = 0
        while answered < 200 {
            while front.freeCount > 0 {
                var request = BlockRequest(.write, id: asked, sector: asked * 8)
                request.segmentCount = 11
                for index in 0..<11 {
                    request.segments[index] = BlockSegment(
                        UInt32(asked) * 16 + UInt32(index), 0x700)
                }
                front.put(request)
                asked += 1
            }
            holds(front.publish())
            holds(back.look() == .slots(layout.slotCount))
            for index in 0..<layout.slotCount {
                let request = back.takeRequest()
                let id = answered + UInt64(index)
                #expect(request.id == id && request.sector == id * 8)
                #expect(request.segments[10].grant == UInt32(id) * 16 + 10)
            }
            holds(!back.rearm())
            for index in 0..<layout.slotCount {
                back.put(BlockResponse(id: answered + UInt64(index), code: 1, .okay))
            }
            holds(back.publish())
            holds(front.look() == .slots(layout.slotCount))
            for index in 0..<layout.slotCount {
                holds(
                    front.takeResponse()
                        == BlockResponse(id: answered + UInt64(index), code: 1, .okay))
            }
            holds(!front.rearm())
            answered += UInt64(layout.slotCount)
        }
        // Nothing was written in front of the ring or behind it.
        let isUntouched = window.bytes(at: 0, count: pageByteCount).isZero
        #expect(isUntouched)
    }

    @Test("A response leaves what lies behind it in its slot alone, and zeros its padding")
    func responsePaddingIsZero() throws {
        let (window, _) = try Self.window()
        for (blockProtocol, length) in [(BlockProtocol.x86_64, 16), (.x86_32, 12)] {
            let layout = try #require(RingLayout(blockProtocol, pageOrder: 0))
            let front = FrontendRing(layout, in: window, atPage: 0)
            let free = front.freeCount
            #expect(free == 32)
            for offset in stride(from: 64, to: 4096, by: 4) {
                window.storeRelaxed(0xffff_ffff, at: offset)
            }
            window.storeRelaxed(1, at: RingWord.requestProducer.rawValue)
            guard var back = BackendRing.attach(layout, in: window, atPage: 0) else { return }
            holds(back.look() == .slots(1))
            _ = back.takeRequest()
            back.put(BlockResponse(id: 0, code: 0, .okay))
            for offset in stride(from: 64, to: 4096, by: 4) {
                #expect(window.loadRelaxed(at: offset) == (offset < 64 + length ? 0 : 0xffff_ffff))
            }
        }
    }

    @Test(
        "BLK-14: a frontend whose request index cannot be is found out",
        arguments: [0, 5, UInt32.max - 3])
    func bogusRequestProducerIsFoundOut(start: UInt32) throws {
        let (window, layout) = try Self.window()
        window.storeRelaxed(start, at: RingWord.responseProducer.rawValue)
        func claim(_ count: Int32) {
            window.storeRelaxed(
                start &+ UInt32(bitPattern: count), at: RingWord.requestProducer.rawValue)
        }
        claim(33)
        let isRefused = BackendRing.attach(layout, in: window, atPage: 0) == nil
        #expect(isRefused)
        claim(32)
        guard var back = BackendRing.attach(layout, in: window, atPage: 0) else {
            Issue.record("a full ring is refused")
            return
        }
        holds(back.look() == .slots(32))
        for _ in 0..<3 { _ = back.takeRequest() }
        claim(33)
        holds(back.look() == .broken)
        claim(2)
        holds(back.look() == .broken)
        claim(3)
        holds(back.look() == .slots(0))
        back.put(BlockResponse(id: 0, code: 0, .okay))
        claim(33)
        holds(back.look() == .slots(30))
        claim(34)
        holds(back.look() == .broken)
    }

    @Test("BLK-14: a backend whose response index cannot be is found out")
    func bogusResponseProducerIsFoundOut() throws {
        let (window, layout) = try Self.window()
        var front = FrontendRing(layout, in: window, atPage: 0)
        front.put(BlockRequest(.flush, id: 0))
        front.put(BlockRequest(.flush, id: 1))
        _ = front.publish()
        front.put(BlockRequest(.flush, id: 2))
        for (claim, expected) in [
            (UInt32(3), RingBacklog.broken), (UInt32.max, .broken), (2, .slots(2)), (0, .slots(0)),
        ] {
            window.storeRelaxed(claim, at: RingWord.responseProducer.rawValue)
            holds(front.look() == expected)
        }
    }

    @Test("A backend attaches behind the last response, wherever that is")
    func attachBeginsBehindTheLastResponse() throws {
        let (window, layout) = try Self.window()
        var front = FrontendRing(layout, in: window, atPage: 0, startingAt: UInt32.max)
        for id in 0..<5 { front.put(BlockRequest(.flush, id: UInt64(id))) }
        _ = front.publish()
        guard var first = BackendRing.attach(layout, in: window, atPage: 0) else { return }
        holds(first.look() == .slots(5))
        for _ in 0..<4 { _ = first.takeRequest() }
        for id in 0..<2 { first.put(BlockResponse(id: UInt64(id), code: 3, .okay)) }
        holds(first.publish())
        // Put but not published: the next backend does not know of it, and asks again.
        first.put(BlockResponse(id: 2, code: 3, .okay))
        guard var second = BackendRing.attach(layout, in: window, atPage: 0) else {
            Issue.record("the ring is refused")
            return
        }
        holds(second.look() == .slots(3))
        _ = second.takeRequest()
        let fourth = second.takeRequest()
        #expect(fourth.id == 3)
    }
}
