internal import NIOCore
internal import NIOHTTP1
internal import RoostSystem

/// One connection to a control socket, which carries one request and its answer.
struct ControlConnection: Sendable {
    /// How long a connection may say nothing of its request, or take nothing of the answer.
    static let idleTimeout = TimeAmount.seconds(10)
    /// The most bytes of a request's body.
    static let bodyLimit = 64 << 10
    /// The most bytes of a request's head, and of one field of it; clients of ours send 100.
    static let headLimit = 8 << 10

    private typealias Exchange = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    let socket: StreamSocket
    let routes: ControlRoutes

    /// Takes the request and answers it; cancelling the task ends it.
    ///
    /// - Throws: What NIO throws for a connection that breaks or is silent.
    func serve() async throws {
        let channel = try await ControlSocket.channel(over: socket) { channel in
            channel.eventLoop.makeCompletedFuture {
                var limits = NIOHTTPDecoderLimitConfiguration()
                limits.maxHeaderFieldSize = Self.headLimit
                limits.maxHeaderListSize = Self.headLimit
                limits.maxHeaderFieldCount = 64
                let pipeline = channel.pipeline.syncOperations
                try pipeline.addHandler(
                    IdleStateHandler(
                        readTimeout: Self.idleTimeout, writeTimeout: Self.idleTimeout))
                try pipeline.configureHTTPServerPipeline(
                    withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
                try pipeline.addHandler(SilenceLimit())
                return try Exchange(wrappingChannelSynchronously: channel)
            }
        }
        try await channel.executeThenClose { inbound, _ in
            guard let answer = try await answer(inbound) else { return }
            try await write(answer, to: channel.channel)
            answer.afterwards()
        }
    }

    /// Writes an answer, and returns when the kernel has all of it: closing drops what waits.
    private func write(_ answer: ControlAnswer, to channel: any Channel) async throws {
        let headers: HTTPHeaders = [
            "Content-Type": "application/json", "Content-Length": "\(answer.body.count)",
            "Connection": "close",
        ]
        let head = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
        let body = ByteBuffer(bytes: answer.body)
        let written = channel.eventLoop.makePromise(of: Void.self)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        channel.write(HTTPServerResponsePart.body(.byteBuffer(body)), promise: nil)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: written)
        try await withTaskCancellationHandler {
            try await written.futureResult.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }

    /// The answer to the request that comes; `nil` when the connection ends before it is whole.
    private func answer(
        _ inbound: NIOAsyncChannelInboundStream<HTTPServerRequestPart>
    ) async throws -> ControlAnswer? {
        var head: HTTPRequestHead?
        var body: [UInt8] = []
        for try await part in inbound {
            switch part {
            case .head(let first): head = first
            case .body(let more):
                guard more.readableBytes <= Self.bodyLimit - body.count else {
                    return .refusal(
                        .payloadTooLarge,
                        "the request has more than \(Self.bodyLimit) bytes: nothing that is asked "
                            + "here is as long")
                }
                body += more.readableBytesView
            case .end:
                guard let head else { return nil }
                let path = head.uri.prefix { $0 != "?" }
                return await routes.answer(
                    ControlRequest(method: head.method, path: String(path), body: body))
            }
        }
        return nil
    }
}

/// Closes a connection whose request does not come, or whose answer nobody takes; last before who reads.
///
/// Between the two, the answer may take as long as it does.
private final class SilenceLimit: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private var isAsked = false
    private var isAnswered = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .end = unwrapInboundIn(data) { isAsked = true }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        isAnswered = true
        context.write(data, promise: promise)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case IdleStateHandler.IdleStateEvent.read where !isAsked,
            IdleStateHandler.IdleStateEvent.write where isAnswered:
            context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}
