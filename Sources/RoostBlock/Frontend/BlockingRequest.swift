internal import RoostSystem
internal import Synchronization

/// A thread that waits for the end of its request.
final class BlockingRequest: Sendable {
    private let ended: Semaphore
    private let outcome = Mutex<Result<Void, BlockError>>(.success(()))

    init() throws(BlockError) {
        do throws(SystemError) {
            ended = try Semaphore()
        } catch {
            throw BlockError(.system, errno: error.errno, error.description)
        }
    }

    /// The request has ended.
    func end(_ result: Result<Void, BlockError>) {
        outcome.withLock { $0 = result }
        ended.signal()
    }

    /// Sleeps until it has.
    func wait() throws(BlockError) {
        ended.wait()
        try outcome.withLock { $0 }.get()
    }
}

extension BlockFrontend {
    /// Hands a request over and blocks the calling thread until its end.
    ///
    /// For threads of C libraries and dedicated ones; a task would take its thread from all others.
    ///
    /// - Parameters:
    ///   - operation: What to do.
    ///   - offset: The first byte on the disk, a multiple of its logical sector.
    ///   - byteCount: How many bytes, a multiple as well; 0 for a flush.
    ///   - slices: Where the bytes are or go, in order.
    /// - Throws: `BlockError` as ``perform(_:at:byteCount:slices:)``.
    public func performBlocking(
        _ operation: DiskOperation, at offset: UInt64 = 0, byteCount: UInt64 = 0,
        slices: [BlockBufferSlice] = []
    ) throws(BlockError) {
        try check(operation, offset, byteCount, slices)
        let request = try BlockingRequest()
        let lane = lane()
        while !lane.submit(
            operation, sector: offset / UInt64(sectorByteCount), byteCount: byteCount,
            slices: slices, answer: { request.end($0) })
        {
            let room = try BlockingRequest()
            lane.whenRoom { room.end(.success(())) }
            try room.wait()
        }
        try request.wait()
    }
}
