internal import Logging
public import RoostMigration
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// A stamped guest that is moved from process to process on this host.
///
/// Everything it starts has ended when it returns.
public struct BenchRun: Sendable {
    /// One move.
    public struct Move: Sendable {
        /// What it came to.
        public let report: ProcessMove.Report
        /// The most processor time that auto-converge took, in percent.
        public let throttlePercentage: Int
    }

    /// What a run came to.
    public struct Report: Sendable {
        /// The moves in their order.
        public let moves: [Move]
        /// What the guest found at its end.
        public let verification: StampedGuestProgram.Verification
    }

    private let workload: StampedGuestProgram.Workload
    private let options: ProcessMove.Options

    /// Describes a run.
    ///
    /// - Parameters:
    ///   - workload: What the guest does.
    ///   - options: How it is moved.
    public init(_ workload: StampedGuestProgram.Workload, _ options: ProcessMove.Options) {
        self.workload = workload
        self.options = options
    }

    /// Starts the guest, moves it, and has it check its memory.
    ///
    /// Cancelling the task ends the guests.
    ///
    /// - Parameters:
    ///   - count: How many times to move it.
    ///   - filling: Told how many bytes of the guest's memory are filled.
    ///   - observer: Told how far each move is.
    /// - Returns: The moves and the verification.
    /// - Throws: `MigrationError` of a move, or `HostError`, of kind `cancelled` where it was.
    public func run(
        moves count: Int, filling: @escaping @Sendable (UInt64) -> Void = { _ in },
        moving observer: @escaping @Sendable (MigrationStatistics) -> Void
    ) async throws -> Report {
        try checkMemory(available: ThisProcess.availableMemory)
        let folder = try Self.folder()
        let guests = Guests(workload, folder: folder.path, filling: filling)
        do {
            return try await withTaskCancellationHandler {
                try await carry(guests, count, observer)
            } onCancel: {
                guests.kill()
            }
        } catch {
            guests.kill()
            guard Task.isCancelled else { throw error }
            throw HostError(.cancelled, "the bench was stopped, and its guests were ended")
        }
    }

    /// Refuses a guest for which the machine has no room.
    func checkMemory(available: UInt64?) throws(HostError) {
        guard let available else { return }
        // While it moves, its memory is in two processes, and in a third copy where written pages
        // are found by comparing.
        let copies: UInt64 = options.tracker == .shadow ? 3 : 2
        let (memory, overflow) = workload.byteCount.multipliedReportingOverflow(by: copies)
        let cache = UInt64(options.parameters.xbzrleCacheByteCount ?? 0)
        let (needed, exceeds) = memory.addingReportingOverflow(cache)
        guard overflow || exceeds || needed > available else { return }
        throw HostError(
            .guest,
            "a guest of \(Quantity.bytes(workload.byteCount)) cannot be moved here: its memory is "
                + "there \(copies == 3 ? "three times" : "twice") meanwhile"
                + (cache > 0 ? ", the cache takes \(Quantity.bytes(cache))" : "")
                + ", and \(Quantity.bytes(available)) are available; give less with --memory")
    }

    private func carry(
        _ guests: Guests, _ count: Int,
        _ observer: @escaping @Sendable (MigrationStatistics) -> Void
    ) async throws -> Report {
        var guest = try await Self.blocking { try guests.start(isIncoming: false) }
        var moves: [Move] = []
        for _ in 0..<count {
            let from = guest.socket
            let next = try await Self.blocking { try guests.start(isIncoming: true) }
            let (source, destination) = try await Self.blocking {
                (
                    try ProcessGuest.connect(to: from), try ProcessGuest.connect(to: next.socket)
                )
            }
            let highest = Mutex(0)
            let move = ProcessMove(from: source, to: destination, options)
            do throws(MigrationError) {
                let report = try await move.run { statistics in
                    highest.withLock { $0 = max($0, statistics.throttlePercentage ?? 0) }
                    observer(statistics)
                }
                moves.append(Move(report: report, throttlePercentage: highest.withLock { $0 }))
            } catch {
                let stayed = guest
                throw try await Self.blocking { Self.failure(error, stayed) }
            }
            guest.waitForEnd()
            guest = next
            // It checks all of its memory before it goes on.
            let arrived = try await Self.blocking { try next.verification() }
            guard arrived.ok else { return Report(moves: moves, verification: arrived) }
        }
        let last = guest
        return Report(moves: moves, verification: try await Self.blocking { try last.stop() })
    }

    /// Why a move failed, and whether its guest ran on unharmed where it was.
    private static func failure(
        _ error: MigrationError, _ guest: StampedGuestProgram
    ) -> HostError {
        do throws(HostError) {
            return HostError(
                .guest, errno: error.errno,
                "\(error); the guest ran on where it was: \(try guest.stop().summary)")
        } catch {
            return HostError(.guest, error.description)
        }
    }

    /// The guests that were started, to be ended together.
    private final class Guests: Sendable {
        private let workload: StampedGuestProgram.Workload
        private let folder: String
        private let filling: @Sendable (UInt64) -> Void
        private let started = Mutex<(programs: [StampedGuestProgram], isOver: Bool)>(([], false))

        init(
            _ workload: StampedGuestProgram.Workload, folder: String,
            filling: @escaping @Sendable (UInt64) -> Void
        ) {
            self.workload = workload
            self.folder = folder
            self.filling = filling
        }

        func start(isIncoming: Bool) throws -> StampedGuestProgram {
            let index = started.withLock { $0.programs.count }
            let program = try StampedGuestProgram(
                workload, isIncoming: isIncoming, socket: "\(folder)/\(index)", filling: filling)
            let isOver = started.withLock { started in
                started.programs.append(program)
                return started.isOver
            }
            if isOver { program.kill() }
            return program
        }

        func kill() {
            let programs = started.withLock { started in
                started.isOver = true
                return started.programs
            }
            for program in programs { program.kill() }
        }
    }

    private static func folder() throws(HostError) -> ScratchFolder {
        do throws(Errno) {
            return try ScratchFolder(named: "roost-migrate")
        } catch {
            throw HostError(
                .guest, errno: error,
                "cannot make a folder for the guests' sockets: \(error); name another place in TMPDIR"
            )
        }
    }

    private static func blocking<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await DedicatedThread.run(name: "roost-bench", body)
    }
}
