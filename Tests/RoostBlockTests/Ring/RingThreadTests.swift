import Glibc
import RoostHypervisor
import RoostMemory
import RoostSystem
import Synchronization
import Testing

@testable import RoostBlock

/// An event between two threads: a level, as an event channel's is.
private final class Bell: Sendable {
    private let isRung = Atomic<Bool>(false)

    func ring() { isRung.store(true, ordering: .releasing) }

    /// Waits for the event; `false` when it does not come for a long time.
    func wait() -> Bool {
        let deadline = ContinuousClock.now + .seconds(30)
        while !isRung.exchange(false, ordering: .acquiringAndReleasing) {
            if ContinuousClock.now > deadline { return false }
            sched_yield()
        }
        return true
    }
}

/// Asks `count` times; answers how many responses were right.
private func ask(_ count: Int, _ window: PageWindow, own: Bell, peer: Bell) -> Int {
    guard let layout = RingLayout(.x86_64, pageOrder: 0) else { return 0 }
    var ring = FrontendRing(layout, in: window, atPage: 0, startingAt: UInt32.max - 1000)
    peer.ring()
    var asked = 0
    var answered = 0
    while answered < count {
        while ring.freeCount > 0, asked < count {
            var request = BlockRequest(.write, id: UInt64(asked), sector: UInt64(asked) * 3)
            request.segmentCount = 1
            request.segments[0] = BlockSegment(UInt32(asked), 0x700)
            ring.put(request)
            asked += 1
        }
        if ring.publish() { peer.ring() }
        var taken = 0
        repeat {
            guard case .slots(let waiting) = ring.look() else { return answered }
            for _ in 0..<waiting {
                let response = ring.takeResponse()
                guard response == BlockResponse(id: UInt64(answered), code: 1, .okay) else {
                    return answered
                }
                answered += 1
            }
            taken += waiting
        } while ring.rearm()
        if taken == 0, answered < count, !own.wait() { return answered }
    }
    return answered
}

/// Answers `count` times; answers how many requests were right.
private func answer(_ count: Int, _ window: PageWindow, own: Bell, peer: Bell) -> Int {
    guard own.wait(), let layout = RingLayout(.x86_64, pageOrder: 0),
        var ring = BackendRing.attach(layout, in: window, atPage: 1)
    else { return 0 }
    var answered = 0
    while answered < count {
        repeat {
            guard case .slots(let waiting) = ring.look() else { return answered }
            for _ in 0..<waiting {
                let request = ring.takeRequest()
                guard request.id == answered, request.sector == answered * 3,
                    request.segments[0] == BlockSegment(UInt32(answered), 0x700)
                else { return answered }
                ring.put(BlockResponse(id: request.id, code: request.answeredCode, .okay))
                answered += 1
            }
            if ring.publish() { peer.ring() }
        } while ring.rearm()
        if answered < count, !own.wait() { return answered }
    }
    return answered
}

@Suite("A ring between two threads")
struct RingThreadTests {
    @Test("Two threads that sleep until they are told pass every request and response")
    func everyRequestArrives() async throws {
        let count = 100_000
        let file = try MemoryFile.make(name: "ring", byteCount: pageByteCount)
        let window = try PageWindow(pageCount: 2)
        try window.map(file.descriptor, filePage: 0, count: 1, at: 0, isWritable: true)
        try window.map(file.descriptor, filePage: 0, count: 1, at: 1, isWritable: true)
        let (front, back) = (Bell(), Bell())
        async let answered = DedicatedThread.run(name: "backend") {
            answer(count, window, own: back, peer: front)
        }
        let asked = try await DedicatedThread.run(name: "frontend") {
            ask(count, window, own: front, peer: back)
        }
        #expect(asked == count)
        #expect(try await answered == count)
    }
}
