internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// Takes processor time from a guest by stopping and continuing it in turns.
///
/// As QEMU does with its virtual processors (softmmu/cpu-throttle.c): the guest runs for 10 ms, then
/// stands still for so long that the percentage is met. It needs no privilege beyond being the
/// guest's user. A `Keeper` continues the guest should this process be killed.
public final class StopThrottle: Throttle {
    /// How long the guest runs at a time (QEMU: CPU_THROTTLE_TIMESLICE_NS).
    static let runningTime = Duration.milliseconds(10)

    /// The thread that stops and continues, as the rest sees it.
    private final class Cycle: Sendable {
        let percentage = Atomic<Int>(0)
        let stopping: StopSignal
        let ended: StopSignal

        init() throws(Errno) {
            stopping = try StopSignal()
            ended = try StopSignal()
        }
    }

    /// `stop cycle`.
    public let name = "stop cycle"
    private let process: GuestProcess
    private let cycle = Mutex<Cycle?>(nil)

    /// Makes a throttle, which takes nothing yet.
    init(_ process: GuestProcess) {
        self.process = process
    }

    /// Takes a share of the guest's processor time from now on.
    ///
    /// - Parameter percentage: 1 to 99, or 0 to take nothing any more: the guest runs then.
    /// - Throws: `MigrationError` of kind `transfer`, or `guest` when the guest is gone.
    public func set(percentage: Int) throws(MigrationError) {
        precondition((0...99).contains(percentage))
        guard percentage > 0 else { return stop() }
        guard !process.handle.hasEnded else {
            stop()
            throw process.ended()
        }
        try cycle.withLock { (cycle) throws(MigrationError) in
            let current: Cycle
            if let cycle { current = cycle } else { current = try start() }
            current.percentage.store(percentage, ordering: .relaxed)
            cycle = current
        }
    }

    private func start() throws(MigrationError) -> Cycle {
        let cycle: Cycle
        do throws(Errno) {
            cycle = try Cycle()
        } catch {
            throw MigrationError(
                .transfer, errno: error, "cannot make a signal: \(error); raise ulimit -n")
        }
        let failure = DedicatedThread.start(name: "guest-throttle") { [process] in
            Self.run(cycle, process)
            cycle.ended.raise()
        }
        if let failure {
            throw MigrationError(.transfer, errno: failure.errno, failure.description)
        }
        return cycle
    }

    /// How long the guest stands still after each ``runningTime``.
    ///
    /// - Parameter percentage: What is taken, 1 to 99.
    /// - Returns: 99 times as long for 99, as long for 50.
    static func pause(taking percentage: Int) -> Duration {
        runningTime * percentage / (100 - percentage)
    }

    private static func run(_ cycle: Cycle, _ process: GuestProcess) {
        while !cycle.stopping.wait(within: runningTime) {
            let percentage = cycle.percentage.load(ordering: .relaxed)
            do throws(MigrationError) {
                try process.hold(.throttle)
            } catch {
                return  // The guest has ended, or nobody would continue it.
            }
            _ = cycle.stopping.wait(within: pause(taking: percentage))
            process.letGo(.throttle)
        }
    }

    private func stop() {
        let taken = cycle.withLock { cycle in
            defer { cycle = nil }
            return cycle
        }
        guard let taken else { return }
        taken.stopping.raise()
        _ = taken.ended.wait()
    }

    deinit {
        stop()
    }
}
