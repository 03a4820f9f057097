public import Logging
internal import RoostSystem
internal import Synchronization

/// Something that runs for long and can be asked how it is.
public protocol ControlledEngine: Sendable {
    /// How it is, as its control socket tells it.
    associatedtype Snapshot: Encodable & Sendable
    /// What it came to.
    associatedtype Outcome: Sendable

    /// How it is now; on any thread.
    func snapshot() async throws -> Snapshot

    /// Does its work until that ends or the task is cancelled, and has then let everything go.
    ///
    /// A cancelled engine returns or throws `CancellationError`; what else it throws, such as that
    /// its last writes could not be made durable, is told.
    func run() async throws -> Outcome

    /// What its control socket can be asked to do besides `stop`.
    ///
    /// - Parameter engine: The engine; throws what to answer while there is none.
    /// - Returns: The commands, each with a name of its own.
    static func commands(_ engine: @escaping @Sendable () throws -> Self) -> [ControlCommand]
}

extension ControlledEngine {
    /// Nothing.
    public static func commands(
        _ engine: @escaping @Sendable () throws -> Self
    ) -> [ControlCommand] { [] }
}

/// Runs an engine behind a control socket of its name.
public struct ControlledRun: Sendable {
    private let name: ControlName
    private let directory: RunDirectory
    private let logger: Logger

    /// Describes a run.
    ///
    /// - Parameters:
    ///   - name: What is run.
    ///   - directory: Where its socket goes.
    ///   - logger: Where to tell of connections that are refused.
    public init(_ name: ControlName, in directory: RunDirectory, logger: Logger) {
        self.name = name
        self.directory = directory
        self.logger = logger
    }

    /// Takes the name, makes the engine and runs it.
    ///
    /// A service manager that asks is told when the engine is about to run, and when it ends.
    /// Ends with the engine, by cancelling the task, or by `POST /v1/<kind>/stop`; the socket is
    /// gone then.
    ///
    /// - Parameters:
    ///   - prepare: Makes the engine, once the name is ours; a second process of the name has not
    ///     touched anything by then.
    ///   - started: Is told the socket's path when the engine is about to run.
    /// - Returns: What the engine came to; `nil` when it was stopped.
    /// - Throws: `HostError` when the name is taken, and what the engine throws.
    public func run<Engine: ControlledEngine>(
        _ prepare: @Sendable () async throws -> Engine,
        started: @Sendable (Engine, String) -> Void = { _, _ in }
    ) async throws -> Engine.Outcome? {
        let (stops, stop) = AsyncStream.makeStream(of: Void.self)
        let place = Place<Engine>()
        let engine: @Sendable () throws -> Engine = { [name] in
            guard let engine = place.engine.withLock({ $0 }) else {
                throw ControlRefusal("\(name) is being started: ask again")
            }
            return engine
        }
        let server = try await ControlServer(
            name, in: directory, logger: logger,
            commands: [.stop { stop.yield() }] + Engine.commands(engine),
            snapshot: { try await engine().snapshot() })
        return try await withThrowingTaskGroup(of: Ended<Engine.Outcome>.self) { group in
            group.addTask {
                await server.run()
                return .stopped
            }
            defer { group.cancelAll() }
            let engine: Engine
            do {
                engine = try await prepare()
            } catch is CancellationError {
                return nil
            }
            place.engine.withLock { $0 = engine }
            started(engine, server.path)
            ServiceManager.tell(.ready)
            defer { ServiceManager.tell(.stopping) }
            group.addTask { .ended(try await engine.run()) }
            group.addTask {
                for await _ in stops { break }
                return .stopped
            }
            var outcome: Engine.Outcome?
            while let ended = try await next(&group) {
                if case .ended(let value) = ended { outcome = value }
                group.cancelAll()
            }
            return outcome
        }
    }

    /// The next task's end; one that was cancelled has been stopped.
    private func next<Outcome>(
        _ group: inout ThrowingTaskGroup<Ended<Outcome>, any Error>
    ) async throws -> Ended<Outcome>? {
        do {
            return try await group.next()
        } catch is CancellationError {
            return .stopped
        }
    }

    private enum Ended<Outcome: Sendable>: Sendable {
        case ended(Outcome)
        case stopped
    }

    /// Where the engine is once there is one.
    private final class Place<Engine: Sendable>: Sendable {
        let engine = Mutex<Engine?>(nil)
    }
}
