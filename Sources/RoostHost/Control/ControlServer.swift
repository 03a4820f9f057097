internal import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOCore
internal import NIOPosix
internal import RoostSystem
public import ServiceLifecycle
internal import SystemPackage

/// The control socket of a long-running command: a small JSON API over HTTP.
///
/// `GET /v1/<kind>` answers a snapshot, `POST /v1/<kind>/<command>` has a command carried out;
/// whatever goes wrong is answered as `{"error": "one sentence"}`. The socket has mode 0600 from
/// the moment it exists, and its other end must be this user or root. It is there from the
/// initializer on, so that of two with one name the second fails before it does any work; it is
/// answered while ``run()`` runs, and gone afterwards.
public struct ControlServer: Service {
    /// Connections served at a time; others wait.
    static let connectionLimit = 32
    /// How long a connection may say nothing.
    static let idleTimeout = TimeAmount.seconds(10)
    /// How long requests under way may take once the server is to end.
    static let grace = Duration.seconds(1)
    /// The most bytes of a request's body.
    static let bodyLimit = 64 << 10
    /// The most bytes of a request's head, and of one field of it; clients of ours send 100.
    static let headLimit = 8 << 10

    /// Whose socket it is.
    public let name: ControlName
    /// Where the socket is.
    public let path: String
    private let listener: TransportListener
    private let http: HTTP1Channel
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
        let routes = ControlRoutes(
            name.kind, commands, logger, snapshot: { try ControlJSON.encode(await snapshot()) })
        http = HTTP1Channel(
            responder: { request, writer, channel in
                let response = await routes.respond(to: request, on: channel)
                try await writer.write(response: response.head, body: response.body)
            },
            configuration: HTTP1Channel.Configuration(
                idleTimeout: Self.idleTimeout,
                httpDecoderConfiguration: HTTP1Channel.Configuration.DecoderConfiguration(
                    maxHeaderFieldSize: Self.headLimit, maxHeaderListSize: Self.headLimit,
                    maxHeaderFieldCount: 64)))
    }

    /// Answers until the task is cancelled or shut down gracefully, then removes the socket.
    ///
    /// Requests under way at a graceful shutdown have a second to end.
    public func run() async {
        await withGracefulShutdownHandler {
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
        } onGracefulShutdown: {
            Task { await listener.close() }
        }
    }

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
            let channel = try await ControlSocket.channel(over: socket) { channel in
                http.setup(channel: channel, logger: logger)
            }
            await http.handle(value: channel, logger: logger)
        } catch {
            logger.warning("control socket \(path): cannot serve a connection: \(error)")
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
