internal import Synchronization

/// The paths below a watched one that may have changed.
///
/// One task iterates it, once; a second finds it ended. It ends with the connection, with the
/// iteration and with its task, and the store is told not to watch any more.
public struct StoreWatch: AsyncSequence, Sendable {
    /// A path that may have changed.
    public typealias Element = StorePath
    /// A watch ends; it does not fail.
    public typealias Failure = Never

    private let lease: StoreWatchLease

    init(_ lease: StoreWatchLease) {
        self.lease = lease
    }

    /// Begins the one iteration.
    public func makeAsyncIterator() -> Iterator {
        Iterator(IterationEnd(lease))
    }

    /// Waits for one path after the other.
    public struct Iterator: AsyncIteratorProtocol {
        private let end: IterationEnd

        fileprivate init(_ end: IterationEnd) {
            self.end = end
        }

        /// Waits for the next path; `nil` once the watch has ended.
        public mutating func next() async -> StorePath? {
            await end.lease.next()
        }

        /// Waits for the next path; `nil` once the watch has ended.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async -> StorePath? {
            await end.lease.next()
        }
    }
}

/// Ends a watch when its iterator goes.
private final class IterationEnd: Sendable {
    let lease: StoreWatchLease

    init(_ lease: StoreWatchLease) {
        self.lease = lease
    }

    deinit {
        lease.end()
    }
}

/// A watch that the store keeps as long as this is there.
final class StoreWatchLease: Sendable {
    private let exchange: StoreExchange
    private let queue: StoreWatchQueue
    private let token: String

    init(_ queue: StoreWatchQueue, token: String, of exchange: StoreExchange) {
        self.queue = queue
        self.token = token
        self.exchange = exchange
    }

    func next() async -> StorePath? {
        await withTaskCancellationHandler {
            await queue.next()
        } onCancel: {
            end()
        }
    }

    /// Ends the watch; calling it again does nothing.
    func end() {
        guard queue.end() else { return }
        exchange.unwatch(queue.path, token: token)
    }

    deinit {
        end()
    }
}

/// The changed paths of one watch that nobody has taken yet, each once.
final class StoreWatchQueue: Sendable {
    /// How many different paths wait at most; then they become one, the watched path itself.
    static let limit = 256

    private struct State {
        var waiting: [StorePath] = []
        var known: Set<StorePath> = []
        var taker: CheckedContinuation<StorePath?, Never>?
        var isEnded = false
    }

    /// The watched path, as the client has given it.
    let path: StorePath
    private let state = Mutex(State())

    init(_ path: StorePath) {
        self.path = path
    }

    /// Adds a path, unless it waits already.
    func deliver(_ changed: StorePath) {
        let taker = state.withLock { state -> CheckedContinuation<StorePath?, Never>? in
            guard !state.isEnded else { return nil }
            if let taker = state.taker.take() { return taker }
            guard state.known.insert(changed).inserted else { return nil }
            if state.waiting.count == Self.limit {
                state.waiting = [path]
                state.known = [path]
            } else {
                state.waiting.append(changed)
            }
            return nil
        }
        taker?.resume(returning: changed)
    }

    /// Waits for a path; `nil` at the end, and at once while another task waits.
    func next() async -> StorePath? {
        await withCheckedContinuation { taker in
            let answer = state.withLock { state -> StorePath?? in
                if state.isEnded || state.taker != nil { return .some(nil) }
                guard !state.waiting.isEmpty else {
                    state.taker = taker
                    return nil
                }
                let first = state.waiting.removeFirst()
                state.known.remove(first)
                return first
            }
            if let answer { taker.resume(returning: answer) }
        }
    }

    /// Ends the sequence, and drops what waits.
    ///
    /// - Returns: Whether it had not ended before.
    func end() -> Bool {
        let (isFirst, taker) = state.withLock { state in
            let isFirst = !state.isEnded
            state.isEnded = true
            state.waiting = []
            state.known = []
            return (isFirst, state.taker.take())
        }
        taker?.resume(returning: nil)
        return isFirst
    }
}
