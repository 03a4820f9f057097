internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import SystemPackage

/// Accepts TLS connections, each as a ``TLSBridge``.
public final class TLSListener: Sendable {
    /// Connections that wait for ``accept()``, made or failed; further ones are closed at once.
    static let waitingLimit = 16

    private let channel: any Channel
    private let arrivals: AsyncStream<Result<TLSBridge, HostError>>

    /// The TCP port: that asked for, or the one the system chose for 0.
    public let port: Int

    /// Listens for TLS clients that show a certificate of the identity's authority.
    ///
    /// - Parameters:
    ///   - host: The name or address to listen on, such as `::` for all.
    ///   - port: The TCP port; 0 for any that is free.
    ///   - identity: Who we are, and whom we trust.
    /// - Returns: A listener, which accepts from now on.
    /// - Throws: `HostError` of kind `connection`.
    public static func listen(
        host: String, port: Int, identity: TLSIdentity
    ) async throws(HostError) -> TLSListener {
        let (arrivals, arrived) = AsyncStream.makeStream(
            of: Result<TLSBridge, HostError>.self, bufferingPolicy: .bufferingOldest(waitingLimit))
        let loops = try EventLoops.shared()
        do {
            let channel = try await ServerBootstrap(group: loops)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.autoRead, value: false)
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try welcome(channel, identity, arrived)
                    }
                }
                .bind(host: host, port: port).get()
            channel.closeFuture.whenComplete { _ in arrived.finish() }
            return TLSListener(channel, port: channel.localAddress?.port ?? port, arrivals)
        } catch {
            let errno = (error as? IOError).map { Errno(rawValue: $0.errnoCode) }
            throw HostError(
                .connection, errno: errno,
                "cannot listen on \(host):\(port): \(errno.map { "\($0)" } ?? "no such host"); "
                    + "give an address of this host and a port that is free")
        }
    }

    private init(
        _ channel: any Channel, port: Int, _ arrivals: AsyncStream<Result<TLSBridge, HostError>>
    ) {
        self.channel = channel
        self.port = port
        self.arrivals = arrivals
    }

    deinit {
        channel.close(promise: nil)
    }

    /// Starts the handshake with a client; however it ends, that is what arrives.
    private static func welcome(
        _ channel: any Channel, _ identity: TLSIdentity,
        _ arrived: AsyncStream<Result<TLSBridge, HostError>>.Continuation
    ) throws {
        let address = channel.remoteAddress
        let peer = address.map { "\($0.ipAddress ?? ""):\($0.port ?? 0)" } ?? "a client"
        let explain = HandshakeFailure(
            peer: peer, host: nil, authorityPath: identity.authorityPath, own: identity.leaf)
        let handshake = channel.eventLoop.makePromise(of: NIOLoopBound<BridgeSide>.self)
        try TLSBridge.addHandlers(
            NIOSSLServerHandler(context: identity.server), to: channel, handshake, explain)
        handshake.futureResult.whenComplete { _ in
            Task {
                do throws(HostError) {
                    arrived.yield(
                        .success(try await TLSBridge.establish(channel, handshake, explain)))
                } catch {
                    arrived.yield(.failure(error))
                }
            }
        }
    }

    /// The next client whose handshake has ended.
    ///
    /// A client that is refused does not end the listening: call again for the next. One that is
    /// slow does not keep others waiting. Cancelling the task ends the listener.
    ///
    /// - Returns: A bridge over the established connection.
    /// - Throws: `HostError` of kind `verification`, `refused` or `connection` for a client that
    ///   failed; of kind `cancelled` when the listener was closed.
    public func accept() async throws(HostError) -> TLSBridge {
        for await arrival in arrivals {
            return try arrival.get()
        }
        throw HostError(.cancelled, "no longer listening for TLS connections")
    }

    /// Stops listening; bridges that were accepted go on.
    public func close() async {
        try? await channel.close().get()
    }
}
