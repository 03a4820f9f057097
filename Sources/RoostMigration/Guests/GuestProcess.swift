internal import Glibc
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// The process of a guest: stopped and continued by everyone who has a reason to.
///
/// A pause for the switch-over and the duty cycle of a throttle share it, so that the one does not
/// continue what the other stopped. While anyone holds the guest stopped, a `Keeper` sees to it
/// that it goes on should this process be killed.
final class GuestProcess: Sendable {
    /// Reasons for the guest to stand still.
    struct Holds: OptionSet, Sendable {
        let rawValue: UInt8

        static let pause = Holds(rawValue: 1)
        static let throttle = Holds(rawValue: 2)
    }

    private struct State {
        var holds: Holds = []
        var hasLeft = false
    }

    /// How long a guest may take to stand still.
    ///
    /// It takes a signal to each thread; one that the
    /// kernel holds for a disk or a network file cannot be stopped before it answers.
    static let stopLimit = Duration.seconds(10)
    /// How often the threads are looked at meanwhile.
    static let stopPoll = Duration.microseconds(100)

    let handle: ProcessHandle
    private let keeper: Keeper
    private let state = Mutex(State())

    /// Takes hold of a running guest.
    ///
    /// - Parameter processID: Its number.
    /// - Throws: `MigrationError` of kind `guest` or `transfer`.
    init(_ processID: Int32) throws(MigrationError) {
        do throws(Errno) {
            handle = try ProcessHandle(processID)
        } catch {
            throw MigrationError(
                .guest, errno: error,
                "cannot take hold of the guest, process \(processID): \(error); see that it runs")
        }
        do throws(Errno) {
            keeper = try Keeper(continuing: handle)
        } catch {
            throw MigrationError(
                .transfer, errno: error,
                "cannot start a keeper for the guest, process \(processID): \(error); raise the "
                    + "limit on processes (ulimit -u)")
        }
    }

    /// The number of the process that continues the guest should this one be killed.
    var keeperProcessID: Int32 { keeper.processID }

    /// What is thrown when the guest is gone.
    func ended(_ reason: Errno? = nil) -> MigrationError {
        MigrationError(
            .guest, errno: reason,
            "the guest, process \(handle.processID), has ended: start it again where it ran")
    }

    /// Stops the guest, without waiting until it stands still.
    func hold(_ hold: Holds) throws(MigrationError) {
        try state.withLock { (state) throws(MigrationError) in
            guard state.holds.isEmpty else {
                state.holds.formUnion(hold)
                return
            }
            do throws(Errno) {
                try keeper.arm()
            } catch {
                throw MigrationError(
                    .transfer, errno: error,
                    "the keeper of the guest, process \(handle.processID), is gone: do not kill "
                        + "roost-keeper")
            }
            do throws(Errno) {
                try handle.signal(SIGSTOP)
            } catch {
                keeper.disarm()
                throw ended(error)
            }
            state.holds.formUnion(hold)
        }
    }

    /// Takes a reason back; with the last one the guest goes on.
    func letGo(_ hold: Holds) {
        state.withLock { state in
            guard !state.holds.isDisjoint(with: hold) else { return }
            state.holds.subtract(hold)
            guard state.holds.isEmpty, !state.hasLeft else { return }
            // A guest that has ended needs no more than that.
            try? handle.signal(SIGCONT)
            keeper.disarm()
        }
    }

    /// Ends a pause, also one after which the guest was to run elsewhere.
    func stay() {
        state.withLock { $0.hasLeft = false }
        letGo(.pause)
    }

    /// From now on nobody continues the guest here: it runs elsewhere.
    func leave() {
        state.withLock { state in
            state.hasLeft = true
            keeper.disarm()
        }
    }

    /// Waits until no thread of a guest that is held executes anything.
    func waitUntilStopped() throws(MigrationError) {
        let deadline = ContinuousClock.now + Self.stopLimit
        while true {
            let threads = handle.threads()
            if handle.hasEnded || threads.isEmpty { throw ended() }
            if threads.allSatisfy(\.isStopped) { return }
            guard ContinuousClock.now < deadline else {
                throw MigrationError(
                    .guest,
                    "the guest, process \(handle.processID), did not stop within "
                        + "\(Self.stopLimit): see what its threads wait for (ps -L)")
            }
            ThisProcess.sleep(Self.stopPoll)
        }
    }
}
