internal import Glibc
internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// A domain's connection to the hypervisor: asks, and notices at once when it ends.
///
/// Any thread may call any method. A thread of its own reads the answers.
final class ControlConnection: Sendable {
    /// An answer: its messages, and the descriptors that came with them.
    struct Answer: Sendable {
        var messages: [ControlMessage] = []
        var descriptors: [PassedDescriptor?] = []

        /// The last message, which has the words of all.
        var last: ControlMessage? { messages.last }

        /// The descriptor that came with a message; `nil` where none did.
        func descriptor(_ index: Int) -> PassedDescriptor? {
            index < descriptors.count ? descriptors[index] : nil
        }
    }

    /// Who waits for an answer.
    private final class Waiter: Sendable {
        let answered: RoostSystem.Semaphore
        let answer = Mutex(Answer())

        init() throws(SystemError) {
            answered = try RoostSystem.Semaphore()
        }
    }

    private struct State {
        var isLost = false
        var lastRequest: UInt32 = 0
        var waiters: [UInt32: Waiter] = [:]
        var lossHandlers: [UInt64: @Sendable () -> Void] = [:]
        var lastHandler: UInt64 = 0
    }

    /// Messages of one answer, at most.
    private static let answerMessageCount = 8

    private let socket: StreamSocket
    private let state = Mutex(State())
    /// Held while a message is sent, so that two do not mix.
    private let sending = Mutex(())
    /// Signalled once, when the connection ends, and never taken.
    private let loss: EventCounter
    private let lost = Atomic<Bool>(false)

    /// Whether the connection has ended.
    var isLost: Bool { lost.load(ordering: .acquiring) }

    /// Readable once the connection has ended.
    var lossDescriptor: FileDescriptor { loss.descriptor }

    /// Takes over a connected socket.
    ///
    /// - Throws: `HypervisorError` of kind `system`.
    init(_ socket: StreamSocket) throws(HypervisorError) {
        self.socket = socket
        do throws(Errno) {
            loss = try EventCounter.make()
        } catch {
            throw HypervisorError(
                .system, errno: error,
                "cannot make an event descriptor: \(error); raise the limit on open files "
                    + "(ulimit -n)")
        }
    }

    /// Starts the thread that reads; it ends with the connection.
    ///
    /// - Throws: `HypervisorError` of kind `system`.
    func start() throws(HypervisorError) {
        let failure = DedicatedThread.start(name: "domain") { [self] in readAnswers() }
        if let failure {
            throw HypervisorError(.system, errno: failure.errno, failure.description)
        }
    }

    /// Ends the connection; the hypervisor takes back all that the domain had.
    func close() {
        socket.shutdown(.both)
    }

    // MARK: Asking

    /// Asks and waits for the answer.
    ///
    /// - Parameters:
    ///   - message: What; its number is given here.
    ///   - kind: What a refusal is.
    ///   - what: What cannot be done then, for the message: "make a channel".
    /// - Returns: The answer, which is no refusal.
    /// - Throws: `HypervisorError` of that kind, of kind `lost`, or `system` without memory.
    func ask(
        _ message: ControlMessage, _ kind: HypervisorError.Kind, _ what: String
    ) throws(HypervisorError) -> Answer {
        let waiter: Waiter
        do throws(SystemError) {
            waiter = try Waiter()
        } catch {
            throw HypervisorError(.system, errno: error.errno, error.description)
        }
        let request = state.withLock { state -> UInt32? in
            guard !state.isLost else { return nil }
            repeat {
                state.lastRequest = state.lastRequest == .max ? 1 : state.lastRequest + 1
            } while state.waiters[state.lastRequest] != nil
            state.waiters[state.lastRequest] = waiter
            return state.lastRequest
        }
        guard let request else { throw Self.lost(what) }
        var numbered = message
        numbered.request = request
        // Where it cannot be sent the connection has ended, which the reader tells the waiter.
        if !send(numbered) { close() }
        waiter.answered.wait()
        let answer = waiter.answer.withLock { $0 }
        guard let last = answer.last, !last.hasMore else { throw Self.lost(what) }
        for message in answer.messages {
            guard let reason = message.failure else { continue }
            throw HypervisorError(
                kind, errno: reason, "cannot \(what): the hypervisor answered \(reason)")
        }
        return answer
    }

    /// Says something that needs no answer.
    func post(_ message: ControlMessage) {
        if !isLost { _ = send(message) }
    }

    private func send(_ message: ControlMessage) -> Bool {
        let bytes = message.bytes
        return sending.withLock { _ in
            do throws(SystemError) {
                // SAFETY: bytes of integers.
                try socket.send(unsafe bytes.span.bytes)
                return true
            } catch {
                return false
            }
        }
    }

    static func lost(_ what: String) -> HypervisorError {
        HypervisorError(
            .lost, "cannot \(what): the hypervisor is gone; connect again once it is back")
    }

    // MARK: Answers

    private func readAnswers() {
        while let (message, descriptor) = receive() {
            let waiter = state.withLock { state in
                message.hasMore
                    ? state.waiters[message.request]
                    : state.waiters.removeValue(forKey: message.request)
            }
            // An answer that nobody waits for is dropped, and its descriptor closed.
            guard let waiter else { continue }
            let count = waiter.answer.withLock { answer in
                answer.messages.append(message)
                answer.descriptors.append(descriptor)
                return answer.messages.count
            }
            // No answer is as long: this is no hypervisor.
            guard count <= Self.answerMessageCount else { break }
            if !message.hasMore { waiter.answered.signal() }
        }
        socket.shutdown(.both)
        noteLoss()
    }

    /// Receives a whole message; `nil` at the end of the connection.
    private func receive() -> (ControlMessage, PassedDescriptor?)? {
        var bytes: [UInt8] = []
        var passed: PassedDescriptor?
        while bytes.count < ControlMessage.byteCount {
            var chunk = [UInt8](repeating: 0, count: ControlMessage.byteCount - bytes.count)
            var span = chunk.mutableSpan
            // SAFETY: any byte is a value of the array's type.
            var room = unsafe span.mutableBytes
            guard var received = try? socket.receive(into: &room), received.byteCount > 0 else {
                return nil
            }
            if let descriptor = received.passed.take() { passed = PassedDescriptor(descriptor) }
            bytes += chunk[..<received.byteCount]
        }
        return (ControlMessage(bytes), passed)
    }

    private func noteLoss() {
        lost.store(true, ordering: .releasing)
        loss.signal()
        let (waiters, handlers) = state.withLock { state in
            state.isLost = true
            defer {
                state.waiters = [:]
                state.lossHandlers = [:]
            }
            return (Array(state.waiters.values), Array(state.lossHandlers.values))
        }
        for waiter in waiters { waiter.answered.signal() }
        for handler in handlers { handler() }
    }

    // MARK: Loss

    /// Calls a closure once when the connection ends, at once if it has.
    ///
    /// - Returns: What ``removeLossHandler(_:)`` takes.
    @discardableResult
    func onLoss(_ handler: @escaping @Sendable () -> Void) -> UInt64 {
        let key = state.withLock { state -> UInt64? in
            guard !state.isLost else { return nil }
            state.lastHandler += 1
            state.lossHandlers[state.lastHandler] = handler
            return state.lastHandler
        }
        if key == nil { handler() }
        return key ?? 0
    }

    /// Forgets a closure.
    func removeLossHandler(_ key: UInt64) {
        state.withLock { _ = $0.lossHandlers.removeValue(forKey: key) }
    }
}
