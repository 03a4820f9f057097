internal import RoostBlock
internal import RoostHypervisor
internal import RoostMemory
internal import RoostSystem
internal import Synchronization

/// A disk whose frontend is this process: nbdkit's threads are its callers.
///
/// A request's bytes are copied between nbdkit's memory and buffers of the frontend, of which there
/// are as many as threads have asked for at once. While the backend is away, calls wait.
final class FrontendDisk<Domain: HypervisorDomain>: PluginDisk {
    /// What is asked for at once; larger requests are done in pieces, one after another.
    static var bufferByteCount: Int { 1 << 20 }

    let geometry: DiskGeometry
    private let frontend: BlockFrontend<Domain>
    /// Signalled once the frontend does nothing any more.
    private let ended: RoostSystem.Semaphore
    private let buffers = Mutex<[BlockBuffer]>([])

    /// Connects a frontend, and blocks the calling thread until a backend has described the disk.
    ///
    /// It starts threads, so nbdkit must have forked.
    ///
    /// - Parameter frontend: The frontend, not connected yet.
    /// - Throws: `BlockError` when the disk is out of use.
    init(_ frontend: BlockFrontend<Domain>) throws(BlockError) {
        let connected: RoostSystem.Semaphore
        let ended: RoostSystem.Semaphore
        do throws(SystemError) {
            connected = try RoostSystem.Semaphore()
            ended = try RoostSystem.Semaphore()
        } catch {
            throw BlockError(.system, errno: error.errno, error.description)
        }
        let outcome = Outcome()
        Task {
            do {
                try await frontend.run()
            } catch {
                // Whoever uses the disk is told by the frontend; this is why there never was one.
                outcome.set(
                    .failure(error as? BlockError ?? BlockError(.system, "no disk: \(error)")))
                connected.signal()
            }
            ended.signal()
        }
        Task {
            do throws(BlockError) {
                outcome.set(.success(try await frontend.waitUntilConnected()))
            } catch {
                outcome.set(.failure(error))
            }
            connected.signal()
        }
        connected.wait()
        self.frontend = frontend
        self.ended = ended
        geometry = try outcome.get()
    }

    /// How the first connection ended; what is known first counts.
    private final class Outcome: Sendable {
        private let result = Mutex<Result<DiskGeometry, BlockError>?>(nil)

        func set(_ new: Result<DiskGeometry, BlockError>) {
            result.withLock { $0 = $0 ?? new }
        }

        func get() throws(BlockError) -> DiskGeometry {
            let known = result.withLock { $0 }
            guard let known else { throw BlockError(.closed, "the disk was closed") }
            return try known.get()
        }
    }

    func read(at offset: UInt64, into bytes: inout MutableRawSpan) throws(BlockError) {
        let buffer = try takeBuffer()
        defer { giveBack(buffer) }
        var done = 0
        while done < bytes.byteCount {
            let count = min(bytes.byteCount - done, Self.bufferByteCount)
            try frontend.performBlocking(
                .read, at: offset + UInt64(done), byteCount: UInt64(count),
                slices: [buffer[0..<count]])
            buffer.withBytes(0..<count) { bytes.replaceBytes(at: done, with: $0) }
            done += count
        }
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) {
        let buffer = try takeBuffer()
        defer { giveBack(buffer) }
        var done = 0
        while done < bytes.byteCount {
            let count = min(bytes.byteCount - done, Self.bufferByteCount)
            let piece = bytes.extracting(done..<done + count)
            buffer.withMutableBytes(0..<count) { $0.replaceAll(with: piece) }
            try frontend.performBlocking(
                .write, at: offset + UInt64(done), byteCount: UInt64(count),
                slices: [buffer[0..<count]])
            done += count
        }
    }

    func flush() throws(BlockError) {
        try frontend.performBlocking(.flush)
    }

    func discard(_ range: Range<UInt64>) throws(BlockError) {
        guard !range.isEmpty else { return }
        try frontend.performBlocking(
            .discard, at: range.lowerBound, byteCount: UInt64(range.count))
    }

    func close() {
        frontend.close()
        ended.wait()
    }

    private func takeBuffer() throws(BlockError) -> BlockBuffer {
        let kept = buffers.withLock { $0.popLast() }
        if let kept { return kept }
        return try frontend.makeBuffer(byteCount: Self.bufferByteCount)
    }

    private func giveBack(_ buffer: BlockBuffer) {
        buffers.withLock { $0.append(buffer) }
    }
}
