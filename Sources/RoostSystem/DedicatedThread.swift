internal import CRoost
internal import SystemPackage

/// Runs blocking work on a thread of its own.
///
/// A task that blocks takes a thread from Swift's pool, which has one a core; the data plane's
/// stages and blocking reads therefore run here. The thread ends with its work.
package enum DedicatedThread {
    /// The stack of a thread whose starter asks for nothing else.
    package static let defaultStackByteCount = 512 * 1024

    /// Runs a blocking closure on a new thread and waits for its end without blocking.
    ///
    /// Cancelling the calling task does not reach the thread: wrap the call in
    /// `withTaskCancellationHandler` and end what the closure waits for there, as with
    /// ``StreamSocket/shutdown(_:)``.
    ///
    /// - Parameters:
    ///   - name: What debuggers and `top -H` show; the system keeps 15 bytes.
    ///   - stackByteCount: The stack's size, at least 64 KiB.
    ///   - body: The work. It runs outside every actor.
    /// - Returns: What the closure returned.
    /// - Throws: What the closure throws, or `SystemError` of kind `thread`.
    package static func run<Value: Sendable>(
        name: String, stackByteCount: Int = defaultStackByteCount,
        _ body: sending @escaping () throws -> Value
    ) async throws -> Value {
        try await result(name: name, stackByteCount: stackByteCount, body).get()
    }

    /// Runs a blocking closure on a new thread, keeping the type of what it throws.
    ///
    /// - Parameters:
    ///   - name: What debuggers and `top -H` show; the system keeps 15 bytes.
    ///   - stackByteCount: The stack's size, at least 64 KiB.
    ///   - body: The work. It runs outside every actor.
    /// - Returns: What the closure returned or threw.
    /// - Throws: `SystemError` of kind `thread`; the closure has not run then.
    package static func result<Value: Sendable, Failure: Error>(
        name: String, stackByteCount: Int = defaultStackByteCount,
        _ body: sending @escaping () throws(Failure) -> Value
    ) async throws(SystemError) -> Result<Value, Failure> {
        let sent = SentBody(call: body)
        let outcome: Result<Result<Value, Failure>, SystemError> = await withCheckedContinuation {
            continuation in
            let started = start(name: name, stackByteCount: stackByteCount) {
                do throws(Failure) {
                    continuation.resume(returning: .success(.success(try sent.call())))
                } catch {
                    continuation.resume(returning: .success(.failure(error)))
                }
            }
            if let failure = started {
                continuation.resume(returning: .failure(failure))
            }
        }
        return try outcome.get()
    }

    /// Starts a thread and does not wait for it.
    ///
    /// - Parameters:
    ///   - name: What debuggers and `top -H` show; the system keeps 15 bytes.
    ///   - stackByteCount: The stack's size, at least 64 KiB.
    ///   - body: The work. It runs outside every actor.
    /// - Returns: Why no thread could be started, or `nil`: the closure runs.
    package static func start(
        name: String, stackByteCount: Int = defaultStackByteCount,
        _ body: @Sendable @escaping () -> Void
    ) -> SystemError? {
        precondition(stackByteCount >= 64 * 1024)
        let work = unsafe Unmanaged.passRetained(ThreadWork(name: name, body: body))
        // SAFETY: the retain above is the new thread's, which consumes it in `enterThread`.
        let result = unsafe croost_start_thread(stackByteCount, enterThread, work.toOpaque())
        guard result < 0 else { return nil }
        // SAFETY: no thread was started, so the retain is still ours.
        unsafe work.release()
        let reason = Errno(rawValue: -result)
        return SystemError(
            .thread, errno: reason,
            "cannot start the thread \(name): \(reason); raise the limit on processes (ulimit -u) "
                + "or free memory")
    }
}

/// A closure on its way to the thread that calls it.
private struct SentBody<Value, Failure: Error>: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the closure came as `sending`, so its sender has kept no access
    // to what it captures, and one thread calls it, once.
    let call: () throws(Failure) -> Value
}

/// What a new thread is to do.
private final class ThreadWork {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @Sendable @escaping () -> Void) {
        self.name = name
        self.body = body
    }
}

/// A thread's entry: a plain function, because a closure made in code bound to the main actor
/// would check on entry that it runs there.
private func enterThread(_ argument: UnsafeMutableRawPointer) {
    // SAFETY: `start` passed a retained `ThreadWork`, once.
    let work = unsafe Unmanaged<ThreadWork>.fromOpaque(argument).takeRetainedValue()
    unsafe croost_name_thread(work.name)
    work.body()
}
