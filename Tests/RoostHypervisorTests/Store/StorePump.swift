import RoostHypervisor
import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage

/// A store behind sockets: each client's is read by a thread of its own.
final class StorePump: Sendable {
    private let server = Mutex(StoreServer())
    private let sockets = Mutex<[StoreConnectionID: StreamSocket]>([:])

    /// Connects a client over a pair of sockets.
    func connect(as domain: UInt16 = 0, isPrivileged: Bool = true) throws -> StoreClient {
        let (near, far) = try StreamSocket.pair()
        let client = try StoreClient(near)
        let id = server.withLock {
            $0.connect(as: DomainID(rawValue: domain), isPrivileged: isPrivileged)
        }
        sockets.withLock { $0[id] = far }
        if let failure = DedicatedThread.start(name: "pump", { [self] in serve(far, id) }) {
            throw failure
        }
        return client
    }

    private func serve(_ socket: StreamSocket, _ id: StoreConnectionID) {
        var queue = ByteQueue(capacity: 4096)
        while let count = try? queue.fill(from: socket.descriptor), count > 0 {
            let bytes = [UInt8](queue.bytes)
            queue.removeAll()
            guard server.withLock({ $0.receive(bytes, from: id) }) else { break }
            flush()
        }
        server.withLock { $0.disconnect(id) }
        sockets.withLock { $0[id] = nil }
        socket.shutdown(.both)
    }

    private func flush() {
        sockets.withLock { sockets in
            while true {
                let pending = server.withLock { server in
                    server.pendingConnections.map { ($0, server.takeOutput(of: $0)) }
                }
                guard !pending.isEmpty else { return }
                for (id, bytes) in pending where !bytes.isEmpty {
                    // A client that has gone is seen by its own thread.
                    try? sockets[id]?.send(unsafe bytes.span.bytes)
                }
            }
        }
    }

    /// Does something to the store, and hands out what follows.
    func withServer<Value: Sendable>(
        _ body: (inout sending StoreServer) -> sending Value
    ) -> Value {
        let value = server.withLock(body)
        flush()
        return value
    }

    /// Ends every connection from the store's side.
    func hangUp() {
        sockets.withLock { sockets in
            for socket in sockets.values {
                socket.shutdown(.both)
            }
        }
    }
}

/// The far end of a client whose answers a test gives by hand.
struct ManualPeer {
    let client: StoreClient
    let socket: StreamSocket
    private var reader = StoreMessageReader()

    init() throws {
        let (near, far) = try StreamSocket.pair()
        client = try StoreClient(near)
        socket = far
    }

    /// Waits for a message of the client on a thread of its own.
    mutating func next() async throws -> StoreMessage {
        while true {
            if let message = try reader.next() { return message }
            let socket = socket
            let bytes = try await DedicatedThread.run(name: "peer") {
                var queue = ByteQueue(capacity: 65536)
                let count = try queue.fill(from: socket.descriptor)
                guard count > 0 else { throw Errno.brokenPipe }
                return [UInt8](queue.bytes)
            }
            reader.append(bytes)
        }
    }

    /// Whether the client has sent anything more.
    func hasMore() -> Bool {
        !socket.wait(for: .input, until: .now).isEmpty || reader.bufferedByteCount > 0
    }

    func send(_ message: StoreMessage) throws {
        try send(message.encoded)
    }

    func send(_ bytes: [UInt8]) throws {
        try socket.send(unsafe bytes.span.bytes)
    }

    /// Answers a request.
    func answer(_ request: StoreMessage, _ payload: [UInt8] = [UInt8](terminated: "OK")) throws {
        var reply = request
        reply.payload = payload
        try send(reply)
    }
}
