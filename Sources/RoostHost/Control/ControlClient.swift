internal import NIOHTTP1
internal import RoostSystem
internal import SystemPackage

/// Asks the control sockets of a folder.
public struct ControlClient: Sendable {
    /// The most bytes taken of an answer: 200 devices of eight queues fit.
    public static let answerLimit = 4 << 20

    /// The folder.
    public let directory: RunDirectory
    /// How long one question may take.
    public let timeLimit: Duration

    /// Makes a client.
    ///
    /// - Parameters:
    ///   - directory: Where the sockets are.
    ///   - timeLimit: How long one question may take.
    public init(_ directory: RunDirectory, timeLimit: Duration = .seconds(2)) {
        self.directory = directory
        self.timeLimit = timeLimit
    }

    /// Asks for the state of something that is run.
    ///
    /// - Parameters:
    ///   - type: What the answer is.
    ///   - name: Whose state.
    /// - Returns: The state.
    /// - Throws: `HostError`: of kind `absent` when there is no such socket, `dead` when its process
    ///   is gone, `timeout` when it does not answer in time, `control` when it answers something
    ///   else, `refused` when it says why not.
    public func snapshot<Snapshot: Decodable & Sendable>(
        _ type: Snapshot.Type, of name: ControlName
    ) async throws(HostError) -> Snapshot {
        let bytes = try await ask(name, .GET, "/v1/\(name.kind.rawValue)")
        return try read(type, bytes, name)
    }

    /// Has a command carried out.
    ///
    /// - Parameters:
    ///   - command: Its name.
    ///   - name: Who is to do it.
    ///   - argument: What goes with it.
    ///   - answer: What the answer is.
    /// - Returns: The answer.
    /// - Throws: `HostError` as ``snapshot(_:of:)``.
    public func perform<Answer: Decodable & Sendable>(
        _ command: String, at name: ControlName, _ argument: some Encodable = ControlNothing(),
        answer: Answer.Type = ControlNothing.self
    ) async throws(HostError) -> Answer {
        let body: [UInt8]
        do {
            body = try ControlJSON.encode(argument)
        } catch {
            throw HostError(.control, "cannot write the command \(command) as JSON: \(error)")
        }
        let path = "/v1/\(name.kind.rawValue)/\(command)"
        return try read(answer, try await ask(name, .POST, path, body), name)
    }

    /// Asks all of a kind at once.
    ///
    /// - Parameters:
    ///   - type: What an answer is.
    ///   - kind: Whose states.
    /// - Returns: What each answered or why it did not, in the order of the names.
    public func survey<Snapshot: Decodable & Sendable>(
        _ type: Snapshot.Type, of kind: ControlName.Kind
    ) async -> [(name: ControlName, answer: Result<Snapshot, HostError>)] {
        await withTaskGroup { group in
            let names = directory.names(of: kind)
            for name in names {
                group.addTask { () -> (ControlName, Result<Snapshot, HostError>) in
                    do throws(HostError) {
                        return (name, .success(try await snapshot(type, of: name)))
                    } catch {
                        return (name, .failure(error))
                    }
                }
            }
            var answers: [ControlName: Result<Snapshot, HostError>] = [:]
            for await (name, answer) in group { answers[name] = answer }
            return names.compactMap { name in answers[name].map { (name, $0) } }
        }
    }

    private func read<Value: Decodable>(
        _ type: Value.Type, _ bytes: [UInt8], _ name: ControlName
    ) throws(HostError) -> Value {
        do {
            return try ControlJSON.decode(type, bytes)
        } catch {
            throw HostError(
                .control, path: directory.socketPath(of: name),
                "\(name) answered what this roost does not understand "
                    + "(\(ControlJSON.reason(error))): see that both are of one version")
        }
    }

    private func ask(
        _ name: ControlName, _ method: HTTPMethod, _ route: String, _ body: [UInt8] = []
    ) async throws(HostError) -> [UInt8] {
        let path = directory.socketPath(of: name)
        let limit = timeLimit
        let socket = try await connect(name, path)
        let exchange = ControlExchange(
            socket: socket, method: method, route: route, body: body, limit: Self.answerLimit)
        typealias Outcome = Result<ControlExchange.Answer, any Error>
        let outcome = await withTaskGroup(of: Outcome?.self) { group in
            group.addTask {
                do {
                    return .success(try await exchange.run())
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        guard !Task.isCancelled else {
            throw HostError(.cancelled, "stopped asking \(name)")
        }
        switch outcome {
        case nil: throw Self.hung(name, path, limit)
        case .failure(let error as HostError): throw error
        case .failure(let error):
            throw HostError(
                .control, path: path,
                "the connection to \(name) on \(path) broke: \(error); try again")
        case .success(let answer):
            guard answer.status == .ok else { throw refused(answer, name, path) }
            return answer.body
        }
    }

    private func refused(
        _ answer: ControlExchange.Answer, _ name: ControlName, _ path: String
    ) -> HostError {
        let refusal = try? ControlJSON.decode(ControlRefusal.self, answer.body)
        let sentence = refusal?.error ?? "HTTP status \(answer.status.code)"
        return HostError(.refused, path: path, "\(name) refused: \(sentence)")
    }

    private func connect(
        _ name: ControlName, _ path: String
    ) async throws(HostError) -> StreamSocket {
        let limit = timeLimit
        let result: Result<StreamSocket, SystemError>
        do throws(SystemError) {
            result = try await DedicatedThread.result(name: "roost-control") {
                () throws(SystemError) in
                let socket = try StreamSocket.connect(to: .unix(path: path), timeout: limit)
                try socket.checkPeerIsTrusted()
                return socket
            }
        } catch {
            result = .failure(error)
        }
        do throws(SystemError) {
            return try result.get()
        } catch {
            switch (error.kind, error.errno) {
            case (_, .connectionRefused):
                throw HostError(
                    .dead, path: path, errno: error.errno,
                    "\(name) is dead: its process is gone and left \(path) behind; start it "
                        + "again, which replaces the socket")
            case (_, .noSuchFileOrDirectory):
                throw HostError(
                    .absent, path: path, errno: error.errno,
                    "there is no \(name): nobody runs one under this name in \(directory.path)")
            case (.timeout, _), (_, .wouldBlock), (_, .resourceTemporarilyUnavailable):
                throw Self.hung(name, path, limit)
            default:
                throw HostError(.control, path: path, errno: error.errno, error.description)
            }
        }
    }

    private static func hung(_ name: ControlName, _ path: String, _ limit: Duration) -> HostError {
        HostError(
            .timeout, path: path,
            "\(name) did not answer on \(path) within \(limit): its process is stopped or stuck")
    }
}
