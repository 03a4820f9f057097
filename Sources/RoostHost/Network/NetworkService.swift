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

    /// The router that is meant.
    ///
    /// - Parameters:
    ///   - name: Its name; nil for the one that runs.
    ///   - directory: Where control sockets are.
    /// - Returns: Its name among them.
    /// - Throws: `HostError` of kind `absent` when none of the name runs, or none at all, or several do.
    public static func controlName(
        _ name: String?, in directory: RunDirectory
    ) throws(HostError) -> ControlName {
        let names = directory.names(of: .net)
        let list = names.prefix(8).map(\.name).joined(separator: ", ")
        guard let first = names.first else {
            let option = name.map { " --name \($0)" } ?? ""
            throw HostError(
                .absent,
                "no router runs here (\(directory.path)): start one with 'roost net up "
                    + "FILE\(option)', or ask as the user who runs it")
        }
        guard let name else {
            guard names.count == 1 else {
                throw HostError(.absent, "several routers run: choose one with --name: \(list)")
            }
            return first
        }
        let wanted = try ControlName(.net, name)
        guard names.contains(wanted) else {
            throw HostError(
                .absent,
                "no router '\(name)' runs here (\(directory.path)): give one with --name: \(list); "
                    + "or start it with 'roost net up FILE --name \(name)'")
        }
        return wanted
    }
}
