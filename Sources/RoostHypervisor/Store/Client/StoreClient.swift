internal import RoostMemory
package import RoostSystem
internal import Synchronization
internal import SystemPackage

/// A connection to xenstore over a descriptor: a unix socket, or `/dev/xen/xenbus`.
///
/// Requests of any number of tasks go over it at once, and their answers are told apart by
/// number; a thread of its own reads them. It ends with its last reference, or by ``close()``.
public final class StoreClient: Store {
    let exchange: StoreExchange
    private let closeTransport: @Sendable () -> Void

    /// Makes a client of an exchange whose bytes go elsewhere.
    init(_ exchange: StoreExchange, close: @escaping @Sendable () -> Void) {
        self.exchange = exchange
        closeTransport = close
    }

    /// Uses a connected socket or an opened device, and closes it in the end.
    ///
    /// - Parameter owned: The descriptor, blocking.
    /// - Throws: `HypervisorError` of kind `system` when no thread can be started.
    package convenience init(
        takingOver owned: consuming OwnedDescriptor
    ) throws(HypervisorError) {
        try self.init(StreamSocket(owned))
    }

    /// Uses a connected socket.
    ///
    /// - Parameter socket: The socket; nobody else reads or writes it from now on.
    /// - Throws: `HypervisorError` of kind `system` when no thread can be started.
    package convenience init(_ socket: StreamSocket) throws(HypervisorError) {
        let line = try StoreLine(socket)
        let exchange = StoreExchange { line.send($0) }
        self.init(exchange, close: { line.close() })
        let failure = DedicatedThread.start(name: "xenstore") {
            line.read { bytes in
                let reply = exchange.receive(bytes)
                guard !reply.isEmpty, let failure = line.send(reply) else { return }
                exchange.lose(failure)
            }
            exchange.lose(StoreExchange.ended)
        }
        if let failure {
            throw HypervisorError(.system, errno: failure.errno, failure.description)
        }
    }

    /// Connects to a store's unix socket.
    ///
    /// - Parameter path: For example `/run/xenstored/socket`.
    /// - Returns: The connection.
    /// - Throws: `HypervisorError` of kind `system` when nothing listens there.
    public static func connect(path: String) async throws(HypervisorError) -> StoreClient {
        let socket: StreamSocket
        do throws(SystemError) {
            let outcome: Result<StreamSocket, SystemError> = try await DedicatedThread.result(
                name: "xenstore"
            ) { () throws(SystemError) in
                try StreamSocket.connect(to: .unix(path: path))
            }
            socket = try outcome.get()
        } catch {
            throw HypervisorError(.system, errno: error.errno, error.description)
        }
        return try StoreClient(socket)
    }

    /// Whether the connection is gone; nothing works over it again.
    public var isLost: Bool { exchange.loss != nil }

    /// Waits until the connection is gone, or the task is cancelled.
    public func waitUntilLost() async {
        await exchange.waitUntilLost()
    }

    /// Ends the connection: all that waits fails, all watches end.
    public func close() {
        exchange.lose(StoreExchange.closed)
        closeTransport()
    }

    deinit {
        close()
    }

    // MARK: Store

    /// Reads a node's value.
    ///
    /// - Parameters:
    ///   - path: Which.
    ///   - transaction: In which transaction, or `nil`.
    /// - Returns: The value.
    /// - Throws: `HypervisorError` of kind `store` or `lost`; so do all of these.
    public func read(
        _ path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) -> [UInt8] {
        try await exchange.ask(
            .read, [UInt8](terminated: path.text), in: transaction, "read '\(path)'")
    }

    /// Writes a node's value; makes it and what leads to it where they are missing.
    public func write(
        _ value: [UInt8], to path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) {
        _ = try await exchange.ask(
            .write, [UInt8](terminated: path.text) + value, in: transaction, "write '\(path)'")
    }

    /// Makes an empty node, if there is none.
    public func makeDirectory(
        _ path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) {
        _ = try await exchange.ask(
            .makeDirectory, [UInt8](terminated: path.text), in: transaction, "make '\(path)'")
    }

    /// The names of a node's children; a long list is fetched in parts.
    public func directory(
        _ path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) -> [String] {
        let payload: [UInt8]
        do throws(HypervisorError) {
            payload = try await exchange.ask(
                .directory, [UInt8](terminated: path.text), in: transaction, "list '\(path)'")
        } catch {
            guard error.errno == .argListTooLong else { throw error }
            payload = try await longDirectory(path, in: transaction)
        }
        return payload.terminatedParts.map { String(decoding: $0, as: UTF8.self) }
    }

    /// Removes a node and all below it; a missing one is no failure if its parent exists.
    public func remove(
        _ path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) {
        _ = try await exchange.ask(
            .remove, [UInt8](terminated: path.text), in: transaction, "remove '\(path)'")
    }

    /// A node's permissions.
    public func permissions(
        of path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) -> StorePermissions {
        let payload = try await exchange.ask(
            .getPermissions, [UInt8](terminated: path.text), in: transaction,
            "read the permissions of '\(path)'")
        guard let permissions = StorePermissions(parts: payload.terminatedParts) else {
            throw HypervisorError(
                .malformed,
                "the permissions of '\(path)' are none: the store is broken, start it again")
        }
        return permissions
    }

    /// Replaces a node's permissions.
    public func setPermissions(
        _ permissions: StorePermissions, of path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) {
        _ = try await exchange.ask(
            .setPermissions, [UInt8](terminated: path.text) + permissions.payload,
            in: transaction, "set the permissions of '\(path)'")
    }

    /// Begins a transaction: reads see the store as it is now, writes are seen by all at its end.
    public func beginTransaction() async throws(HypervisorError) -> StoreTransaction {
        let payload = try await exchange.ask(
            .beginTransaction, [0], undo: .endTransaction, "begin a transaction")
        guard let number = UInt32(decimal: payload.prefix { $0 != 0 }), number != 0 else {
            throw HypervisorError(
                .malformed,
                "the store gave a transaction no number: it is broken, start it again")
        }
        return StoreTransaction(id: number)
    }

    /// Ends a transaction.
    ///
    /// - Parameters:
    ///   - transaction: Which.
    ///   - commits: Whether its writes are to happen.
    /// - Returns: Whether they have, or were not to; `false` when somebody else changed what it
    ///   had looked at: then all is to be done anew.
    /// - Throws: `HypervisorError` of kind `store` or `lost`.
    public func endTransaction(
        _ transaction: StoreTransaction, commits: Bool
    ) async throws(HypervisorError) -> Bool {
        do throws(HypervisorError) {
            _ = try await exchange.ask(
                .endTransaction, [UInt8](terminated: commits ? "T" : "F"), in: transaction,
                "end a transaction")
            return true
        } catch {
            guard error.errno == .resourceTemporarilyUnavailable, error.kind == .store else {
                throw error
            }
            return false
        }
    }

    /// Watches a node and all below it.
    public func watch(_ path: StorePath) async throws(HypervisorError) -> StoreWatch {
        StoreWatch(try await exchange.watch(path))
    }
}
