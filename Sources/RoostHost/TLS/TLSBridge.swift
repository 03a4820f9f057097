internal import NIOCore
internal import NIOPosix
internal import NIOSSL
public import SystemPackage

/// A TLS 1.3 connection, given to an engine as a plain connected socket.
///
/// Engines block on descriptors and know nothing of TLS. The bridge owns the TCP connection and
/// gives the engine one end of a pair of unix sockets; bytes are copied both ways, no faster than
/// they are taken. Both sides show a certificate and verify the other's.
///
///     let bridge = try await TLSBridge.connect(host: "b.example", port: 4444, identity: identity)
///     … an engine reads and writes bridge.descriptor on a thread of its own …
///     await bridge.close()
///     if let failure = bridge.failure { … }
///
/// The end of input travels both ways as a half close: `shutdown(SHUT_WR)` by the engine becomes
/// TLS's closing message, and the peer's becomes the end of the engine's input. Any other end of
/// the connection is told to the engine as a reset (`ECONNRESET` on reading, `EPIPE` on writing),
/// after ``failure`` was set. The exception is an engine that has ended its own sending: it reads
/// an end of input, so whoever waits for an answer then asks ``failure`` before believing it.
///
/// A client whose certificate the server refuses learns of it on first reading: in TLS 1.3 its
/// handshake is over before the server has looked.
public final class TLSBridge: Sendable {
    /// How long connecting and the handshake may each take: a peer that is silent gives up then.
    static let handshakeLimit = TimeAmount.seconds(10)
    /// How long ``close()`` waits for what is on its way and for the peer's own closing.
    static let closeLimit = TimeAmount.seconds(5)

    private let end: EngineEnd
    private let peer: any Channel
    private let engine: any Channel

    /// The engine's end: a connected stream socket that blocks.
    ///
    /// The bridge owns it, until ``close()``; an engine ends its sending by `shutdown(2)`, and
    /// does not close it. A process that writes to it ignores `SIGPIPE`.
    public var descriptor: SystemPackage.FileDescriptor { end.descriptor }

    /// Why the connection broke; `nil` while it works and after it ended as it should.
    public var failure: HostError? { end.failure }

    /// Connects to a TLS server and verifies its certificate and name.
    ///
    /// - Parameters:
    ///   - host: The peer's name or address, which its certificate must carry.
    ///   - port: The peer's TCP port.
    ///   - identity: Who we are, and whom we trust.
    /// - Returns: A bridge over the established connection.
    /// - Throws: `HostError` of kind `connection`, `verification` or `refused`.
    public static func connect(
        host: String, port: Int, identity: TLSIdentity
    ) async throws(HostError) -> TLSBridge {
        let loop = try EventLoops.shared().next()
        let explain = HandshakeFailure(
            peer: "\(host):\(port)", host: host, authorityPath: identity.authorityPath,
            own: identity.leaf)
        let handshake = loop.makePromise(of: NIOLoopBound<BridgeSide>.self)
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: loop)
                .connectTimeout(handshakeLimit)
                .channelOption(.autoRead, value: false)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let tls = try NIOSSLClientHandler(
                            context: identity.client, serverHostname: isAddress ? nil : host)
                        try addHandlers(tls, to: channel, handshake, explain)
                    }
                }
                .connect(host: host, port: port).get()
        } catch {
            let failure = connectionFailure(error, host: host, port: port)
            handshake.fail(failure)
            throw failure
        }
        return try await establish(channel, handshake, explain)
    }

    /// Puts TLS and the peer's side of a bridge into a new TCP channel; call on its event loop.
    static func addHandlers(
        _ tls: some ChannelHandler, to channel: any Channel,
        _ handshake: BridgeSide.Handshake, _ explain: HandshakeFailure
    ) throws {
        let side = BridgeSide(.peer(handshake, explain: explain))
        try channel.pipeline.syncOperations.addHandlers([FlushBeforeClose(), tls, side])
        channel.eventLoop.scheduleTask(in: handshakeLimit) {
            handshake.fail(
                HostError(
                    .connection,
                    "\(explain.peer) did not finish the TLS handshake in 10 seconds: check that "
                        + "it is a TLS port and that the host is not overloaded"))
        }
    }

    /// Waits for the handshake, and joins the connection to a new pair of sockets.
    static func establish(
        _ peer: any Channel, _ handshake: BridgeSide.Handshake, _ explain: HandshakeFailure
    ) async throws(HostError) -> TLSBridge {
        do {
            let side = try await handshake.futureResult.get()
            let (end, ours) = try EngineEnd.makePair()
            let engine = try await ClientBootstrap(group: peer.eventLoop)
                .channelOption(.autoRead, value: false)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandlers(
                            FlushBeforeClose(), BridgeSide(.engine))
                    }
                }
                .withConnectedSocket(ours.rawValue).get()
            try await peer.eventLoop.submit {
                try BridgeSide.join(
                    side.value, engine.pipeline.syncOperations.handler(type: BridgeSide.self),
                    end: end)
            }.get()
            return TLSBridge(end: end, peer: peer, engine: engine)
        } catch {
            peer.close(promise: nil)
            throw explain.error(for: error, peer: nil)
        }
    }

    private init(end: EngineEnd, peer: any Channel, engine: any Channel) {
        self.end = end
        self.peer = peer
        self.engine = engine
    }

    deinit {
        end.close()
        Self.abandon(peer)
        Self.abandon(engine)
    }

    /// Closes a channel whatever waits to be written.
    private static func abandon(_ channel: any Channel) {
        channel.triggerUserOutboundEvent(FlushBeforeClose.Abandon.now, promise: nil)
        channel.close(promise: nil)
    }

    /// Ends the connection and closes ``descriptor``, which the engine no longer uses.
    ///
    /// What the engine wrote is sent first. Waits at most five seconds for that and for the peer
    /// to close too; ``failure`` says so where it did not.
    public func close() async {
        end.endSending()
        let end = end
        let peer = peer
        let engine = engine
        let limit = peer.eventLoop.scheduleTask(in: Self.closeLimit) {
            end.fail(
                HostError(
                    .interrupted,
                    "the peer did not close the connection within 5 seconds of this host, so "
                        + "what was sent last may not have arrived: check the peer"))
            Self.abandon(peer)
            Self.abandon(engine)
        }
        _ = try? await peer.closeFuture.get()
        limit.cancel()
        Self.abandon(engine)
        _ = try? await engine.closeFuture.get()
        end.close()
    }

    private static func connectionFailure(
        _ error: any Error, host: String, port: Int
    ) -> HostError {
        if let error = error as? HostError { return error }
        let errors = (error as? NIOConnectionError)?.connectionErrors.map { $0.error } ?? [error]
        let errno = errors.lazy.compactMap { ($0 as? IOError)?.errnoCode }.first
            .map { Errno(rawValue: $0) }
        let why = errno.map { "\($0)" } ?? (errors.isEmpty ? "no such host" : "no answer")
        return HostError(
            .connection, errno: errno,
            "cannot connect to \(host):\(port): \(why); check the name and port, and that the "
                + "peer is listening")
    }
}
