internal import NIOCore
internal import NIOSSL
internal import NIOTLS

/// One side of a bridge, last in its channel's pipeline: what it reads, the other side writes.
///
/// Both sides are on one event loop. Nothing is read by itself: a side reads again once the other
/// has room for what it read, so at most one read's bytes wait beyond the write buffer's mark.
final class BridgeSide: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What the side speaks.
    enum Role {
        /// TLS: input ends when the peer says so (close_notify), and only then.
        case peer(Handshake, explain: HandshakeFailure)
        /// The engine's socket.
        case engine
    }

    /// Gives the peer's side once the connection is established, or why it was not.
    typealias Handshake = EventLoopPromise<NIOLoopBound<BridgeSide>>

    private let role: Role
    private var context: ChannelHandlerContext?
    private var other: BridgeSide?
    private var end: EngineEnd?
    private var isEstablished = false
    private var inputEnded = false
    /// What came with the end of the handshake, before there was another side: one read's worth.
    private var early: [ByteBuffer] = []
    /// What broke the connection before there was another side.
    private var earlyFailure: HostError?

    init(_ role: Role) {
        self.role = role
    }

    /// Joins two sides and starts to copy.
    ///
    /// - Throws: What broke the connection to the peer since the handshake.
    static func join(
        _ peer: BridgeSide, _ engine: BridgeSide, end: EngineEnd
    ) throws(HostError) {
        if let failure = peer.earlyFailure {
            engine.context?.close(promise: nil)
            throw failure
        }
        peer.other = engine
        engine.other = peer
        peer.end = end
        engine.end = end
        for buffer in peer.early {
            engine.context?.write(engine.wrapOutboundOut(buffer), promise: nil)
        }
        peer.early = []
        engine.context?.flush()
        if peer.inputEnded { engine.context?.close(mode: .output, promise: nil) }
        peer.context?.read()
        engine.context?.read()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive, case .peer = role { context.read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        other = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        // The handshake reads; the TLS handler reads on until it has something for us.
        if case .peer = role { context.read() }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let other else {
            early.append(unwrapInboundIn(data))
            return
        }
        guard let target = other.context else { return }
        target.write(wrapOutboundOut(unwrapInboundIn(data)), promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard let target = other?.context else { return }
        target.flush()
        if target.channel.isWritable { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { other?.context?.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted:
            isEstablished = true
            if case .peer(let handshake, _) = role {
                handshake.succeed(NIOLoopBound(self, eventLoop: context.eventLoop))
            }
        case ChannelEvent.inputClosed, TLSUserEvent.shutdownCompleted:
            // The second comes alone where the peer closes after us: TLS closes the channel then.
            // What was read before is in the other's buffer, and is sent before its end.
            guard !inputEnded else { return }
            inputEnded = true
            other?.context?.close(mode: .output, promise: nil)
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        broke(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch role {
        case .peer where !inputEnded: broke(nil)
        case .peer: break
        case .engine:
            // The engine's end is closed, so nobody takes what the peer sends.
            if !inputEnded { other?.context?.close(promise: nil) }
        }
    }

    /// The connection to the peer failed: the engine is told by a reset.
    private func broke(_ error: (any Error)?) {
        guard case .peer(let handshake, let explain) = role else {
            // The engine closed its end with bytes on the way to it.
            other?.context?.close(promise: nil)
            return
        }
        guard isEstablished else {
            // The leaf that was refused is known while the channel is being closed.
            let peer = context.flatMap { Self.peerCertificate(of: $0) }
            handshake.fail(explain.error(for: error, peer: peer))
            return
        }
        let failure = explain.interruption(by: error)
        if let end { end.fail(failure) } else { earlyFailure = earlyFailure ?? failure }
        // At once, before the engine's side can read the byte that makes this a reset.
        other?.context?.triggerUserOutboundEvent(FlushBeforeClose.Abandon.now, promise: nil)
        other?.context?.close(promise: nil)
    }

    private static func peerCertificate(of context: ChannelHandlerContext) -> NIOSSLCertificate? {
        let handler = try? context.pipeline.syncOperations.handler(type: NIOSSLHandler.self)
        return handler?.peerCertificate
    }
}
