internal import Glibc
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// Hands a guest from one process of this host to another, so that exactly one of them runs it.
///
/// As a ``MigrationGuest`` it keeps the source's keeper armed after the last byte was sent: the
/// destination's process runs only when ``complete()`` tells it to.
final class HandOver: MigrationGuest {
    private let source: ProcessGuest
    private let destination: ProcessGuest
    private let onStep: @Sendable (ProcessMove.Step) -> Void
    /// Ends the destination's process and continues the source's, should this process be killed
    /// while nobody knows which of them runs.
    private let keeper: Keeper
    private let hasAsked = Atomic<Bool>(false)
    /// Whether the source's process was there when all of its memory had been read.
    private let isWhole = Atomic<Bool>(false)
    private let begun = Atomic<Bool>(false)

    /// Prepares to hand a guest over.
    ///
    /// - Throws: `MigrationError` of kind `transfer`.
    init(
        from source: ProcessGuest, to destination: ProcessGuest,
        _ onStep: @escaping @Sendable (ProcessMove.Step) -> Void
    ) throws(MigrationError) {
        self.source = source
        self.destination = destination
        self.onStep = onStep
        do throws(Errno) {
            keeper = try Keeper(
                continuing: source.process.handle, afterEnding: destination.process.handle)
        } catch {
            throw MigrationError(
                .transfer, errno: error,
                "cannot start a keeper for the guest, process \(source.processID): \(error); "
                    + "raise the limit on processes (ulimit -u)")
        }
    }

    /// Whether ``complete()`` was called.
    var isBegun: Bool { begun.load(ordering: .acquiring) }

    func addedBlocks() throws(MigrationError) -> [MigratedBlock] {
        if !hasAsked.exchange(true, ordering: .relaxed) { onStep(.firstRound) }
        return try source.addedBlocks()
    }

    func pause() throws(MigrationError) {
        try source.pause()
        onStep(.stopped)
    }

    /// Nobody runs the guest elsewhere yet; what is known is whether its memory was read whole.
    func leave() {
        isWhole.store(!source.process.handle.hasEnded, ordering: .releasing)
    }

    func resume() {
        source.resume()
    }

    /// Tells the destination's process to run, and ends the source's.
    ///
    /// - Throws: `MigrationError`; the destination's process has ended then, and the guest runs on
    ///   at the source, unless the error says otherwise.
    func complete() throws(MigrationError) {
        begun.store(true, ordering: .releasing)
        onStep(.beforeArrival)
        guard isWhole.load(ordering: .acquiring) else { throw source.process.ended() }
        do throws(Errno) {
            try keeper.arm()
        } catch {
            throw stay(
                after: MigrationError(
                    .transfer, errno: error,
                    "the keeper of the move is gone: do not kill roost-keeper"), nil)
        }
        // From here on the other keeper must not continue the source on its own.
        source.leave()
        onStep(.atArrival)
        do throws(MigrationError) {
            try destination.arrived()
        } catch {
            throw settle(after: error)
        }
        // The guest runs there: whatever happens from now on, nobody continues it here.
        keeper.disarm()
        onStep(.arrived)
        try source.end()
        guard !destination.process.handle.hasEnded else {
            throw MigrationError(
                .guest,
                "the guest had moved to process \(destination.processID), which has ended since, and "
                    + "runs nowhere: start it again")
        }
    }

    /// Continues the source's process after a failure before the destination's was told to run.
    ///
    /// - Parameters:
    ///   - error: The failure.
    ///   - ended: Which process had ended before, source or destination.
    /// - Returns: The failure, with where the guest runs.
    func stay(after error: MigrationError, _ ended: ProcessWatch.Ended?) -> MigrationError {
        source.resume()
        if ended == .first || source.process.handle.hasEnded { return source.process.ended() }
        if ended == .second || destination.process.handle.hasEnded { return destinationEnded() }
        // A cancellation says already who keeps the guest.
        if error.kind == .cancelled { return error }
        return said(error, "the guest runs on in process \(source.processID)")
    }

    /// Makes certain who runs the guest when nobody knows whether the destination's process does.
    private func settle(after error: MigrationError) -> MigrationError {
        let other = destination.process.handle
        let hadEnded = other.hasEnded
        // A process that has ended already is what is wanted.
        try? other.signal(SIGKILL)
        guard other.waitForEnd(within: GuestProcess.stopLimit) else {
            keeper.disarm()
            return said(
                error,
                "the destination's process \(destination.processID) was killed and does not end, so "
                    + "the guest stays stopped in process \(source.processID): continue it (kill "
                    + "-CONT \(source.processID)) once the other has ended")
        }
        source.resume()
        keeper.disarm()
        if source.process.handle.hasEnded {
            return said(
                error,
                "both processes of the guest, \(source.processID) and \(destination.processID), "
                    + "have ended: start it again where it ran")
        }
        if hadEnded { return destinationEnded() }
        return said(
            error,
            "the destination's process \(destination.processID) was ended, since nobody could tell "
                + "whether it ran, and the guest runs on in process \(source.processID)")
    }

    private func destinationEnded() -> MigrationError {
        MigrationError(
            .guest,
            "the destination's process \(destination.processID) has ended, and the guest runs on in "
                + "process \(source.processID): start another destination and move it again")
    }

    private func said(_ error: MigrationError, _ outcome: String) -> MigrationError {
        MigrationError(
            error.kind, block: error.block, blockOffset: error.blockOffset,
            streamOffset: error.streamOffset, errno: error.errno,
            "\(error.description); \(outcome)")
    }
}
