import Glibc
import LabSupport
import RoostMemory
@testable import RoostMigration
import RoostSystem
import Testing

@Suite("Moves between processes", .timeLimit(.minutes(5)))
struct ProcessMoveTests {
    @Test(
        "the end of the source's process ends the move, unless all has arrived",
        arguments: ProcessMove.Step.allCases)
    func sourceKilled(step: ProcessMove.Step) async throws {
        let pair = try await MovedGuest()
        let failure = await pair.move(at: step) { pair.end(pair.source) }
        #expect(pair.source.hasEnded)
        switch step {
        case .firstRound, .stopped:
            #expect(failure?.kind == .guest)
            #expect(
                failure?.description
                    == "the guest, process \(pair.source.processID), has ended: start it again "
                    + "where it ran")
            try await pair.destinationWaits()
        case .beforeArrival, .atArrival, .arrived:
            #expect(failure == nil)
            try await pair.destinationRuns()
        }
    }

    @Test(
        "the end of the destination's process continues the source, until it was told to run",
        arguments: ProcessMove.Step.allCases)
    func destinationKilled(step: ProcessMove.Step) async throws {
        let pair = try await MovedGuest()
        let failure = await pair.move(at: step) { pair.end(pair.destination) }
        #expect(failure?.kind == .guest)
        #expect(pair.destination.hasEnded)
        let number = pair.destination.processID
        if step == .arrived {
            #expect(
                failure?.description
                    == "the guest had moved to process \(number), which has ended since, and runs "
                    + "nowhere: start it again")
            #expect(pair.source.hasEnded)
        } else {
            #expect(
                failure?.description
                    == "the destination's process \(number) has ended, and the guest runs on in "
                    + "process \(pair.source.processID): start another destination and move it "
                    + "again")
            try await pair.sourceRuns()
        }
    }

    @Test(
        "exactly one process runs the guest when who moves it is killed",
        arguments: ProcessMove.Step.allCases)
    func moverKilled(step: ProcessMove.Step) async throws {
        let pair = try await MovedGuest()
        let mover = try pair.mover(until: step)
        #expect(try await mover.exit() == -SIGKILL)
        switch step {
        case .firstRound, .stopped, .beforeArrival:
            try await pair.sourceRuns()
            try await pair.destinationWaits()
        case .atArrival:
            try await pair.sourceRuns()
            #expect(pair.destination.hasEnded)
        case .arrived:
            try await pair.destinationRuns()
            let isStill = pair.source.threads().allSatisfy(\.isStopped)
            #expect(isStill)
        }
    }

    @Test("a destination whose answer is lost is ended before the source goes on")
    func lostAnswer() async throws {
        let pair = try await MovedGuest()
        let failure = await pair.move(at: .atArrival, losesConnection: true) {}
        #expect(failure?.kind == .guest)
        #expect(
            failure?.description.contains(
                "the destination's process \(pair.destination.processID) was ended, since nobody "
                    + "could tell whether it ran, and the guest runs on in process "
                    + "\(pair.source.processID)") == true)
        #expect(pair.destination.hasEnded)
        try await pair.sourceRuns()
    }

    @Test("a destination that does not wait for memory is refused before anything is sent")
    func runningDestination() async throws {
        let pair = try await MovedGuest(isIncoming: false)
        let failure = await pair.move(at: .arrived) {}
        #expect(failure?.kind == .guest)
        #expect(failure?.description.contains("does not wait for memory") == true)
        try await pair.sourceRuns()
    }
}

/// A guest that runs, and a process that waits for its memory.
final class MovedGuest: Sendable {
    let source: ProcessHandle
    let destination: ProcessHandle
    private let test: TestGuest
    private let folder: TemporaryFolder
    private let program: ChildProcess

    init(isIncoming: Bool = true) async throws {
        test = try await TestGuest(pages: 64)
        folder = try TemporaryFolder()
        program = try await TestGuest.start(folder, pages: 64, incoming: isIncoming)
        source = try ProcessHandle(test.guest.processID)
        let guest = try ProcessGuest.connect(to: folder.file("guest"))
        destination = try ProcessHandle(guest.processID)
    }

    /// Moves the guest, and does something at a step.
    ///
    /// - Returns: The failure.
    func move(
        at last: ProcessMove.Step, losesConnection: Bool = false,
        _ body: @escaping @Sendable () -> Void
    ) async -> MigrationError? {
        do {
            let arrival = try ProcessGuest.connect(to: folder.file("guest"))
            var move = ProcessMove(from: test.guest, to: arrival, ProcessMove.Options())
            move.onStep = { step in
                guard step == last else { return }
                if losesConnection { arrival.socket.shutdown(.both) }
                body()
            }
            _ = try await move.run { _ in }
            return nil
        } catch {
            return error
        }
    }

    /// Starts a process that moves the guest and is killed at a step.
    func mover(until step: ProcessMove.Step) throws -> ChildProcess {
        // A guest serves one mover at a time.
        test.guest.socket.shutdown(.both)
        return try ChildProcess(
            TestGuest.path("guest-program"),
            ["move", test.folder.file("guest"), folder.file("guest"), step.rawValue])
    }

    /// Kills a process and waits for its end.
    func end(_ process: ProcessHandle) {
        try? process.signal(SIGKILL)
        _ = process.waitForEnd(within: TestGuest.limit)
    }

    func sourceRuns() async throws {
        try await test.runs()
        let isStill = source.threads().contains(where: \.isStopped)
        #expect(!isStill)
    }

    func destinationRuns() async throws {
        try await program.line { $0 == "ARRIVED" }
        #expect(!destination.hasEnded)
    }

    /// Whether the destination's process waits for memory as before.
    func destinationWaits() async throws {
        let guest = try ProcessGuest.connect(to: folder.file("guest"))
        #expect(guest.awaitsArrival)
    }
}
