public import Logging
internal import RoostSystem
internal import SystemPackage

/// The control socket of a long-running command: a small JSON API over HTTP.
///
/// `GET /v1/<kind>` answers a snapshot, `POST /v1/<kind>/<command>` has a command carried out;
/// whatever goes wrong is answered as `{"error": "one sentence"}`. The socket has mode 0600 from
/// the moment it exists, and its other end must be this user or root. It is there from the
/// initializer on, so that of two with one name the second fails before it does any work; it is
/// answered while ``run()`` runs, and gone afterwards.
public struct ControlServer: Sendable {
    /// Connections served at a time; others wait.
    static let connectionLimit = 32
    /// How long requests under way may take once the server is to end.
    static let grace = Duration.seconds(1)

    /// Whose socket it is.
    public let name: ControlName
    /// Where the socket is.
    public let path: String
    private let listener: TransportListener
    private let routes: ControlRoutes
    private let logger: Logger

    /// Makes the socket.
    ///
    /// - Parameters:
    ///   - name: What is run.
    ///   - directory: The folder for the socket, made if it is missing.
    ///   - logger: Where to tell of connections that are refused.
    ///   - commands: What else can be asked for.
    ///   - snapshot: Tells the state; called once a request, on any thread.
    /// - Throws: `HostError` of kind `control`: somebody runs under this name, or the socket cannot
    ///   be made.
    public init<Snapshot: Encodable & Sendable>(
        _ name: ControlName, in directory: RunDirectory, logger: Logger,
        commands: [ControlCommand] = [],
        snapshot: @escaping @Sendable () async throws -> Snapshot
    ) async throws(HostError) {
        try directory.make()
        self.name = name
        self.logger = logger
        path = directory.socketPath(of: name)
        do {
            listener = try await TransportListener.listen(on: .unix(path: path), security: .none)
        } catch {
            throw Self.failure(error, name, path)
        }
        routes = ControlRoutes(
            name.kind, commands, snapshot: { try ControlJSON.encode(await snapshot()) })
    }

    /// Answers until the task is cancelled or ``end()`` is called, then removes the socket.
    ///
    /// Requests under way at that call have a second to end.
    public func run() async {
        await withTaskGroup(of: Ended.self) { group in
            var count = 0
            while let socket = await next() {
                if count == Self.connectionLimit {
                    _ = await group.next()
                } else {
                    count += 1
                }
                group.addTask {
                    await serve(socket)
                    return .connection
                }
            }
            await listener.close()
            group.addTask {
                try? await Task.sleep(for: Self.grace)
                return .grace
            }
            while count > 0, await group.next() == .connection { count -= 1 }
            group.cancelAll()
        }
    }

    /// Has ``run()`` take no more connections and return.
    public func end() async { await listener.close() }

    /// What a task of the server was.
    private enum Ended {
        case connection, grace
    }

    /// The next connection of somebody trusted; `nil` when the server is to end.
    private func next() async -> StreamSocket? {
        while !Task.isCancelled {
            do {
                return try await listener.accept { logger.warning("control socket \(path): \($0)") }
                    .socket
            } catch let error as SystemError where error.kind == .cancelled {
                return nil
            } catch {
                // Out of descriptors or threads: it may pass.
                logger.warning("control socket \(path): \(error)")
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
        return nil
    }

    private func serve(_ socket: StreamSocket) async {
        do {
            try await ControlConnection(socket: socket, routes: routes).serve()
        } catch {
            logger.debug("control socket \(path): a connection broke: \(error)")
        }
    }

    private static func failure(_ error: any Error, _ name: ControlName, _ path: String)
        -> HostError
    {
        guard let error = error as? SystemError else {
            return HostError(.control, path: path, "cannot make the socket of \(name): \(error)")
        }
        guard error.errno == .addressInUse else {
            return HostError(.control, path: path, errno: error.errno, error.description)
        }
        let process = Listener.process(at: path)
        return HostError(
            .control, path: path, errno: error.errno,
            "\(name) is run already\(process.map { " by process \($0)" } ?? ""), which answers on "
                + "\(path): stop it, or choose another name")
    }
}
