import RoostHypervisor
import RoostMemory
import SystemPackage

/// A store with clients that ask and are answered at once.
struct ServerHarness {
    /// What a request was answered with.
    enum Answer: Equatable, CustomStringConvertible {
        case payload([UInt8])
        case refused(String)
        /// No answer came.
        case none

        static let accepted = Answer.payload(Array("OK".utf8) + [0])

        static func value(_ text: String) -> Answer { .payload(Array(text.utf8)) }

        static func texts(_ texts: String...) -> Answer {
            .payload(texts.reduce(into: []) { $0.append(terminated: $1) })
        }

        var description: String {
            switch self {
            case .payload(let bytes): "'\(String(decoding: bytes, as: UTF8.self))'"
            case .refused(let name): name
            case .none: "nothing"
            }
        }
    }

    var server: StoreServer
    private var readers: [StoreConnectionID: StoreMessageReader] = [:]
    /// The watch events that each client has been told, as `path token`.
    private(set) var events: [StoreConnectionID: [String]] = [:]
    private var lastRequest: UInt32 = 0

    init(limits: StoreLimits = StoreLimits()) {
        server = StoreServer(limits: limits)
    }

    /// Connects a privileged client.
    mutating func connectPrivileged() -> StoreConnectionID {
        server.connect(as: .privileged, isPrivileged: true)
    }

    /// Connects an ordinary domain, which owns its folder.
    mutating func connect(_ number: UInt16) throws -> StoreConnectionID {
        let domain = DomainID(rawValue: number)
        server.domainAppeared(domain)
        try server.put(
            [], at: StorePath("/local/domain/\(number)"),
            permissions: StorePermissions(owner: domain))
        return server.connect(as: domain, isPrivileged: false)
    }

    /// Sends a request and takes its answer; events that come with it are kept.
    mutating func ask(
        _ client: StoreConnectionID, _ type: StoreMessageType, _ payload: [UInt8],
        in transaction: UInt32 = 0
    ) -> Answer {
        ask(client, typeNumber: type.rawValue, payload, in: transaction)
    }

    mutating func ask(
        _ client: StoreConnectionID, typeNumber: UInt32, _ payload: [UInt8],
        in transaction: UInt32 = 0
    ) -> Answer {
        lastRequest += 1
        let request = StoreMessage(
            typeNumber: typeNumber, requestID: lastRequest, transactionID: transaction,
            payload: payload)
        guard server.receive(request.encoded, from: client) else { return .none }
        var answer = Answer.none
        for message in takeMessages(of: client) where message.requestID == lastRequest {
            if message.type == .error {
                answer = .refused(String(decoding: message.payload.dropLast(), as: UTF8.self))
            } else if message.typeNumber == typeNumber {
                answer = .payload(message.payload)
            }
        }
        return answer
    }

    /// Takes all that waits for a client; events are kept.
    @discardableResult
    mutating func takeMessages(of client: StoreConnectionID) -> [StoreMessage] {
        var messages: [StoreMessage] = []
        var reader = readers[client] ?? StoreMessageReader()
        while server.pendingConnections.contains(client) {
            reader.append(server.takeOutput(of: client))
        }
        while let message = try? reader.next() {
            if message.type == .watchEvent {
                let parts = message.payload.terminatedParts.map {
                    String(decoding: $0, as: UTF8.self)
                }
                events[client, default: []].append(parts.joined(separator: " "))
            }
            messages.append(message)
        }
        readers[client] = reader
        return messages
    }

    /// The events that a client has been told since the last call.
    mutating func takeEvents(of client: StoreConnectionID) -> [String] {
        takeMessages(of: client)
        return events.removeValue(forKey: client) ?? []
    }

    // MARK: Requests by name

    mutating func read(
        _ client: StoreConnectionID, _ path: String, in transaction: UInt32 = 0
    ) -> Answer {
        ask(client, .read, [UInt8](terminated: path), in: transaction)
    }

    mutating func write(
        _ client: StoreConnectionID, _ path: String, _ value: String, in transaction: UInt32 = 0
    ) -> Answer {
        ask(client, .write, [UInt8](terminated: path) + Array(value.utf8), in: transaction)
    }

    mutating func remove(
        _ client: StoreConnectionID, _ path: String, in transaction: UInt32 = 0
    ) -> Answer {
        ask(client, .remove, [UInt8](terminated: path), in: transaction)
    }

    mutating func list(
        _ client: StoreConnectionID, _ path: String, in transaction: UInt32 = 0
    ) -> Answer {
        ask(client, .directory, [UInt8](terminated: path), in: transaction)
    }

    mutating func watch(_ client: StoreConnectionID, _ path: String, _ token: String) -> Answer {
        ask(client, .watch, [UInt8](terminated: path, token))
    }

    mutating func permissions(
        _ client: StoreConnectionID, _ path: String, in transaction: UInt32 = 0
    ) -> Answer {
        ask(client, .getPermissions, [UInt8](terminated: path), in: transaction)
    }

    mutating func setPermissions(
        _ client: StoreConnectionID, _ path: String, _ entries: String...,
        in transaction: UInt32 = 0
    ) -> Answer {
        var payload = [UInt8](terminated: path)
        for entry in entries {
            payload.append(terminated: entry)
        }
        return ask(client, .setPermissions, payload, in: transaction)
    }

    /// Begins a transaction; 0 when it is refused.
    mutating func begin(_ client: StoreConnectionID) -> UInt32 {
        guard case .payload(let bytes) = ask(client, .beginTransaction, [0]) else { return 0 }
        return UInt32(decimal: bytes.dropLast()) ?? 0
    }

    mutating func end(
        _ client: StoreConnectionID, _ transaction: UInt32, commits: Bool = true
    ) -> Answer {
        ask(
            client, .endTransaction, [UInt8(ascii: commits ? "T" : "F"), 0], in: transaction)
    }
}
