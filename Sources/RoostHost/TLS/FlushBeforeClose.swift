internal import NIOCore

/// Lets a channel's writes reach the kernel before it is closed; first in its pipeline.
///
/// NIO drops what still waits when a channel whose input has ended closes its output: the end of
/// a stream, or TLS's closing message. ``Abandon`` closes without waiting.
final class FlushBeforeClose: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// An outbound event: what waits is not worth waiting for.
    enum Abandon { case now }

    private var waiting = 0
    private var isAbandoned = false
    private var closes: [(mode: CloseMode, promise: EventLoopPromise<Void>?)] = []

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let written = promise ?? context.eventLoop.makePromise()
        waiting += 1
        written.futureResult.assumeIsolated().whenComplete { _ in
            self.waiting -= 1
            self.closeIfDone(context)
        }
        context.write(data, promise: written)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        closes.append((mode, promise))
        closeIfDone(context)
    }

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
    ) {
        guard event is Abandon else {
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        isAbandoned = true
        promise?.succeed()
        closeIfDone(context)
    }

    private func closeIfDone(_ context: ChannelHandlerContext) {
        guard waiting == 0 || isAbandoned else { return }
        while !closes.isEmpty {
            let (mode, promise) = closes.removeFirst()
            context.close(mode: mode, promise: promise)
        }
    }
}
