internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// The part of a monitor's client that its reading thread shares.
///
/// Calls wait here for their reply, which may come in any order and with events between. Whatever
/// ends the connection fails them all, and every later one, with the same sentence.
final class QMPConnection: Sendable {
    /// The longest line a monitor may send; QEMU's longest reply, its schema, has under 1 MiB.
    static let maximumLineByteCount = 16 << 20

    /// Events kept for a reader that does not keep up; older ones are dropped.
    static let maximumEventCount = 256

    /// How messages call the peer: `QEMU at unix:/run/vm.qmp`.
    let name: String
    let socket: StreamSocket

    private struct State {
        var failure: MigrationError?
        var version: String?
        var nextID: UInt64 = 1
        var pending: [UInt64: CheckedContinuation<Result<JSONValue, MigrationError>, Never>] = [:]
        /// Calls whose time was over before their reply came.
        var abandoned: Set<UInt64> = []
        var nextSubscriber = 0
        var subscribers: [Int: AsyncStream<QMPEvent>.Continuation] = [:]
    }

    private let state = Mutex(State())
    /// Held while a command is written, so that commands do not mix.
    private let sending = Mutex(())
    private let greeted = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    init(name: String, socket: StreamSocket) {
        self.name = name
        self.socket = socket
    }

    /// Why the connection ended, once it has.
    var failure: MigrationError? { state.withLock { $0.failure } }

    // MARK: Reading, on the connection's thread

    /// Reads lines until the connection ends.
    func readLines() {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        var line: [UInt8] = []
        while true {
            let count: Int
            do {
                count = try unsafe chunk.withUnsafeMutableBytes { bytes in
                    // SAFETY: the buffer is the array's, alive for the call.
                    try unsafe socket.descriptor.read(into: bytes)
                }
            } catch {
                return fail("\(name) cannot be read: \(error)", errno: error as? Errno)
            }
            guard count > 0 else {
                return fail(
                    "\(name) closed its monitor's connection; see whether QEMU still runs and "
                        + "what it printed")
            }
            var rest = chunk[..<count]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                line += rest[..<end]
                rest = rest[(end + 1)...]
                guard take(line) else { return }
                line.removeAll(keepingCapacity: line.count < 64 << 10)
            }
            line += rest
            guard line.count <= Self.maximumLineByteCount else {
                return fail(
                    "\(name) sent a line of over \(Self.maximumLineByteCount) bytes: this is no "
                        + "QEMU monitor, or it is broken")
            }
        }
    }

    /// Handles a line.
    ///
    /// - Returns: Whether to go on.
    private func take(_ line: [UInt8]) -> Bool {
        guard line.contains(where: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\r") }) else {
            return true
        }
        guard let message = QMPMessage(line: line) else {
            let start = String(decoding: line.prefix(60), as: UTF8.self).debugDescription
            fail(
                "\(name) sent a line that is no QMP message, \(start): connect to a monitor made "
                    + "with -qmp")
            return false
        }
        switch message {
        case .greeting(let version):
            state.withLock { $0.version = version }
            greeted.continuation.yield()
        case .event(let event):
            for subscriber in state.withLock({ Array($0.subscribers.values) }) {
                subscriber.yield(event)
            }
        case .success(let id, let value):
            return answer(id, .success(value))
        case .refusal(let id, let errorClass, let text):
            let reason = errorClass == "GenericError" ? text : "\(text) (\(errorClass))"
            return answer(id, .failure(MigrationError(.peer, "\(name) refused: \(reason)")))
        }
        return true
    }

    private func answer(_ id: UInt64, _ result: Result<JSONValue, MigrationError>) -> Bool {
        let (waiting, wasAbandoned) = state.withLock { state in
            (state.pending.removeValue(forKey: id), state.abandoned.remove(id) != nil)
        }
        if let waiting {
            waiting.resume(returning: result)
        } else if !wasAbandoned {
            fail("\(name) answered a command that was never given (id \(id)): it is broken")
            return false
        }
        return true
    }

    /// Ends the connection, once: the first reason counts.
    func fail(_ sentence: String, kind: MigrationError.Kind = .peer, errno: Errno? = nil) {
        let failure = MigrationError(kind, errno: errno, sentence)
        let (waiting, subscribers) = state.withLock { state in
            if state.failure == nil { state.failure = failure }
            defer {
                state.pending = [:]
                state.subscribers = [:]
            }
            return (Array(state.pending.values), Array(state.subscribers.values))
        }
        socket.shutdown(.both)
        let reason = self.failure ?? failure
        for call in waiting { call.resume(returning: .failure(reason)) }
        for subscriber in subscribers { subscriber.finish() }
        greeted.continuation.finish()
    }

    // MARK: Calling

    /// Waits for the first line.
    ///
    /// - Returns: The version, or `nil` when the connection ended.
    func greeting() async -> String? {
        for await _ in greeted.stream { break }
        return state.withLock { $0.failure == nil ? $0.version : nil }
    }

    /// Sends a command and waits for its reply.
    func call(
        _ command: String, _ arguments: JSONValue?, passing passed: FileDescriptor?,
        timeout: Duration
    ) async -> Result<JSONValue, MigrationError> {
        let id = state.withLock { state in
            defer { state.nextID += 1 }
            return state.nextID
        }
        var message: [String: JSONValue] = ["execute": .string(command), "id": JSONValue(id)]
        message["arguments"] = arguments
        guard var line = try? JSONValue.object(message).json() else {
            return .failure(
                MigrationError(.limit, "the arguments of '\(command)' hold no finite number"))
        }
        line.append(UInt8(ascii: "\n"))
        let bytes = line

        let limit = Task {
            try? await Task.sleep(for: timeout)
            if !Task.isCancelled { abandon(id, command, after: timeout) }
        }
        defer { limit.cancel() }
        let result = await withCheckedContinuation { continuation in
            let failure = state.withLock { state in
                if state.failure == nil { state.pending[id] = continuation }
                return state.failure
            }
            if let failure {
                continuation.resume(returning: .failure(failure))
            } else {
                send(bytes, passing: passed)
            }
        }
        return result.mapError { error in
            guard error.kind == .peer, error != failure else { return error }
            return MigrationError(
                .peer,
                error.description.replacing(
                    "\(name) refused:", with: "\(name) refused '\(command)':", maxReplacements: 1))
        }
    }

    private func send(_ line: [UInt8], passing passed: FileDescriptor?) {
        do throws(SystemError) {
            try sending.withLock { _ throws(SystemError) in
                try socket.send(unsafe line.span.bytes, passing: passed)
            }
        } catch {
            fail("\(name) cannot be told a command: \(error)", errno: error.errno)
        }
    }

    private func abandon(_ id: UInt64, _ command: String, after timeout: Duration) {
        let waiting = state.withLock { state in
            let waiting = state.pending.removeValue(forKey: id)
            if waiting != nil { state.abandoned.insert(id) }
            return waiting
        }
        waiting?.resume(
            returning: .failure(
                MigrationError(
                    .timeout,
                    "\(name) did not answer '\(command)' within \(timeout): see whether it hangs")))
    }

    /// The events from now on, until the connection ends.
    func events() -> AsyncStream<QMPEvent> {
        let (stream, continuation) = AsyncStream<QMPEvent>.makeStream(
            bufferingPolicy: .bufferingNewest(Self.maximumEventCount))
        let key: Int? = state.withLock { state in
            guard state.failure == nil else { return nil }
            state.nextSubscriber += 1
            state.subscribers[state.nextSubscriber] = continuation
            return state.nextSubscriber
        }
        guard let key else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.subscribers.removeValue(forKey: key) }
        }
        return stream
    }
}
