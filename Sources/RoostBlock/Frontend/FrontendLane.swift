internal import RoostSystem
internal import Synchronization

/// Where callers on any thread hand requests to the one thread of a queue, and get their answers.
///
/// A lane outlives the connection to a backend: what was not answered when one was lost is issued
/// again, in order, to the next.
final class FrontendLane: Sendable {
    /// What a caller is told at the end.
    typealias Answer = @Sendable (Result<Void, BlockError>) -> Void

    /// A caller that waits: what it is told, and the buffers that stay until then.
    private struct Waiting {
        var answer: Answer
        var slices: [BlockBufferSlice]
        var sector: UInt64
    }

    private struct State: ~Copyable {
        var incoming: [Submission] = []
        var waiting: [Waiting?]
        var free: [Int]
        /// Who waits for room, in order.
        var queued: [@Sendable () -> Void] = []
        /// The queue's thread, while it sleeps or is about to.
        var sleeper: FrontendWorker?
        /// Why nothing is taken any more.
        var closed: BlockError?
    }

    /// What tokens of this lane begin with.
    private let tag: UInt64
    private let state: Mutex<State>

    init(number: Int, depth: Int) {
        tag = UInt64(number) << 32
        state = Mutex(
            State(
                waiting: Array(repeating: nil, count: depth),
                free: Array((0..<depth).reversed())))
    }

    /// Whether a request with this token came by this lane.
    func owns(_ token: UInt64) -> Bool { token & ~0xffff_ffff == tag }

    // MARK: Callers

    /// Hands a request over.
    ///
    /// - Returns: Whether there was room; if not, the answer is never called.
    func submit(
        _ operation: DiskOperation, sector: UInt64, byteCount: UInt64,
        slices: [BlockBufferSlice], answer: @escaping Answer
    ) -> Bool {
        enum Outcome { case taken(FrontendWorker?), full, closed(BlockError) }
        let outcome = state.withLock { state -> Outcome in
            if let closed = state.closed { return .closed(closed) }
            guard let place = state.free.popLast() else { return .full }
            state.waiting[place] = Waiting(answer: answer, slices: slices, sector: sector)
            state.incoming.append(
                Submission(
                    operation: operation, sector: sector, byteCount: byteCount,
                    token: tag | UInt64(place), slices: slices))
            defer { state.sleeper = nil }
            return .taken(state.sleeper)
        }
        switch outcome {
        case .taken(let sleeper):
            sleeper?.wake.signal()
            return true
        case .full: return false
        case .closed(let error):
            answer(.failure(error))
            return true
        }
    }

    /// Calls a closure once when there may be room, or the lane is closed.
    func whenRoom(_ body: @escaping @Sendable () -> Void) {
        let isFree = state.withLock { state in
            guard state.free.isEmpty, state.closed == nil else { return true }
            state.queued.append(body)
            return false
        }
        if isFree { body() }
    }

    // MARK: The queue's thread

    /// Takes what has come.
    ///
    /// - Parameters:
    ///   - submissions: An empty array, which is exchanged for what has come.
    ///   - sleeper: Who goes to sleep when nothing has come: from then on, whoever submits wakes it.
    func take(into submissions: inout [Submission], sleeper: FrontendWorker) {
        submissions = state.withLock { [spare = submissions] state in
            guard !state.incoming.isEmpty else {
                state.sleeper = sleeper
                return spare
            }
            state.sleeper = nil
            let taken = state.incoming
            state.incoming = spare
            return taken
        }
    }

    /// Puts back what a lost backend has not answered, before everything that has come since.
    func putBack(_ submissions: [Submission]) {
        state.withLock {
            $0.incoming.insert(contentsOf: submissions, at: 0)
            $0.sleeper = nil
        }
    }

    /// Tells a caller how its request has ended.
    func finish(_ completion: DiskCompletion) {
        let place = Int(completion.token & 0xffff_ffff)
        let (waiting, next) = state.withLock { state in
            let waiting = state.waiting[place]
            state.waiting[place] = nil
            state.free.append(place)
            return (waiting, state.queued.isEmpty ? nil : state.queued.removeFirst())
        }
        next?()
        guard let waiting else { return }
        switch completion.status {
        case .done: waiting.answer(.success(()))
        case .failed:
            waiting.answer(
                .failure(
                    BlockError(
                        .storage, sector: waiting.sector,
                        "the backend could not do a request at sector \(waiting.sector): see its "
                            + "log")))
        case .unsupported:
            waiting.answer(
                .failure(
                    BlockError(
                        .unsupported, sector: waiting.sector,
                        "the backend does not do this operation")))
        }
    }

    /// Ends the lane: whoever waits is told why, and so is whoever comes.
    func close(_ error: BlockError) {
        let ended = state.withLock { state -> (answers: [Answer], queued: [@Sendable () -> Void]) in
            guard state.closed == nil else { return ([], []) }
            state.closed = error
            let answers = state.waiting.compactMap { $0?.answer }
            for place in state.waiting.indices { state.waiting[place] = nil }
            state.incoming = []
            defer { state.queued = [] }
            return (answers, state.queued)
        }
        for body in ended.queued { body() }
        for answer in ended.answers { answer(.failure(error)) }
    }
}
