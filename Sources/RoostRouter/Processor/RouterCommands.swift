internal import RoostSystem
internal import Synchronization

/// What other threads ask of the processor, in the order they ask.
final class RouterCommands: Sendable {
    /// How many wait at most; whoever comes then is refused.
    static let limit = 256

    /// One command: it runs on the processor's thread.
    typealias Command = @Sendable (inout Processor) -> Void

    private struct State {
        var waiting: [Command] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let wake: @Sendable () -> Void

    /// Makes an empty list.
    ///
    /// - Parameter wake: Wakes the processor; any thread may call it.
    init(wake: @escaping @Sendable () -> Void) {
        self.wake = wake
    }

    /// Has a closure run on the processor's thread, and waits for what it answers.
    ///
    /// - Throws: `RouterError` of kind `limit`, or `notFound` when the router has ended; what the closure
    ///   throws.
    func run<Answer: Sendable>(
        _ body: @escaping @Sendable (inout Processor) throws(RouterError) -> Answer
    ) throws(RouterError) -> Answer {
        let reply = try Reply<Answer>()
        let refusal = state.withLock { state -> RouterError? in
            if state.isClosed { return RouterError(.notFound, "the router has ended") }
            guard state.waiting.count < Self.limit else {
                return RouterError(
                    .limit, "\(Self.limit) commands wait for the router already; ask later")
            }
            state.waiting.append { processor in
                do throws(RouterError) {
                    reply.give(.success(try body(&processor)))
                } catch {
                    reply.give(.failure(error))
                }
            }
            return nil
        }
        if let refusal { throw refusal }
        wake()
        return try reply.take().get()
    }

    /// Takes what waits.
    func take() -> [Command] {
        state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
    }

    /// Refuses all that comes from now on, and answers what waits still.
    func close() -> [Command] {
        state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [] }
            return state.waiting
        }
    }
}

/// One answer, on its way from the processor to who waits for it.
private final class Reply<Answer: Sendable>: Sendable {
    private let answer = Mutex<Result<Answer, RouterError>?>(nil)
    private let given: Semaphore

    init() throws(RouterError) {
        do throws(SystemError) {
            given = try Semaphore()
        } catch {
            throw RouterError(.memory, error.description)
        }
    }

    func give(_ result: Result<Answer, RouterError>) {
        answer.withLock { $0 = result }
        given.signal()
    }

    /// Waits for the answer.
    func take() -> Result<Answer, RouterError> {
        given.wait()
        return answer.withLock { $0 } ?? .failure(RouterError(.notFound, "the router has ended"))
    }
}
