internal import NIOCore
internal import NIOHTTP1
internal import RoostSystem

/// One request to a control socket and its answer.
struct ControlExchange: Sendable {
    struct Answer: Sendable {
        let status: HTTPResponseStatus
        let body: [UInt8]
    }

    private typealias Exchange = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    let socket: StreamSocket
    let method: HTTPMethod
    let route: String
    let body: [UInt8]
    /// The most bytes that the answer may have.
    let limit: Int

    /// Sends the request and takes the answer; cancelling the task ends it.
    ///
    /// - Returns: The answer.
    /// - Throws: `HostError` of kind `control` for an answer that is too long or cut short; what NIO
    ///   throws for a connection that breaks.
    func run() async throws -> Answer {
        let channel = try await ControlSocket.channel(over: socket) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHTTPClientHandlers()
                return try Exchange(wrappingChannelSynchronously: channel)
            }
        }
        return try await channel.executeThenClose { inbound, outbound in
            var headers: HTTPHeaders = ["Host": "roost", "Connection": "close"]
            headers.add(name: "Content-Length", value: "\(body.count)")
            let head = HTTPRequestHead(
                version: .http1_1, method: method, uri: route, headers: headers)
            try await outbound.write(
                contentsOf: [
                    .head(head), .body(.byteBuffer(ByteBuffer(bytes: body))), .end(nil),
                ])
            return try await answer(inbound)
        }
    }

    private func answer(
        _ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>
    ) async throws -> Answer {
        var status: HTTPResponseStatus?
        var bytes: [UInt8] = []
        for try await part in inbound {
            switch part {
            case .head(let head): status = head.status
            case .body(let more):
                guard more.readableBytes <= limit - bytes.count else {
                    throw HostError(
                        .control,
                        "the answer to \(method.rawValue) \(route) has more than \(limit) bytes: "
                            + "whoever answers is not of this version of Roost")
                }
                bytes += more.readableBytesView
            case .end:
                guard let status else { break }
                return Answer(status: status, body: bytes)
            }
        }
        throw HostError(
            .control, "the answer to \(method.rawValue) \(route) was cut short: its process ended")
    }
}
