internal import RoostMemory
internal import Synchronization
internal import SystemPackage

/// Matches answers to requests and events to watches, for one connection to the store.
///
/// It does no input or output: what is to be sent goes to a closure, what has arrived comes by
/// ``receive(_:)``, which answers what is to be sent because of it. Bounded: so many requests are
/// on their way that a store that answers none has not filled a socket yet; some wait behind
/// them; more are refused.
final class StoreExchange: Sendable {
    /// Requests on their way at once: below the 20 answers that a store keeps for a client.
    static let inFlightLimit = 16
    /// Requests that wait for their turn.
    static let queueLimit = 1024

    typealias Outcome = Result<[UInt8], HypervisorError>
    typealias Waiter = CheckedContinuation<Outcome, Never>

    /// What is to be undone when a request succeeds that nobody waits for any more.
    enum Undo: Sendable {
        case nothing
        case endTransaction
        case unwatch(StorePath, token: String)
    }

    /// A request that has not been answered.
    private struct Request {
        let number: UInt32
        let message: StoreMessage
        /// What it does to what, for the error.
        let what: String
        /// `nil` when nobody waits for it.
        var waiter: Waiter?
        var undo: Undo
    }

    private struct State {
        var lastNumber: UInt32 = 0
        var lastToken: UInt64 = 0
        var inFlight: [UInt32: Request] = [:]
        var queue: [Request] = []
        /// Requests that were cancelled before they began.
        var cancelled: Set<UInt32> = []
        var watches: [String: StoreWatchQueue] = [:]
        var reader = StoreMessageReader()
        var loss: HypervisorError?
        var lossWaiters: [UInt32: CheckedContinuation<Void, Never>] = [:]

        mutating func nextNumber() -> UInt32 {
            lastNumber &+= 1
            return lastNumber
        }

        /// Sends a request, or lets it wait for its turn.
        mutating func begin(_ request: Request) -> [UInt8] {
            guard inFlight.count < StoreExchange.inFlightLimit else {
                queue.append(request)
                return []
            }
            inFlight[request.number] = request
            return request.message.encoded
        }
    }

    private let state = Mutex(State())
    private let transmit: @Sendable ([UInt8]) -> HypervisorError?

    /// Makes an exchange.
    ///
    /// - Parameter transmit: Sends bytes to the store, or answers why they cannot be sent.
    init(transmit: @escaping @Sendable ([UInt8]) -> HypervisorError?) {
        self.transmit = transmit
    }

    // MARK: Requests

    /// Sends a request and waits for its answer's payload.
    func ask(
        _ type: StoreMessageType, _ payload: [UInt8], in transaction: StoreTransaction? = nil,
        undo: Undo = .nothing, _ what: String
    ) async throws(HypervisorError) -> [UInt8] {
        guard payload.count <= StoreWire.maximumPayloadByteCount else {
            throw HypervisorError(
                .store, errno: .argListTooLong,
                "cannot \(what): path and value have \(payload.count) bytes together and may "
                    + "have \(StoreWire.maximumPayloadByteCount); write less")
        }
        let number = state.withLock { $0.nextNumber() }
        let message = StoreMessage(
            type, requestID: number, transactionID: transaction?.id ?? 0, payload: payload)
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                begin(
                    Request(
                        number: number, message: message, what: what, waiter: waiter, undo: undo))
            }
        } onCancel: {
            cancel(number)
        }
        state.withLock { state in _ = state.cancelled.remove(number) }
        return try outcome.get()
    }

    private func begin(_ request: Request) {
        let waiter = request.waiter
        let (bytes, failure) = state.withLock { state -> ([UInt8], HypervisorError?) in
            if let loss = state.loss { return ([], loss) }
            if state.cancelled.remove(request.number) != nil {
                return ([], Self.cancellation(request.what))
            }
            guard state.queue.count < Self.queueLimit else {
                return ([], Self.overload(request.what))
            }
            return (state.begin(request), nil)
        }
        if let failure {
            waiter?.resume(returning: .failure(failure))
        } else {
            send(bytes)
        }
    }

    private func cancel(_ number: UInt32) {
        let found = state.withLock { state -> (waiter: Waiter?, what: String)? in
            if let request = state.inFlight[number] {
                state.inFlight[number]?.waiter = nil
                return (request.waiter, request.what)
            }
            if let place = state.queue.firstIndex(where: { $0.number == number }) {
                let request = state.queue.remove(at: place)
                return (request.waiter, request.what)
            }
            state.cancelled.insert(number)
            return nil
        }
        if let found {
            found.waiter?.resume(returning: .failure(Self.cancellation(found.what)))
        }
    }

    private func send(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, let failure = transmit(bytes) else { return }
        lose(failure)
    }

    // MARK: Watches

    /// Watches a path.
    func watch(_ path: StorePath) async throws(HypervisorError) -> StoreWatchLease {
        let queue = StoreWatchQueue(path)
        let token = state.withLock { state in
            state.lastToken += 1
            let token = "\(state.lastToken)"
            // Before it is asked for: the first event comes with the answer.
            if state.loss == nil { state.watches[token] = queue }
            return token
        }
        do throws(HypervisorError) {
            _ = try await ask(
                .watch, [UInt8](terminated: path.text, token),
                undo: .unwatch(path, token: token), "watch '\(path)'")
        } catch {
            state.withLock { $0.watches[token] = nil }
            throw error
        }
        return StoreWatchLease(queue, token: token, of: self)
    }

    /// Ends a watch without waiting for the answer.
    func unwatch(_ path: StorePath, token: String) {
        let bytes = state.withLock { state -> [UInt8] in
            state.watches[token] = nil
            guard state.loss == nil else { return [] }
            return Self.begin(.unwatch(path, token: token), &state)
        }
        send(bytes)
    }

    // MARK: What arrives

    /// Takes what has arrived.
    ///
    /// - Returns: What is to be sent to the store because of it.
    func receive(_ bytes: [UInt8]) -> [UInt8] {
        var answered: [(waiter: Waiter, outcome: Outcome)] = []
        var events: [(queue: StoreWatchQueue, path: StorePath)] = []
        let (reply, failure) = state.withLock { state -> ([UInt8], HypervisorError?) in
            state.reader.append(bytes)
            var reply: [UInt8] = []
            do throws(StoreMessageReader.TooLong) {
                while let message = try state.reader.next() {
                    if message.type == .watchEvent {
                        if let event = Self.event(message, state.watches) { events.append(event) }
                    } else if let request = state.inFlight.removeValue(forKey: message.requestID) {
                        let outcome = Self.outcome(message, of: request)
                        if let waiter = request.waiter {
                            answered.append((waiter, outcome))
                        } else {
                            reply += Self.undo(request, outcome, &state)
                        }
                    }
                }
            } catch {
                return ([], Self.malformed(error))
            }
            while !state.queue.isEmpty, state.inFlight.count < Self.inFlightLimit {
                reply += state.begin(state.queue.removeFirst())
            }
            return (reply, nil)
        }
        for (waiter, outcome) in answered {
            waiter.resume(returning: outcome)
        }
        for (queue, path) in events {
            queue.deliver(path)
        }
        if let failure { lose(failure) }
        return reply
    }

    private static func event(
        _ message: StoreMessage, _ watches: [String: StoreWatchQueue]
    ) -> (StoreWatchQueue, StorePath)? {
        let parts = message.payload.terminatedParts.map { String(decoding: $0, as: UTF8.self) }
        guard parts.count >= 2, let queue = watches[parts[1]] else { return nil }
        // A path that cannot be one says: look at everything.
        return (queue, (try? StorePath(parts[0])) ?? queue.path)
    }

    private static func outcome(_ message: StoreMessage, of request: Request) -> Outcome {
        guard message.type == .error else { return .success(message.payload) }
        let name = String(
            decoding: message.payload.terminatedParts.first ?? message.payload[...], as: UTF8.self)
        return .failure(refusal(of: request.what, StoreErrorName.reason(named: name)))
    }

    /// Undoes what a request did that nobody waits for.
    private static func undo(
        _ request: Request, _ outcome: Outcome, _ state: inout State
    ) -> [UInt8] {
        guard case .success(let payload) = outcome else { return [] }
        switch request.undo {
        case .nothing: return []
        case .unwatch: return begin(request.undo, &state)
        case .endTransaction:
            guard let number = UInt32(decimal: payload.prefix { $0 != 0 }) else { return [] }
            return state.begin(
                Self.request(
                    .endTransaction, [UInt8](terminated: "F"), transaction: number, &state))
        }
    }

    private static func begin(_ undo: Undo, _ state: inout State) -> [UInt8] {
        guard case .unwatch(let path, let token) = undo else { return [] }
        return state.begin(
            request(.unwatch, [UInt8](terminated: path.text, token), transaction: 0, &state))
    }

    /// A request that nobody waits for.
    private static func request(
        _ type: StoreMessageType, _ payload: [UInt8], transaction: UInt32, _ state: inout State
    ) -> Request {
        let number = state.nextNumber()
        let message = StoreMessage(
            type, requestID: number, transactionID: transaction, payload: payload)
        return Request(number: number, message: message, what: "", waiter: nil, undo: .nothing)
    }

    // MARK: The end

    /// Why the connection is gone; `nil` while it is not.
    var loss: HypervisorError? { state.withLock { $0.loss } }

    /// Ends all waits and watches; only the first call counts.
    func lose(_ reason: HypervisorError) {
        let (waiters, watches, others) = state.withLock { state in
            guard state.loss == nil else {
                return ([Waiter](), [StoreWatchQueue](), [CheckedContinuation<Void, Never>]())
            }
            state.loss = reason
            let waiters = (Array(state.inFlight.values) + state.queue).compactMap(\.waiter)
            let watches = Array(state.watches.values)
            let others = Array(state.lossWaiters.values)
            state.inFlight = [:]
            state.queue = []
            state.watches = [:]
            state.lossWaiters = [:]
            return (waiters, watches, others)
        }
        for waiter in waiters {
            waiter.resume(returning: .failure(reason))
        }
        for watch in watches {
            _ = watch.end()
        }
        for other in others {
            other.resume()
        }
    }

    /// Waits until the connection is gone, or the task is cancelled.
    func waitUntilLost() async {
        let number = state.withLock { $0.nextNumber() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let isOver = state.withLock { state -> Bool in
                    if state.loss != nil || state.cancelled.contains(number) { return true }
                    state.lossWaiters[number] = waiter
                    return false
                }
                if isOver { waiter.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
                state.cancelled.insert(number)
                return state.lossWaiters.removeValue(forKey: number)
            }
            waiter?.resume()
        }
        state.withLock { state in _ = state.cancelled.remove(number) }
    }
}
