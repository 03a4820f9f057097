import Glibc
import RoostMemory
import SystemPackage
import Testing
import TestSupport

@Suite struct ByteQueueTests {
    @Test func `a new queue is empty and has room for its capacity`() {
        let queue = ByteQueue(capacity: 5)
        let isEmpty = queue.isEmpty
        #expect(isEmpty)
        #expect(queue.count == 0)
        #expect(queue.room == 5)
        #expect(queue.capacity == 5)
        let waiting = contents(queue)
        #expect(waiting == [])
    }

    @Test func `integers wait with the most significant byte first`() {
        var queue = ByteQueue(capacity: 16)
        queue.append(bigEndian: 0x0123_4567 as UInt32)
        queue.append(bigEndian: 0xab as UInt8)
        queue.append(utf8: "hé")
        queue.replace(bigEndian: 0xffee as UInt16, at: 1)
        let waiting = contents(queue)
        #expect(waiting == [0x01, 0xff, 0xee, 0x67, 0xab, 0x68, 0xc3, 0xa9])
    }

    @Test func `a full queue gives way for what is taken, wherever it lies`() {
        var queue = ByteQueue(capacity: 4)
        queue.append(bigEndian: 0x0102_0304 as UInt32)
        queue.removeFirst(1)
        queue.append(bigEndian: 5 as UInt8)
        let waiting = contents(queue)
        #expect(waiting == [2, 3, 4, 5])
        queue.removeAll()
        #expect(queue.room == 4)
    }

    struct Stop: Error {}

    @Test func `a body that throws appends nothing`() {
        var queue = ByteQueue(capacity: 8)
        queue.append(bigEndian: 7 as UInt8)
        #expect(throws: Stop.self) {
            try queue.append(upTo: 7) { bytes throws(Stop) in
                bytes.fill(with: 0xff)
                throw Stop()
            }
        }
        let waiting = contents(queue)
        #expect(waiting == [7])
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `a queue gives bytes in the order they came`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let capacity = Int.random(in: 8...200, using: &random)
        var queue = ByteQueue(capacity: capacity)
        var model: [UInt8] = []
        for _ in 0..<300 {
            step(&queue, &model, using: &random)
            let waiting = contents(queue)
            #expect(waiting == model)
            #expect(queue.count == model.count)
            #expect(queue.room == capacity - model.count)
        }
    }

    private func step(
        _ queue: inout ByteQueue, _ model: inout [UInt8], using random: inout SeededRandom
    ) {
        switch Int.random(in: 0..<6, using: &random) {
        case 0:
            let count = Int.random(in: 0...model.count, using: &random)
            queue.removeFirst(count)
            model.removeFirst(count)
        case 1:
            let count = Int.random(in: 0...queue.room, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            unsafe queue.append(bytes.span.bytes)
            model += bytes
        case 2 where queue.room >= 8:
            let value = random.next()
            queue.append(bigEndian: value)
            model += (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
        case 3:
            let limit = Int.random(in: 0...queue.room, using: &random)
            let written = Int.random(in: 0...limit, using: &random)
            let byte = UInt8.random(in: 0...255, using: &random)
            let result = queue.append(upTo: limit) { bytes in
                bytes.fill(with: byte)
                return written
            }
            #expect(result == written)
            model += [UInt8](repeating: byte, count: written)
        case 4 where model.count >= 4:
            let offset = Int.random(in: 0...model.count - 4, using: &random)
            let value = UInt32.random(in: 0...UInt32.max, using: &random)
            queue.replace(bigEndian: value, at: offset)
            for byte in 0..<4 {
                model[offset + byte] = UInt8(truncatingIfNeeded: value >> (24 - 8 * byte))
            }
        case 5 where Int.random(in: 0..<10, using: &random) == 0:
            queue.removeAll()
            model = []
        default: break
        }
    }

    // MARK: Descriptors

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `bytes pass through a pipe in pieces of any size`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let (read, write) = try FileDescriptor.pipe()
        defer {
            try? read.close()
            try? write.close()
        }
        var source = ByteQueue(capacity: 1000)
        // Smaller than what is sent at once, so that it fills in pieces and moves its bytes.
        var target = ByteQueue(capacity: Int.random(in: 1...300, using: &random))
        var sent: [UInt8] = []
        var received: [UInt8] = []
        for _ in 0..<50 {
            let piece = Int.random(in: 1...source.capacity, using: &random)
            let bytes = (0..<piece).map { _ in UInt8.random(in: 0...255, using: &random) }
            unsafe source.append(bytes.span.bytes)
            sent += bytes
            try source.drainAll(to: write)
            var waiting = piece
            while waiting > 0 || !target.isEmpty {
                if waiting > 0, target.room > 0 {
                    let arrived = try target.fill(from: read)
                    #expect(arrived > 0)
                    waiting -= arrived
                }
                let taken = Int.random(in: 0...target.count, using: &random)
                received += contents(target).prefix(taken)
                target.removeFirst(taken)
            }
        }
        #expect(received == sent)
    }

    @Test func `a full pipe takes a part, and the rest still waits`() throws {
        let (read, write) = try FileDescriptor.pipe()
        defer {
            try? read.close()
            try? write.close()
        }
        try setNonblocking(write)
        var queue = ByteQueue(capacity: 1 << 20)
        _ = queue.append(upTo: 1 << 20) { bytes in
            bytes.fill(with: 1)
            return 1 << 20
        }
        let written = try queue.drain(to: write)
        #expect(written > 0 && written < 1 << 20)
        #expect(queue.count == 1 << 20 - written)
        #expect(throws: Errno.resourceTemporarilyUnavailable) { try queue.drainAll(to: write) }
        #expect(queue.count == 1 << 20 - written)
    }

    @Test func `the end of the input is no bytes`() throws {
        let (read, write) = try FileDescriptor.pipe()
        defer { try? read.close() }
        try write.close()
        var queue = ByteQueue(capacity: 8)
        let arrived = try queue.fill(from: read)
        #expect(arrived == 0)
    }

    @Test func `a refused transfer is thrown with the system's reason`() throws {
        let closed = FileDescriptor(rawValue: -1)
        var queue = ByteQueue(capacity: 8)
        queue.append(bigEndian: 1 as UInt8)
        #expect(throws: Errno.badFileDescriptor) { try queue.fill(from: closed) }
        #expect(throws: Errno.badFileDescriptor) { try queue.drain(to: closed) }
        #expect(queue.count == 1)
    }

    // MARK: Preconditions

    @Test(arguments: [0, -1])
    func `a queue of no capacity traps`(capacity: Int) async {
        await #expect(processExitsWith: .failure) { [capacity = capacity as Int] in
            _ = ByteQueue(capacity: capacity)
        }
    }

    @Test(arguments: [-1, 3])
    func `taking more than waits traps`(byteCount: Int) async {
        await #expect(processExitsWith: .failure) { [byteCount = byteCount as Int] in
            var queue = ByteQueue(capacity: 8)
            queue.append(bigEndian: 1 as UInt16)
            queue.removeFirst(byteCount)
        }
    }

    @Test func `appending more than there is room for traps`() async {
        await #expect(processExitsWith: .failure) {
            var queue = ByteQueue(capacity: 8)
            let bytes = [UInt8](repeating: 1, count: 9)
            unsafe queue.append(bytes.span.bytes)
        }
        await #expect(processExitsWith: .failure) {
            var queue = ByteQueue(capacity: 7)
            queue.append(bigEndian: 1 as UInt64)
        }
        await #expect(processExitsWith: .failure) {
            var queue = ByteQueue(capacity: 2)
            queue.append(utf8: "abc")
        }
        await #expect(processExitsWith: .failure) {
            var queue = ByteQueue(capacity: 2)
            _ = queue.append(upTo: 3) { _ in 0 }
        }
    }

    @Test(arguments: [-1, 4])
    func `a body that claims more than its limit traps`(written: Int) async {
        await #expect(processExitsWith: .failure) { [written = written as Int] in
            var queue = ByteQueue(capacity: 8)
            _ = queue.append(upTo: 3) { _ in written }
        }
    }

    @Test(arguments: [-1, 1])
    func `replacing what does not wait traps`(offset: Int) async {
        await #expect(processExitsWith: .failure) { [offset = offset as Int] in
            var queue = ByteQueue(capacity: 8)
            queue.append(bigEndian: 1 as UInt32)
            queue.replace(bigEndian: 2 as UInt32, at: offset)
        }
    }

    @Test func `filling a full queue traps`() async {
        await #expect(processExitsWith: .failure) {
            var queue = ByteQueue(capacity: 1)
            queue.append(bigEndian: 1 as UInt8)
            _ = try? queue.fill(from: FileDescriptor(rawValue: -1))
        }
    }
}

/// The bytes that wait.
private func contents(_ queue: borrowing ByteQueue) -> [UInt8] {
    let bytes = queue.bytes
    return (0..<bytes.byteCount).map { bytes.loadBigEndian(at: $0, as: UInt8.self) }
}

private func setNonblocking(_ descriptor: FileDescriptor) throws {
    let flags = fcntl(descriptor.rawValue, F_GETFL)
    guard flags >= 0, fcntl(descriptor.rawValue, F_SETFL, flags | O_NONBLOCK) == 0 else {
        throw Errno(rawValue: errno)
    }
}
