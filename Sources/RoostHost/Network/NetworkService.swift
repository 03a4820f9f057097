public import Logging
public import RoostRouter

/// Runs a router under its name, with a control socket.
public struct NetworkService: Sendable {
    private let configuration: RouterConfiguration
    private let name: String
    private let directory: RunDirectory
    private let logger: Logger

    /// Describes a service.
    ///
    /// - Parameters:
    ///   - configuration: What the router is to be.
    ///   - name: Its name.
    ///   - directory: Where its control socket goes.
    ///   - logger: Where to tell what happens.
    public init(
        _ configuration: RouterConfiguration, name: String, in directory: RunDirectory,
        logger: Logger
    ) {
        self.configuration = configuration
        self.name = name
        self.directory = directory
        self.logger = logger
    }

    /// Forwards until the task is cancelled, the router is told to stop or fails.
    ///
    /// - Parameter started: Is told the control socket's path once frames are taken.
    /// - Throws: `HostError` when another router has the name, `RouterError` when it cannot start or
    ///   fails.
    public func run(started: @Sendable (String) -> Void = { _ in }) async throws {
        let (configuration, name, logger) = (configuration, name, logger)
        let run = ControlledRun(try ControlName(.net, name), in: directory, logger: logger)
        _ = try await run.run {
            try await NetworkEngine(configuration, name: name, logger: logger)
        } started: { _, path in
            started(path)
        }
    }

    /// The name of the one router that runs.
    ///
    /// - Parameter directory: Where control sockets are.
    /// - Returns: Its name.
    /// - Throws: `HostError` of kind `absent` when none runs, or several do.
    public static func onlyName(in directory: RunDirectory) throws(HostError) -> ControlName {
        let names = directory.names(of: .net)
        guard let name = names.first else {
            throw HostError(
                .absent, "no router runs here: start one with 'roost net up FILE'")
        }
        guard names.count == 1 else {
            let list = names.map(\.name).joined(separator: ", ")
            throw HostError(.absent, "several routers run: name one of \(list) with --name")
        }
        return name
    }
}
