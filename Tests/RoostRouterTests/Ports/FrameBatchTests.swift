@testable import RoostMemory
@testable import RoostRouter
import Testing
import TestSupport

@Suite("Frame batches")
struct FrameBatchTests {
    @Test(
        "a frame of every length up to the limit is kept, and one byte more is not",
        arguments: [0, 1, 59, 60, 1_517, 1_518])
    func lengths(length: Int) throws {
        var batch = try FrameBatch()
        let frame = [UInt8](repeating: 7, count: length)
        #expect(batch.append(frame) == 0)
        #expect(batch.bytes(0) == frame)
        let tooLong = [UInt8](repeating: 7, count: batch.frameLimit + 1)
        #expect(batch.append(tooLong) == nil)
        #expect(batch.count == 1)
    }

    @Test("a full batch takes no more, and each frame keeps its bytes whatever its neighbours do")
    func fullBatch() throws {
        var batch = try FrameBatch(frameLimit: 100)
        for slot in 0..<FrameBatch.capacity {
            #expect(batch.appendSlot(byteCount: 100) == slot)
            var frame = batch.mutableFrame(slot)
            frame.fill(with: UInt8(slot))
        }
        #expect(batch.isFull == true)
        #expect(batch.appendSlot(byteCount: 1) == nil)
        for slot in 0..<FrameBatch.capacity {
            #expect(batch.bytes(slot) == [UInt8](repeating: UInt8(slot), count: 100))
        }
        batch.removeAll()
        #expect(batch.count == 0)
        #expect(batch.slots.rawValue == 0)
    }

    @Test("a frame grows into its headroom as far as that reaches, and shrinks at both ends")
    func headroom() throws {
        var batch = try FrameBatch(frameLimit: 1_518)
        let bytes: [UInt8] = [1, 2, 3, 4]
        let slot = 0
        #expect(batch.append(bytes) == slot)
        #expect(batch.growFront(of: slot, by: FrameBatch.headroom + 1) == false)
        #expect(batch.growFront(of: slot, by: FrameBatch.headroom) == true)
        #expect(batch.growFront(of: slot, by: 1) == false)
        #expect(batch.byteCount(of: slot) == FrameBatch.headroom + 4)
        batch.trimFront(of: slot, by: FrameBatch.headroom)
        batch.setByteCount(3, of: slot)
        #expect(batch.bytes(slot) == [1, 2, 3])
    }

    @Test("a frame at the limit does not grow past it")
    func growthLimit() throws {
        var batch = try FrameBatch(frameLimit: 100)
        let slot = 0
        #expect(batch.appendSlot(byteCount: 96) == slot)
        #expect(batch.growFront(of: slot, by: 5) == false)
        #expect(batch.growFront(of: slot, by: 4) == true)
    }

    @Test("a set of slots gives them lowest first, once", arguments: [0, 1, 5, 63, 64])
    func slotSets(count: Int) {
        var set = SlotSet.first(count)
        #expect(set.count == count)
        var found: [Int] = []
        while let slot = set.popFirst() { found.append(slot) }
        #expect(found == Array(0..<count))
        set.insert(63)
        #expect(set.contains(63) && !set.contains(0))
        set.remove(63)
        #expect(set.isEmpty)
    }
}
