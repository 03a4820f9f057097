import Foundation
import RoostHost
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct ControlledRunTests {
    /// An engine that runs until its test lets it end.
    final class Engine: ControlledEngine {
        let ends: AsyncStream<Result<Int, HostError>>
        let end: AsyncStream<Result<Int, HostError>>.Continuation
        let hasEnded = Mutex(false)

        init() {
            (ends, end) = AsyncStream.makeStream()
        }

        func snapshot() async -> ControlRig.State { ControlRig.State(words: ["up"], count: 7) }

        func run() async throws -> Int {
            defer { hasEnded.withLock { $0 = true } }
            for await outcome in ends { return try outcome.get() }
            throw CancellationError()
        }
    }

    let rig: ControlRig
    let name: ControlName
    let engine = Engine()

    init() throws {
        rig = try ControlRig()
        name = try ControlName(.disk, "web1")
    }

    private func start(_ started: @escaping @Sendable () -> Void) -> Task<Int?, any Error> {
        let run = ControlledRun(name, in: rig.directory, logger: rig.logger)
        let engine = engine
        return Task { try await run.run({ engine }, started: { _, _ in started() }) }
    }

    private func whileRunning(
        _ body: (Task<Int?, any Error>) async throws -> Void
    ) async throws {
        let (starts, started) = AsyncStream.makeStream(of: Void.self)
        let running = start { started.yield() }
        for await _ in starts { break }
        try await body(running)
        #expect(engine.hasEnded.withLock { $0 })
        #expect(rig.files == [])
    }

    @Test func `the outcome is the engine's, and the socket goes with it`() async throws {
        try await whileRunning { running in
            let state = try await rig.client.snapshot(ControlRig.State.self, of: name)
            #expect(state.count == 7)
            engine.end.yield(.success(42))
            let outcome = try await running.value
            #expect(outcome == 42)
        }
    }

    @Test func `stop ends the engine without an outcome`() async throws {
        try await whileRunning { running in
            _ = try await rig.client.perform("stop", at: name)
            let outcome = try await running.value
            #expect(outcome == nil)
        }
    }

    @Test func `cancelling ends the engine without an outcome`() async throws {
        try await whileRunning { running in
            running.cancel()
            let outcome = try await running.value
            #expect(outcome == nil)
        }
    }

    @Test func `a failure of the engine is the run's, and the socket goes with it`() async throws {
        try await whileRunning { running in
            let failure = try #require(throws: HostError.self) {
                _ = try DiskNodes.device(named: "?")
            }
            engine.end.yield(.failure(failure))
            let error = await #expect(throws: HostError.self) { _ = try await running.value }
            #expect(error == failure)
        }
    }

    @Test func `the second of one name makes no engine`() async throws {
        try await whileRunning { running in
            let second = ControlledRun(name, in: rig.directory, logger: rig.logger)
            let made = Mutex(false)
            await #expect(throws: HostError.self) {
                _ = try await second.run {
                    made.withLock { $0 = true }
                    return Engine()
                }
            }
            #expect(!made.withLock { $0 })
            engine.end.yield(.success(1))
            _ = try await running.value
        }
    }

    @Test func `an engine that cannot be made leaves no socket`() async throws {
        let run = ControlledRun(name, in: rig.directory, logger: rig.logger)
        await #expect(throws: HostError.self) {
            _ = try await run.run { () -> Engine in
                _ = try DiskNodes.device(named: "?")
                return Engine()
            }
        }
        #expect(rig.files == [])
    }
}
