public import Logging
public import RoostRouter
internal import RoostSystem

/// A running router, and what its control socket can be asked.
public final class NetworkEngine: ControlledEngine {
    private let router: Router
    private let name: String

    /// Starts a router.
    ///
    /// - Parameters:
    ///   - configuration: What it is to be.
    ///   - name: Its name.
    ///   - logger: Where to tell what happens.
    /// - Throws: `RouterError`, for instance when a device cannot be opened; `CancellationError` when the
    ///   task is cancelled, and nothing is left open then.
    public init(_ configuration: RouterConfiguration, name: String, logger: Logger) async throws {
        self.name = name
        let stop = try StopSignal()
        do {
            router = try await withTaskCancellationHandler {
                try await DedicatedThread.run(name: "net-start") {
                    try Router.start(configuration, logger: logger) { stop.isRaised }
                }
            } onCancel: {
                stop.raise()
            }
        } catch let error as RouterError where error.kind == .cancelled {
            throw CancellationError()
        }
    }

    deinit { router.requestStop() }

    /// Forwards until the task is cancelled or the router fails.
    public func run() async throws {
        let router = router
        try await withTaskCancellationHandler {
            try await DedicatedThread.run(name: "net-end") { try router.waitForEnd() }
        } onCancel: {
            router.requestStop()
        }
    }

    /// How it is now.
    public func snapshot() async throws -> NetworkSnapshot {
        let router = router
        let state = try await Self.asking { try router.snapshot() }
        return NetworkSnapshot(state, name: name, processID: ThisProcess.processID)
    }

    /// What it can be asked besides.
    public static func commands(
        _ engine: @escaping @Sendable () throws -> NetworkEngine
    ) -> [ControlCommand] {
        tables(engine) + [
            ControlCommand("flush", taking: NetworkFlushRequest.self) { request in
                let router = try engine().router
                let selector = try request.selector()
                let result = try await asking { try router.flush(selector) }
                return NetworkFlushed(
                    exceptions: result.exceptions, neighbours: result.neighbours)
            },
            ControlCommand("port", taking: NetworkPortRequest.self) { request in
                let router = try engine().router
                guard let change = PortChange(rawValue: request.change) else {
                    throw HostError(
                        .network,
                        "'\(request.change)' cannot be done to a port: say up, down or "
                            + "remove")
                }
                return NetworkPortChange(
                    try await asking { try router.setPort(request.port, change) })
            },
            ControlCommand("trace", taking: NetworkTraceRequest.self) { request in
                let router = try engine().router
                let kinds = Set(request.kinds.compactMap(TraceKind.init))
                let batch = try await asking {
                    try router.trace(
                        kinds, after: request.after, limit: NetworkTraceRequest.recordLimit)
                }
                return NetworkTraceBatch(batch)
            },
        ]
    }

    private static func tables(
        _ engine: @escaping @Sendable () throws -> NetworkEngine
    ) -> [ControlCommand] {
        [
            table("routes", engine, { try $0.routes(in: $1, limit: $2) }, NetworkRoute.init),
            table(
                "destinations", engine, { try $0.destinations(in: $1, limit: $2) },
                NetworkDestination.init),
            table(
                "neighbours", engine, { try $0.neighbours(in: $1, limit: $2) },
                NetworkNeighbour.init),
        ]
    }

    private static func table<Row: Sendable, Told: Codable & Equatable & Sendable>(
        _ name: String, _ engine: @escaping @Sendable () throws -> NetworkEngine,
        _ list: @escaping @Sendable (Router, String?, Int) throws -> Listing<Row>,
        _ tell: @escaping @Sendable (Row) -> Told
    ) -> ControlCommand {
        ControlCommand(name, taking: NetworkTableRequest.self) { request in
            let router = try engine().router
            let limit = min(max(request.limit, 0), NetworkTableRequest.rowLimit)
            let listing = try await asking { try list(router, request.namespace, limit) }
            return try NetworkListing(fitting: listing.rows.map(tell), total: listing.total)
        }
    }

    /// Asks the router on a thread of its own, since its answer may take a while.
    private static func asking<Answer: Sendable>(
        _ question: @escaping @Sendable () throws -> Answer
    ) async throws -> Answer {
        try await DedicatedThread.run(name: "net-ask", question)
    }
}
