internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// How one side of a move ends: its first failure, or the point from which it is complete.
///
/// The threads of a side share it. Whoever finds that the move cannot go on says so here; the
/// connection to QEMU is shut, every wait on the wire ends, and the side has a limited time left
/// to tell the other one and to hear what that has to say.
final class MoveEnding: Sendable {
    /// How long a side that has ended still talks to the other one.
    static let defaultGrace = Duration.seconds(5)

    private struct State {
        /// What ended the move.
        var failure: MigrationError?
        /// Whether the failure may only be what another one led to, which the other side knows.
        var isSuspicion = false
        /// Whether the other side knows of it, since it has said so.
        var isTold = false
        var isSettled = false
        var deadline: ContinuousClock.Instant?
        var guest: StreamSocket?
    }

    private let state = Mutex(State())
    private let grace: Duration
    /// Raised when the move is over on this side, one way or the other; `nil` when the system
    /// had no descriptor for it.
    private let signal: StopSignal?

    init(grace: Duration) {
        self.grace = grace
        signal = try? StopSignal()
    }

    /// Refuses a move that could not be stopped.
    func checkUsable() throws(MigrationError) {
        guard signal == nil else { return }
        throw MigrationError(
            .transfer, "cannot make an event descriptor; raise the limit on open files (ulimit -n)")
    }

    // MARK: Ending

    /// Names the connection to QEMU that a failure shuts; one that has failed shuts it now.
    func attach(_ guest: StreamSocket) {
        let isFailed = state.withLock { state in
            state.guest = guest
            return state.failure != nil
        }
        if isFailed { guest.shutdown(.both) }
    }

    /// Ends the move by a failure, unless it is over or settled.
    func fail(_ failure: MigrationError) {
        end { state in
            guard state.failure == nil, !state.isSettled else { return }
            state.failure = failure
        }
    }

    /// Ends the move by a failure that may follow from one the other side is about to tell.
    func suspect(_ failure: MigrationError) {
        end { state in
            guard state.failure == nil, !state.isSettled else { return }
            state.failure = failure
            state.isSuspicion = true
        }
    }

    /// Ends the move by what the other side says; that stands in for what was only suspected.
    func explain(_ failure: MigrationError) {
        end { state in
            guard state.failure == nil || state.isSuspicion, !state.isSettled else { return }
            state.failure = failure
            state.isSuspicion = false
            state.isTold = true
        }
    }

    /// Says that the guest is where it was to go: nothing that happens later undoes the move.
    ///
    /// - Throws: What ended the move before.
    func settle() throws(MigrationError) {
        let failure = state.withLock { state in
            if state.failure == nil { state.isSettled = true }
            return state.failure
        }
        if let failure { throw failure }
    }

    /// Notes what went wrong with a settled move.
    func regret(_ failure: MigrationError) {
        end { state in state.failure = state.failure ?? failure }
    }

    /// Wakes who waits, of a move that is complete.
    func finish() {
        end { _ in }
    }

    private func end(_ change: (inout State) -> Void) {
        let guest: StreamSocket? = state.withLock { state in
            change(&state)
            if state.deadline == nil { state.deadline = ContinuousClock.now + grace }
            return state.failure == nil || state.isSettled ? nil : state.guest
        }
        guest?.shutdown(.both)
        signal?.raise()
    }

    // MARK: Asking

    /// What ended the move, or went wrong with it, so far.
    var failure: MigrationError? { state.withLock { $0.failure } }

    /// What ended the move and the other side does not know yet.
    var untold: MigrationError? {
        state.withLock { $0.isTold || $0.isSettled ? nil : $0.failure }
    }

    /// Whether the guest is where it was to go.
    var isSettled: Bool { state.withLock { $0.isSettled } }

    /// Whether the move is over on this side; cheap enough to ask for every piece of a stream.
    var isOver: Bool { signal?.isRaised ?? true }

    /// Throws what ended the move.
    func check() throws(MigrationError) {
        guard isOver, let failure else { return }
        throw failure
    }

    // MARK: Threads

    /// Runs a part of the move on a thread of its own; what it throws ends the move.
    ///
    /// - Returns: Whether nothing has ended the move yet.
    func run(
        _ name: String, _ body: @escaping @Sendable () throws(MigrationError) -> Void
    ) async -> Bool {
        if case .failure(let failure) = await MigrationThread.run(name, body) { fail(failure) }
        return failure == nil
    }

    /// Writes the memory of a move that is complete.
    ///
    /// - Throws: `MigrationError`, which says that the move itself went well.
    static func dump(
        of moved: String, _ body: @escaping @Sendable () throws(MigrationError) -> Void
    ) async throws(MigrationError) {
        guard case .failure(let failure) = await MigrationThread.run("roost-dump", body) else {
            return
        }
        throw MigrationError(
            failure.kind, errno: failure.errno,
            "\(moved), but its memory could not be written to the dump folder: \(failure)")
    }

    // MARK: Waiting

    /// Waits until a socket is ready, ignoring that the move may be over until its last word
    /// must have been said.
    ///
    /// - Returns: `false` when that time has come.
    func waitToEnd(for readiness: StreamSocket.Readiness, of socket: StreamSocket) -> Bool {
        while true {
            let deadline = state.withLock { $0.deadline }
            // A socket that is always ready does not make the time longer.
            if let deadline, ContinuousClock.now >= deadline { return false }
            let ready = socket.wait(
                for: readiness, unless: deadline == nil ? signal : nil, until: deadline)
            if !ready.isEmpty { return true }
        }
    }

    /// Waits until a socket is ready, another one is, the move is over or a time has come.
    ///
    /// - Returns: Which sockets are ready.
    func wait(
        for readiness: StreamSocket.Readiness, of socket: StreamSocket,
        or other: (socket: StreamSocket, readiness: StreamSocket.Readiness)? = nil,
        until deadline: ContinuousClock.Instant? = nil
    ) -> StreamSocket.Ready {
        socket.wait(for: readiness, or: other, unless: signal, until: deadline)
    }
}
