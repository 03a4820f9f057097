package import RoostSystem
internal import SystemPackage

/// How connections between hosts are protected.
package enum TransportSecurity: Sendable {
    /// TLS with a certificate on either side.
    case tls(TLSIdentity)
    /// Nothing: whoever reaches the port is believed.
    case none
}

/// A connection to the other end of a move, over whatever carries it.
package struct Connection: Sendable {
    /// The engine's end.
    package let socket: StreamSocket
    private let bridge: TLSBridge?

    init(_ socket: StreamSocket) {
        self.socket = socket
        bridge = nil
    }

    init(_ bridge: TLSBridge) throws(HostError) {
        do {
            socket = StreamSocket(OwnedDescriptor(try bridge.descriptor.duplicate()))
        } catch {
            throw HostError(.connection, "cannot take over the TLS connection: \(error)")
        }
        self.bridge = bridge
    }

    /// Why TLS broke, where it did.
    package var failure: HostError? { bridge?.failure }

    /// Ends the connection, when the engine is done with it.
    package func close() async {
        await bridge?.close()
    }

    /// Connects to an endpoint: over TLS to a TCP one, unless it is to be without; a unix
    /// socket's owner must be this user or root.
    ///
    /// - Parameters:
    ///   - endpoint: Where the other end listens.
    ///   - security: How a TCP connection is protected.
    ///   - linkTimeout: After how long a peer that takes no bytes counts as gone.
    /// - Returns: The connection.
    /// - Throws: `HostError` or `SystemError`, one sentence each.
    package static func connect(
        to endpoint: Endpoint, security: TransportSecurity, linkTimeout: Duration = .seconds(10)
    ) async throws -> Connection {
        try checkDescriptors()
        switch (endpoint, security) {
        case (.tcp(let host, let port), .tls(let identity)):
            return try Connection(
                try await TLSBridge.connect(
                    host: host, port: Int(port), identity: identity, linkTimeout: linkTimeout))
        case (.unix, _):
            let socket = try await blocking { try StreamSocket.connect(to: endpoint) }
            try socket.checkPeerIsTrusted()
            return Connection(socket)
        case (.tcp, .none):
            return Connection(try await blocking { try StreamSocket.connect(to: endpoint) })
        }
    }

    /// What a move opens at most, beside the threads of TLS: sockets, events, a file, memory.
    private static let descriptorsPerMove = 16

    /// Refuses a move that would run out of descriptors when it is under way.
    fileprivate static func checkDescriptors() throws(HostError) {
        if let shortage = DescriptorLimit.shortage(of: descriptorsPerMove) {
            throw HostError(.connection, errno: .tooManyOpenFiles, shortage)
        }
    }

    fileprivate static func blocking<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await DedicatedThread.run(name: "roost-connect") { try body() }
    }
}

/// Listens on an endpoint for one end of a move.
package struct TransportListener: Sendable {
    private enum Kind {
        case plain(Listener)
        case tls(TLSListener)
    }

    private let kind: Kind

    /// The endpoint, with the port that was really taken.
    package let endpoint: Endpoint

    /// Begins to listen.
    ///
    /// - Parameters:
    ///   - endpoint: Where. A unix socket gets mode 0600.
    ///   - security: How a TCP connection is protected.
    ///   - linkTimeout: After how long a TLS client that takes no bytes counts as gone.
    /// - Returns: The listener.
    /// - Throws: `HostError` or `SystemError`, one sentence each.
    package static func listen(
        on endpoint: Endpoint, security: TransportSecurity, linkTimeout: Duration = .seconds(10)
    ) async throws -> TransportListener {
        try Connection.checkDescriptors()
        if case .tcp(let host, let port) = endpoint, case .tls(let identity) = security {
            let listener = try await TLSListener.listen(
                host: host, port: Int(port), identity: identity, linkTimeout: linkTimeout)
            return TransportListener(
                kind: .tls(listener),
                endpoint: .tcp(host: host, port: UInt16(exactly: listener.port) ?? port))
        }
        let listener = try Listener(on: endpoint)
        return TransportListener(kind: .plain(listener), endpoint: listener.endpoint)
    }

    /// Waits for a connection; cancelling the task ends the wait.
    ///
    /// A unix socket's peer must be this user or root, a TLS client must show a certificate that
    /// the authority signed; another is turned away and the wait goes on.
    ///
    /// - Parameter refused: Is told who was turned away.
    /// - Returns: The connection.
    /// - Throws: `HostError` or `SystemError`.
    package func accept(refused: @Sendable (any Error) -> Void) async throws -> Connection {
        switch kind {
        case .tls(let listener):
            return try await withTaskCancellationHandler {
                while true {
                    do throws(HostError) {
                        return try Connection(try await listener.accept())
                    } catch {
                        guard error.kind != .cancelled else { throw error }
                        refused(error)
                    }
                }
            } onCancel: {
                Task { await listener.close() }
            }
        case .plain(let listener):
            return try await withTaskCancellationHandler {
                while true {
                    let socket = try await Connection.blocking { try listener.accept() }
                    guard case .unix = endpoint else { return Connection(socket) }
                    do {
                        try socket.checkPeerIsTrusted()
                        return Connection(socket)
                    } catch {
                        refused(error)
                    }
                }
            } onCancel: {
                listener.stop()
            }
        }
    }

    /// Stops to listen; a unix socket's file goes away.
    package func close() async {
        switch kind {
        case .plain(let listener): listener.stop()
        case .tls(let listener): await listener.close()
        }
    }
}
