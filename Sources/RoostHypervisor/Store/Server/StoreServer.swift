internal import RoostMemory
internal import SystemPackage

/// The whole of xenstore, as a value that does no input or output.
///
/// Bytes of clients go in by ``receive(_:from:)`` and come out by ``takeOutput(of:)``; what one
/// client does may put watch events into the output of others, which ``pendingConnections``
/// names. What owns the sockets empties that set after each call, and reads a client only while
/// ``acceptsInput(from:)`` and while none of its output is left to send. The protocol is that of
/// xenstored (`xen/docs/misc/xenstore.txt`, `xs_wire.h`), the limits are those of Xen 4.17.
///
/// A snapshot, and so the beginning of a transaction, costs nothing that depends on the store's
/// size; the first change after one copies the lists of children on the way to the changed node.
/// A request costs the depth of its path; a change also looks for watches at each node on
/// the way to it, and a removal at each node removed. One thread at a time uses a server.
package struct StoreServer: Sendable {
    /// What ordinary domains may use.
    package let limits: StoreLimits

    var view = StoreView(StoreTree())
    var connections: [StoreConnectionID: StoreConnection] = [:]
    var watches = StoreWatchTable()
    /// Who may be told of `@introduceDomain` and `@releaseDomain`.
    var specialPermissions: [String: StorePermissions] = [
        introduceEvent: StorePermissions(owner: .privileged),
        releaseEvent: StorePermissions(owner: .privileged),
    ]
    var watchCounts: [DomainID: Int] = [:]
    var transactionCounts: [DomainID: Int] = [:]
    /// The domains that have appeared and not died.
    package internal(set) var domains: Set<DomainID> = [.privileged]
    /// The connections that have output to take.
    package internal(set) var pendingConnections: Set<StoreConnectionID> = []
    private var lastConnection: UInt64 = 0

    /// The special path whose watches are told of new domains.
    package static let introduceEvent = "@introduceDomain"
    /// The special path whose watches are told of domains that are no more.
    package static let releaseEvent = "@releaseDomain"

    /// Makes a store with the nodes that a new xenstored has.
    package init(limits: StoreLimits = StoreLimits()) {
        self.limits = limits
        let permissions = StorePermissions(owner: .privileged)
        for components in [["local"], ["local", "domain"], ["tool"], ["tool", "xenstored"]] {
            view.tree.put(
                StoreNodePath(components: components), value: [], permissions: permissions)
        }
    }

    /// Adds a client.
    ///
    /// - Parameters:
    ///   - domain: Whose client; relative paths lie in its folder.
    ///   - isPrivileged: Whether permissions and limits do not hold for it.
    /// - Returns: The connection's name, which none had before.
    package mutating func connect(
        as domain: DomainID, isPrivileged: Bool
    ) -> StoreConnectionID {
        lastConnection += 1
        let id = StoreConnectionID(rawValue: lastConnection)
        connections[id] = StoreConnection(
            StoreActor(domain: domain, isPrivileged: isPrivileged))
        return id
    }

    /// Removes a client with its watches and transactions; does nothing to one that is unknown.
    package mutating func disconnect(_ id: StoreConnectionID) {
        reset(id)
        connections[id] = nil
        pendingConnections.remove(id)
    }

    /// Whether a connection is there, and so can go on.
    package func isConnected(_ id: StoreConnectionID) -> Bool { connections[id] != nil }

    /// Whether more of a client's bytes are wanted.
    ///
    /// If not, it has left so many answers untaken that it is better not read from for now.
    package func acceptsInput(from id: StoreConnectionID) -> Bool {
        guard let connection = connections[id] else { return false }
        return connection.pendingByteCount < StoreLimits.pendingByteCount / 2
    }

    /// Takes what a client has sent, in any pieces.
    ///
    /// - Returns: Whether the connection can go on; if not, it is to be disconnected.
    package mutating func receive(_ bytes: RawSpan, from id: StoreConnectionID) -> Bool {
        guard var reader = connections[id]?.reader else { return false }
        reader.append(bytes)
        do throws(StoreMessageReader.TooLong) {
            while let message = try reader.next() {
                connections[id]?.enqueue(message)
            }
        } catch {
            return false
        }
        connections[id]?.reader = reader
        guard let waiting = connections[id]?.pendingByteCount,
            waiting <= StoreLimits.pendingByteCount
        else { return false }
        answerPending(of: id)
        return true
    }

    /// Takes what a client has sent, out of an array.
    ///
    /// - Returns: Whether the connection can go on; if not, it is to be disconnected.
    package mutating func receive(_ bytes: [UInt8], from id: StoreConnectionID) -> Bool {
        // SAFETY: bytes have no padding.
        receive(unsafe bytes.span.bytes, from: id)
    }

    /// Takes bytes to be sent to a client: whole messages, at most about 64 KiB.
    ///
    /// - Returns: The bytes; none when there are none. ``pendingConnections`` tells whether
    ///   there are more.
    package mutating func takeOutput(of id: StoreConnectionID) -> [UInt8] {
        guard let watches = connections[id]?.watches else { return [] }
        let bytes =
            connections[id]?.output.take(
                watches, byteLimit: StoreLimits.outputByteCount) ?? []
        answerPending(of: id)
        if connections[id]?.output.isEmpty ?? true { pendingConnections.remove(id) }
        return bytes
    }

    /// Answers requests until the client has to take answers first.
    private mutating func answerPending(of id: StoreConnectionID) {
        // Field by field: a copy of the connection would make each change below copy its parts.
        while let actor = connections[id]?.actor,
            let waiting = connections[id]?.output.answerCount, waiting < limits.outstandingCount,
            let request = connections[id]?.dequeue()
        {
            answer(request, of: id, actor)
        }
    }

    /// Answers a request, then tells the watches of what it changed.
    private mutating func answer(
        _ request: StoreMessage, of id: StoreConnectionID, _ actor: StoreActor
    ) {
        var effects: [Effect] = []
        var reply = request
        do throws(Errno) {
            reply.payload = try perform(request, of: id, actor, &effects)
            if reply.payload.count > StoreWire.maximumPayloadByteCount {
                throw Errno.argListTooLong
            }
        } catch {
            reply.typeNumber = StoreMessageType.error.rawValue
            reply.payload = [UInt8](terminated: StoreErrorName.name(of: error))
        }
        connections[id]?.output.append(reply)
        pendingConnections.insert(id)
        for effect in effects {
            carryOut(effect)
        }
    }
}
