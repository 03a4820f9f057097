internal import SystemPackage

extension StoreServer {
    /// What follows a request once it is answered.
    enum Effect: Sendable {
        /// Watches are told of a change.
        case change(StoreChange)
        /// A new watch is told at once.
        case first(StoreWatchID, StoreConnectionID)
        /// A domain has appeared.
        case appeared(DomainID)
        /// A domain is no more.
        case died(DomainID)
    }

    mutating func carryOut(_ effect: Effect) {
        switch effect {
        case .change(let change): tell(change)
        case .first(let watch, let id):
            guard let entry = connections[id]?.watches[watch] else { return }
            tell(entry, watch, entry.path)
        case .appeared(let domain): domainAppeared(domain)
        case .died(let domain): domainDied(domain)
        }
    }

    /// Adds a watch.
    ///
    /// - Parameters:
    ///   - path: Absolute, or a special event's name.
    ///   - token: What the client calls it.
    ///   - omittedByteCount: What of a path the client is not told.
    ///   - id: Whose it is.
    ///   - actor: On whose behalf.
    /// - Returns: Its first event.
    /// - Throws: `fileExists` for one that is there, `argListTooLong` for one too many.
    mutating func addWatch(
        _ path: String, _ token: [UInt8], omittedByteCount: Int, of id: StoreConnectionID,
        _ actor: StoreActor
    ) throws(Errno) -> Effect {
        guard watches.find(id, path, token) == nil else { throw .fileExists }
        let count = watchCounts[actor.domain, default: 0]
        guard actor.isPrivileged || count < limits.watchCount else { throw .argListTooLong }
        let entry = StoreWatchEntry(
            connection: id, path: path, token: token, omittedByteCount: omittedByteCount)
        let watch = watches.add(entry)
        connections[id]?.watches[watch] = entry
        watchCounts[actor.domain] = count + 1
        return .first(watch, id)
    }

    /// Removes a watch, and the events of it that wait.
    mutating func removeWatch(
        _ path: String, _ token: [UInt8], of id: StoreConnectionID
    ) throws(Errno) {
        guard let watch = watches.find(id, path, token) else { throw .noSuchFileOrDirectory }
        remove(watch, on: path, of: id)
    }

    private mutating func remove(_ watch: StoreWatchID, on path: String, of id: StoreConnectionID) {
        guard let domain = connections[id]?.actor.domain else { return }
        watches.remove(watch, on: path)
        connections[id]?.output.drop(watch)
        connections[id]?.watches[watch] = nil
        let count = watchCounts[domain, default: 0] - 1
        watchCounts[domain] = count > 0 ? count : nil
    }

    /// Ends a client's watches and transactions.
    mutating func reset(_ id: StoreConnectionID) {
        guard let connection = connections[id] else { return }
        for (watch, entry) in connection.watches {
            remove(watch, on: entry.path, of: id)
        }
        for number in connection.transactions.keys {
            closeTransaction(number, of: id, connection.actor)
        }
    }

    /// Tells who watches and may know of it.
    mutating func tell(_ change: StoreChange) {
        let path = change.path
        let now = view.tree.node(path)
        for (watch, entry) in watches.watches(over: path) {
            guard let actor = connections[entry.connection]?.actor,
                mayKnow(change, now, actor)
            else { continue }
            tell(entry, watch, path.text)
        }
        guard case .removed(_, let removed) = change, watches.pathCount > 0 else { return }
        for child in removed.children {
            tellExactly(child.node, at: path.child(child.name), parent: removed)
        }
    }

    /// Tells the watches on just a node that has gone with one above it, and those below.
    private mutating func tellExactly(
        _ node: StoreNode, at path: StoreNodePath, parent: StoreNode
    ) {
        for (watch, entry) in watches.watches(on: path.text) {
            guard let actor = connections[entry.connection]?.actor,
                actor.may(.read, node.permissions) || actor.may(.read, parent.permissions)
            else { continue }
            tell(entry, watch, path.text)
        }
        for child in node.children {
            tellExactly(child.node, at: path.child(child.name), parent: node)
        }
    }

    /// Whether a client may learn of a change: it can read the node, or the one above, and so
    /// its children's names.
    private func mayKnow(
        _ change: StoreChange, _ now: StoreNode?, _ actor: StoreActor
    ) -> Bool {
        if actor.isPrivileged { return true }
        if let now, actor.may(.read, now.permissions) { return true }
        switch change {
        case .changed: break
        case .removed(_, let removed):
            if actor.may(.read, removed.permissions) { return true }
        case .permissions(_, let before):
            if actor.may(.read, before) { return true }
        }
        guard let parent = change.path.parent.flatMap({ view.tree.node($0) }) else { return false }
        return actor.may(.read, parent.permissions)
    }

    /// Tells who watches a special path and may know of it.
    mutating func tellSpecial(_ name: String) {
        guard let permissions = specialPermissions[name] else { return }
        for (watch, entry) in watches.watches(on: name) {
            guard let actor = connections[entry.connection]?.actor,
                actor.may(.read, permissions)
            else { continue }
            tell(entry, watch, name)
        }
    }

    private mutating func tell(_ entry: StoreWatchEntry, _ watch: StoreWatchID, _ path: String) {
        connections[entry.connection]?.tell(
            StoreOutput.Event(watch: watch, path: entry.told(path)))
        pendingConnections.insert(entry.connection)
    }
}
