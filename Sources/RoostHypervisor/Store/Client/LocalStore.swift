internal import Synchronization

/// A store in this process, for embedders and for tests of what uses one.
///
/// Its clients are ``StoreClient``s like all others; permissions, transactions, watches and
/// limits are those of the real protocol, for it is what they speak.
public final class LocalStore: Sendable {
    private let server = Mutex(StoreServer())
    private let clients = Mutex<[StoreConnectionID: StoreExchange]>([:])
    /// Held while clients are told, so that each is told in order.
    private let telling = Mutex(())

    /// Makes a store with the nodes that a new xenstored has.
    public init() {}

    /// Connects a client.
    ///
    /// - Parameters:
    ///   - domain: Whose; relative paths lie in its folder.
    ///   - isPrivileged: Whether permissions and limits do not hold for it.
    /// - Returns: The connection.
    public func connect(as domain: DomainID, isPrivileged: Bool = false) -> StoreClient {
        let id = server.withLock { $0.connect(as: domain, isPrivileged: isPrivileged) }
        let exchange = StoreExchange { [self] bytes in
            let isAlive = server.withLock { $0.receive(bytes, from: id) }
            tell()
            return isAlive ? nil : StoreExchange.ended
        }
        clients.withLock { $0[id] = exchange }
        return StoreClient(
            exchange,
            close: { [self] in
                server.withLock { $0.disconnect(id) }
                clients.withLock { $0[id] = nil }
            })
    }

    /// Announces a domain, and makes its folder, which it owns.
    ///
    /// - Parameter domain: Its number.
    public func domainAppeared(_ domain: DomainID) {
        withServer { server in
            server.domainAppeared(domain)
            guard let folder = try? StorePath("/local/domain/\(domain)") else { return }
            // Cannot be refused: the path is a node's, and the hypervisor has no limits.
            try? server.put([], at: folder, permissions: StorePermissions(owner: domain))
        }
    }

    /// Ends a domain's connections, and takes away what it was allowed.
    ///
    /// - Parameter domain: Its number.
    public func domainDied(_ domain: DomainID) {
        withServer { $0.domainDied(domain) }
        let gone = clients.withLock { clients in
            let gone = clients.filter { id, _ in !server.withLock { $0.isConnected(id) } }
            for id in gone.keys {
                clients[id] = nil
            }
            return Array(gone.values)
        }
        for exchange in gone {
            exchange.lose(StoreExchange.ended)
        }
    }

    /// Does something to the store itself, past permissions and limits; the clients are told.
    package func withServer<Value: Sendable>(
        _ body: (inout sending StoreServer) -> sending Value
    ) -> Value {
        let value = server.withLock(body)
        tell()
        return value
    }

    /// Hands out what waits for the clients, and what follows from that.
    private func tell() {
        telling.withLock { _ in
            while true {
                let pending = server.withLock { server in
                    server.pendingConnections.map { ($0, server.takeOutput(of: $0)) }
                }
                guard !pending.isEmpty else { return }
                for (id, bytes) in pending {
                    guard let client = clients.withLock({ $0[id] }) else { continue }
                    let reply = client.receive(bytes)
                    guard !reply.isEmpty else { continue }
                    _ = server.withLock { $0.receive(reply, from: id) }
                }
            }
        }
    }
}
