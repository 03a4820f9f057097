internal import RoostSystem
internal import Synchronization

/// Batches of work that one thread fills, worker threads carry out, and the one thread takes back
/// in the order in which it filled them.
///
///     owner    fill 0 ─ fill 1 ─ fill 2 ─ take 0, fill 3 ─ take 1 …
///     worker A      └─ work 0 ────────────┘    └─ work 3 …
///     worker B               └─ work 1 ────────┘
///
/// A batch belongs to the owner until ``submit()``, to its worker until that signals, and to the
/// owner again. Each change of hands is a semaphore, so a batch needs no lock, and neither side
/// spins. The batches of each worker are made at the start and go round.
///
/// Owned by one thread at a time.
struct BatchRing<Batch: AnyObject & Sendable>: ~Copyable {
    /// What one worker has to do: it works on its batches in turn.
    final class Lane: Sendable {
        let submitted: Semaphore
        let isEnding = Atomic<Bool>(false)
        let slots: [Slot]

        init(_ slots: [Slot]) throws(SystemError) {
            submitted = try Semaphore()
            self.slots = slots
        }

        /// The worker's thread.
        func run(_ work: (Batch) -> Void) {
            var next = 0
            while true {
                submitted.wait()
                if isEnding.load(ordering: .acquiring) { return }
                work(slots[next].batch)
                slots[next].done.signal()
                next = (next + 1) % slots.count
            }
        }

        func end() {
            isEnding.store(true, ordering: .releasing)
            submitted.signal()
        }
    }

    /// A batch, and what tells that it is the owner's again.
    final class Slot: Sendable {
        let batch: Batch
        let done: Semaphore

        init(_ batch: Batch) throws(SystemError) {
            self.batch = batch
            done = try Semaphore()
        }
    }

    private let lanes: [Lane]
    private let slots: [Slot]
    private let ended: Semaphore
    /// How many threads are to be waited for.
    private var threadCount = 0
    /// The number of the batch that is being filled, and of the oldest that was not taken back.
    private var filling = 0
    private var oldest = 0
    /// Whether the oldest batch has been waited for.
    private var isOldestDone = false

    /// Makes the batches; ``start(name:starter:work:)`` makes the threads.
    ///
    /// - Parameters:
    ///   - workerCount: How many workers, above zero.
    ///   - batchesPerWorker: How many batches go round at each, above zero.
    ///   - makeBatch: Makes a batch.
    /// - Throws: `MigrationError` of kind `transfer`, or what `makeBatch` throws.
    init(
        workerCount: Int, batchesPerWorker: Int, _ makeBatch: () throws(MigrationError) -> Batch
    ) throws(MigrationError) {
        precondition(workerCount > 0 && batchesPerWorker > 0)
        var slots: [Slot] = []
        var lanes: [Lane] = []
        let ended: Semaphore
        do throws(SystemError) {
            for _ in 0..<workerCount * batchesPerWorker {
                let batch: Batch
                do throws(MigrationError) {
                    batch = try makeBatch()
                } catch {
                    throw SystemError(.thread, errno: error.errno, error.description)
                }
                slots.append(try Slot(batch))
            }
            for worker in 0..<workerCount {
                // Batch `n` goes to worker `n % workerCount`.
                lanes.append(
                    try Lane((0..<batchesPerWorker).map { slots[$0 * workerCount + worker] }))
            }
            ended = try Semaphore()
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
        self.init(lanes, slots, ended)
    }

    private init(_ lanes: [Lane], _ slots: [Slot], _ ended: Semaphore) {
        self.lanes = lanes
        self.slots = slots
        self.ended = ended
    }

    /// Starts the workers.
    ///
    /// - Parameters:
    ///   - name: What debuggers call the threads; each gets its number behind it.
    ///   - starter: Starts a thread, or says why it could not.
    ///   - work: What each worker does with a batch; as many as there are workers.
    /// - Throws: `MigrationError` of kind `transfer` when a thread cannot be started; no thread is
    ///   left then.
    mutating func start(
        name: String, starter: ThreadStarter, work: [@Sendable (Batch) -> Void]
    ) throws(MigrationError) {
        precondition(work.count == lanes.count && threadCount == 0)
        let ended = ended
        for (index, lane) in lanes.enumerated() {
            let body = work[index]
            let failure = starter.start("\(name)-\(index)") {
                lane.run(body)
                ended.signal()
            }
            if let failure {
                stop()
                throw MigrationError(.transfer, errno: failure.errno, failure.description)
            }
            threadCount += 1
        }
    }

    /// How many batches were submitted and not taken back.
    var inFlight: Int { filling &- oldest }

    /// Whether every batch was submitted: one has to be taken back before another can be filled.
    var isFull: Bool { inFlight == slots.count }

    /// The batch to fill.
    ///
    /// - Precondition: The ring is not full.
    var current: Batch {
        precondition(!isFull)
        return slots[filling % slots.count].batch
    }

    /// Hands the current batch to its worker.
    ///
    /// - Precondition: The ring is not full, and was started.
    mutating func submit() {
        precondition(!isFull && threadCount == lanes.count)
        let lane = lanes[filling % lanes.count]
        filling &+= 1
        lane.submitted.signal()
    }

    /// The oldest batch that was submitted, once its worker is done.
    ///
    /// It stays the oldest until ``release()``.
    ///
    /// - Parameter waits: Whether to wait for the worker.
    /// - Returns: `nil` when nothing is in flight, or it is not done and not waited for.
    mutating func takeOldest(waits: Bool) -> Batch? {
        guard inFlight > 0 else { return nil }
        let slot = slots[oldest % slots.count]
        if !isOldestDone {
            if waits {
                slot.done.wait()
            } else {
                guard slot.done.tryWait() else { return nil }
            }
            isOldestDone = true
        }
        return slot.batch
    }

    /// Lets the oldest batch be filled again.
    ///
    /// - Precondition: ``takeOldest(waits:)`` gave it.
    mutating func release() {
        precondition(isOldestDone)
        isOldestDone = false
        oldest &+= 1
    }

    /// Ends the workers and waits until each has ended; what is in flight is lost.
    ///
    /// Calling it again does nothing.
    mutating func stop() {
        for lane in lanes.prefix(threadCount) { lane.end() }
        for _ in 0..<threadCount { ended.wait() }
        threadCount = 0
    }

    deinit {
        for lane in lanes.prefix(threadCount) { lane.end() }
        for _ in 0..<threadCount { ended.wait() }
    }
}

/// What starts threads; tests give one that fails.
struct ThreadStarter: Sendable {
    /// Starts a thread of a name, or answers why it could not.
    let start: @Sendable (String, @Sendable @escaping () -> Void) -> SystemError?

    /// Threads of the system.
    static let system = ThreadStarter { DedicatedThread.start(name: $0, $1) }
}
