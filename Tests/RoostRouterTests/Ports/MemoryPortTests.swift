@testable import RoostMemory
@testable import RoostRouter
import Testing

@Suite("Ports in memory")
struct MemoryPortTests {
    private func batch(of frames: [[UInt8]]) throws -> FrameBatch {
        var batch = try FrameBatch()
        for frame in frames { #expect(batch.append(frame) != nil) }
        return batch
    }

    private func frame(_ number: Int, byteCount: Int = 60) -> [UInt8] {
        [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: byteCount)
    }

    @Test("NET-14: what one end sends the other receives, in order, and both count it")
    func exchange() throws {
        let (left, right) = try MemoryPort.pair()
        let sent = try batch(of: (0..<10).map { frame($0) })
        #expect(left.transmit(sent.slots, of: sent, worker: 0) == .ready)
        var received = try FrameBatch()
        #expect(right.receive(into: &received, worker: 0) == .ready)
        #expect(received.count == 10)
        for slot in 0..<10 { #expect(received.bytes(slot) == frame(slot)) }
        #expect(left.counters.total(.sentFrames) == 10)
        #expect(left.counters.total(.sentBytes) == 600)
        #expect(right.counters.total(.receivedFrames) == 10)
        #expect(right.counters.total(.receivedBytes) == 600)
    }

    @Test("only the slots asked for are sent")
    func slots() throws {
        let (left, right) = try MemoryPort.pair()
        let sent = try batch(of: (0..<4).map { frame($0) })
        #expect(left.transmit(SlotSet(rawValue: 0b1010), of: sent, worker: 0) == .ready)
        var received = try FrameBatch()
        _ = right.receive(into: &received, worker: 0)
        #expect(received.count == 2)
        #expect(received.bytes(0) == frame(1))
        #expect(received.bytes(1) == frame(3))
    }

    @Test("a full queue drops what comes, and counts it", arguments: [1, 2, 3])
    func fullQueue(capacity: Int) throws {
        let (left, right) = try MemoryPort.pair(capacity: capacity)
        let sent = try batch(of: (0..<4).map { frame($0) })
        _ = left.transmit(sent.slots, of: sent, worker: 0)
        #expect(left.counters.total(.transmitQueueFull) == UInt64(4 - capacity))
        var received = try FrameBatch()
        _ = right.receive(into: &received, worker: 0)
        #expect(received.count == capacity)
        // What was taken out leaves room, wherever in the ring it lay.
        _ = left.transmit(sent.slots, of: sent, worker: 0)
        received.removeAll()
        _ = right.receive(into: &received, worker: 0)
        #expect(received.count == capacity)
        #expect(received.bytes(0) == frame(0))
    }

    @Test(
        "a fault hits exactly the frame that it is counted to",
        arguments: [
            (MemoryPortFault.queueFull, PortCounter.transmitQueueFull, PortState.ready),
            (.refused, .transmitFailed, .ready), (.down, .transmitDown, .down),
        ], [1, 2, 4])
    func faults(
        fault: (kind: MemoryPortFault, counter: PortCounter, state: PortState), number: Int
    ) throws {
        let (left, right) = try MemoryPort.pair()
        let sent = try batch(of: (0..<4).map { frame($0) })
        left.inject(fault.kind, atFrame: number)
        #expect(left.transmit(sent.slots, of: sent, worker: 0) == fault.state)
        #expect(left.counters.total(fault.counter) == 1)
        #expect(left.counters.total(.sentFrames) == 3)
        var received = try FrameBatch()
        _ = right.receive(into: &received, worker: 0)
        let expected = (0..<4).filter { $0 != number - 1 }.map { frame($0) }
        #expect(received.count == 3)
        for slot in 0..<received.count {
            #expect(received.bytes(slot) == expected[slot])
        }
    }

    @Test("a frame shorter than an Ethernet header is dropped and counted", arguments: [0, 13, 14])
    func shortFrames(byteCount: Int) throws {
        let (left, right) = try MemoryPort.pair()
        let sent = try batch(of: [frame(1), frame(2)])
        left.inject(.short(byteCount), atFrame: 1)
        _ = left.transmit(sent.slots, of: sent, worker: 0)
        var received = try FrameBatch()
        _ = right.receive(into: &received, worker: 0)
        #expect(received.count == (byteCount < 14 ? 1 : 2))
        #expect(right.counters.total(.receiveTooShort) == (byteCount < 14 ? 1 : 0))
    }

    @Test("a frame longer than the MTU allows is not sent, and counted")
    func longFrames() throws {
        let (left, right) = try MemoryPort.pair(mtu: 100)
        let sent = try batch(of: [frame(1, byteCount: 119), frame(2, byteCount: 118)])
        _ = left.transmit(sent.slots, of: sent, worker: 0)
        #expect(left.counters.total(.transmitTooLong) == 1)
        var received = try FrameBatch()
        _ = right.receive(into: &received, worker: 0)
        #expect(received.count == 1)
    }

    @Test("a frame that the receiver's batch cannot hold is dropped and counted")
    func smallBatch() throws {
        let (left, right) = try MemoryPort.pair()
        let sent = try batch(of: [frame(1, byteCount: 101), frame(2, byteCount: 100)])
        _ = left.transmit(sent.slots, of: sent, worker: 0)
        var received = try FrameBatch(frameLimit: 100)
        _ = right.receive(into: &received, worker: 0)
        #expect(received.count == 1)
        #expect(right.counters.total(.receiveTooLong) == 1)
    }

    @Test("a peer that ended is gone once what it sent was received")
    func deadPeer() throws {
        let (left, right) = try MemoryPort.pair()
        let sent = try batch(of: [frame(1)])
        _ = left.transmit(sent.slots, of: sent, worker: 0)
        left.close()
        var received = try FrameBatch()
        #expect(right.receive(into: &received, worker: 0) == .ready)
        #expect(received.count == 1)
        #expect(right.receive(into: &received, worker: 0) == .gone)
        #expect(right.transmit(sent.slots, of: sent, worker: 0) == .gone)
        #expect(right.counters.total(.transmitDown) == 1)
    }

    @Test("counters of several workers are folded on reading")
    func workers() throws {
        let counters = try PortCounters(workerCount: 3)
        for worker in 0..<3 { counters.add(worker + 1, to: .sentFrames, worker: worker) }
        #expect(counters.total(.sentFrames) == 6)
        #expect(counters.total(.sentBytes) == 0)
    }
}
