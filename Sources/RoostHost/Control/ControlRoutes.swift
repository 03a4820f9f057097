internal import NIOHTTP1

/// What a control socket is asked.
struct ControlRequest: Sendable {
    let method: HTTPMethod
    /// The path, without a query.
    let path: String
    let body: [UInt8]
}

/// What it answers.
struct ControlAnswer: Sendable {
    let status: HTTPResponseStatus
    /// JSON.
    let body: [UInt8]
    /// Called when the answer has been written.
    var afterwards: @Sendable () -> Void = {}

    init(
        _ status: HTTPResponseStatus, _ body: [UInt8],
        afterwards: @escaping @Sendable () -> Void = {}
    ) {
        self.status = status
        self.body = body
        self.afterwards = afterwards
    }

    /// Answers that something is not done, in one sentence.
    static func refusal(_ status: HTTPResponseStatus, _ sentence: String) -> ControlAnswer {
        ControlAnswer(
            status, (try? ControlJSON.encode(ControlRefusal(sentence))) ?? Array("{}".utf8))
    }
}

/// The routes of one control socket.
struct ControlRoutes: Sendable {
    private let root: String
    private let commands: [ControlCommand]
    private let snapshot: @Sendable () async throws -> [UInt8]

    /// Lays the routes.
    init(
        _ kind: ControlName.Kind, _ commands: [ControlCommand],
        snapshot: @escaping @Sendable () async throws -> [UInt8]
    ) {
        root = "/v1/\(kind.rawValue)"
        self.commands = commands
        self.snapshot = snapshot
    }

    /// Answers a request; every failure is an answer.
    func answer(_ request: ControlRequest) async -> ControlAnswer {
        do {
            if request.method == .GET, request.path == root {
                return ControlAnswer(.ok, try await snapshot())
            }
            let command = commands.first { request.path == "\(root)/\($0.name)" }
            guard request.method == .POST, let command else { return unknown(request) }
            return ControlAnswer(
                .ok, try await command.perform(request.body), afterwards: command.afterwards)
        } catch {
            return .refusal(
                request.method == .GET ? .internalServerError : .conflict, "\(error)")
        }
    }

    private func unknown(_ request: ControlRequest) -> ControlAnswer {
        let known = ["GET \(root)"] + commands.map { "POST \(root)/\($0.name)" }
        return .refusal(
            .notFound,
            "there is no \(request.method.rawValue) \(request.path.prefix(200)) here, only: "
                + known.joined(separator: ", "))
    }
}
