internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore

/// The routes of one control socket.
struct ControlRoutes: Sendable {
    private let responder: RouterResponder<BasicRequestContext>
    private let logger: Logger

    /// Lays the routes.
    init(
        _ kind: ControlName.Kind, _ commands: [ControlCommand], _ logger: Logger,
        snapshot: @escaping @Sendable () async throws -> [UInt8]
    ) {
        let router = Router(context: BasicRequestContext.self)
        let root = "/v1/\(kind.rawValue)"
        let known = ["GET \(root)"] + commands.map { "POST \(root)/\($0.name)" }
        router.add(middleware: Refusals(known: known.joined(separator: ", ")))
        router.get(RouterPath(root)) { _, _ in Self.json(.ok, try await snapshot()) }
        for command in commands {
            router.post(RouterPath("\(root)/\(command.name)")) { request, _ in
                let body = try await request.body.collect(upTo: ControlServer.bodyLimit)
                let answer = try await command.perform(Array(body.readableBytesView))
                return Self.json(.ok, answer, afterwards: command.afterwards)
            }
        }
        responder = router.buildResponder()
        self.logger = logger
    }

    /// Answers a request; every failure is an answer.
    func respond(to request: Request, on channel: any Channel) async -> Response {
        let context = BasicRequestContext(
            source: ApplicationRequestContextSource(channel: channel, logger: logger))
        do {
            return try await responder.respond(to: request, context: context)
        } catch {
            return Self.refusal(.internalServerError, "\(error)")
        }
    }

    fileprivate static func refusal(_ status: HTTPResponse.Status, _ sentence: String) -> Response {
        let body = (try? ControlJSON.encode(ControlRefusal(sentence))) ?? Array("{}".utf8)
        return json(status, body)
    }

    private static func json(
        _ status: HTTPResponse.Status, _ bytes: [UInt8],
        afterwards: (@Sendable () -> Void)? = nil
    ) -> Response {
        let buffer = ByteBuffer(bytes: bytes)
        let body =
            afterwards.map { afterwards in
                ResponseBody(contentLength: buffer.readableBytes) { writer in
                    try await writer.write(buffer)
                    try await writer.finish(nil)
                    afterwards()
                }
            } ?? ResponseBody(byteBuffer: buffer)
        return Response(
            status: status, headers: [.contentType: "application/json"], body: body)
    }

    /// Turns every failure into an answer of one sentence.
    private struct Refusals: RouterMiddleware {
        let known: String

        func handle(
            _ request: Request, context: BasicRequestContext,
            next: (Request, BasicRequestContext) async throws -> Response
        ) async throws -> Response {
            do {
                return try await next(request, context)
            } catch let error as HTTPError where error.status == .notFound {
                return refusal(
                    .notFound,
                    "there is no \(request.method.rawValue) \(request.uri.path.prefix(200)) here, "
                        + "only: \(known)")
            } catch let error as any HTTPResponseError {
                return refusal(
                    error.status, "the request was refused: \(error.status.reasonPhrase)")
            } catch {
                return refusal(
                    request.method == .get ? .internalServerError : .conflict, "\(error)")
            }
        }
    }
}
