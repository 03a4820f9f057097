import CDiskPeers
import Dispatch
import Foundation
import Logging
import RoostBlock
import RoostHypervisor
import RoostMemory
import Synchronization
import Workloads

/// A disk of Roost's backend, reached by a frontend in this process.
///
/// The next request is handed over from the answer to the last one, on the frontend's thread.
final class RoostDisk: TestDisk, Sendable {
    let name: String
    private let frontend: BlockFrontend<EmbeddedDomain>
    /// A page for each slot, as a request takes it.
    private let pages: [[BlockBufferSlice]]
    private let load: Mutex<DiskLoad>
    private let isWriting = Atomic(false)
    private let failure = Mutex<BlockError?>(nil)
    /// How many slots have a request under way.
    private let busyCount = Atomic(0)
    private let isOver = DispatchSemaphore(value: 0)
    /// How many requests have ended since the disk was connected, for who looks on.
    private let endedCount = Atomic(0)
    private let isStopping = Atomic(false)

    /// Makes a frontend and waits until it is connected.
    ///
    /// - Parameters:
    ///   - name: What the tables call it.
    ///   - domain: Whose frontend.
    ///   - folder: The device's folder in the store, which is there.
    ///   - byteCount: How long the disk has to be.
    ///   - policy: How pages are granted.
    /// - Returns: The disk, of which no block was written.
    /// - Throws: What keeps it from connecting.
    static func connect(
        _ name: String, domain: EmbeddedDomain, folder: String, byteCount: Int,
        policy: GrantPolicy = .always
    ) async throws -> RoostDisk {
        let path = try StorePath(folder)
        var options = FrontendOptions()
        options.policy = policy
        options.logger = quietLogger("frontend")
        let frontend = try BlockFrontend(options) {
            BlockFrontend<EmbeddedDomain>.Attachment(domain: domain, path: path)
        }
        Task {
            do {
                try await frontend.run()
            } catch {
                // Whoever waits for an answer is told by it.
                FileHandle.standardError.write(Data("frontend: \(error)\n".utf8))
            }
        }
        let geometry = try await frontend.waitUntilConnected()
        guard geometry.sectorCount == UInt64(byteCount / sectorByteCount) else {
            throw Failure("the disk has \(geometry.sectorCount) sectors")
        }
        return try RoostDisk(
            name, frontend, load: DiskLoad.make(blockCount: byteCount / pageByteCount))
    }

    private init(
        _ name: String, _ frontend: BlockFrontend<EmbeddedDomain>, load: consuming DiskLoad
    ) throws {
        self.name = name
        self.frontend = frontend
        let buffer = try frontend.makeBuffer(byteCount: DiskLoad.slotLimit * pageByteCount)
        pages = (0..<DiskLoad.slotLimit).map {
            [buffer[$0 * pageByteCount..<($0 + 1) * pageByteCount]]
        }
        self.load = Mutex(load)
    }

    func run(_ job: DiskJob) throws -> DiskFigures {
        start(job)
        return try finish()
    }

    /// Begins a job; ``finish()`` waits for its end.
    func start(_ job: DiskJob) {
        isWriting.store(job.isWrite, ordering: .relaxed)
        isStopping.store(false, ordering: .relaxed)
        busyCount.store(job.depth, ordering: .relaxed)
        load.withLock { $0.start(job) }
        for slot in 0..<job.depth {
            submit(slot, next(slot, hasEnded: false))
        }
    }

    /// Lets no further request begin.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
    }

    /// Waits until the job is over.
    func finish() throws -> DiskFigures {
        isOver.wait()
        if let failure = failure.withLock({ $0 }) { throw failure }
        return try load.withLock { try $0.figures() }
    }

    /// How many requests have ended since the disk was connected.
    var requestCount: Int { endedCount.load(ordering: .relaxed) }

    /// What the frontend has done.
    var snapshot: FrontendSnapshot { frontend.snapshot() }

    /// A slot's last request has ended well, or there was none: chooses the next.
    private func next(_ slot: Int, hasEnded: Bool) -> UInt64? {
        let slice = pages[slot][0]
        let now = cdisk_now()
        let isStopping = isStopping.load(ordering: .relaxed)
        return load.withLock { load in
            slice.buffer.withMutableBytes(slice.range) { bytes in
                if hasEnded { load.finish(slot, now: now, bytes.bytes) }
                return isStopping ? nil : load.next(slot, now: now, &bytes)
            }
        }
    }

    private func submit(_ slot: Int, _ offset: UInt64?) {
        guard let offset else { return end() }
        do throws(BlockError) {
            let isTaken = try frontend.submit(
                isWriting.load(ordering: .relaxed) ? .write : .read, at: offset,
                byteCount: UInt64(pageByteCount), slices: pages[slot]
            ) { [self] in answer(slot, $0) }
            // The depth is below what a frontend holds.
            precondition(isTaken)
        } catch {
            fail(error)
        }
    }

    private func answer(_ slot: Int, _ result: Result<Void, BlockError>) {
        switch result {
        case .success:
            endedCount.wrappingAdd(1, ordering: .relaxed)
            submit(slot, next(slot, hasEnded: true))
        case .failure(let error):
            fail(error)
        }
    }

    private func fail(_ error: BlockError) {
        failure.withLock { $0 = $0 ?? error }
        end()
    }

    /// A slot is done.
    private func end() {
        if busyCount.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
            isOver.signal()
        }
    }
}
