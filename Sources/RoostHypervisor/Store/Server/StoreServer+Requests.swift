internal import SystemPackage

/// The parts of a request's payload, as most have them: texts, each with a NUL behind it.
private struct Arguments {
    let parts: [ArraySlice<UInt8>]

    /// Reads as many as there must be.
    ///
    /// - Throws: `invalidArgument` when there are fewer or more, or bytes behind the last NUL.
    init(_ payload: [UInt8], count: Int) throws(Errno) {
        parts = payload.terminatedParts
        guard parts.count == count, payload.last == 0 else { throw .invalidArgument }
    }

    /// The number of a domain.
    func domain(_ index: Int) throws(Errno) -> DomainID {
        guard let number = UInt16(decimal: parts[index]) else { throw .invalidArgument }
        return DomainID(rawValue: number)
    }
}

extension StoreServer {
    /// Does what a request asks for.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - id: Who asks.
    ///   - actor: On whose behalf.
    ///   - effects: What is to follow once it is answered.
    /// - Returns: The answer's payload.
    /// - Throws: What the answer says instead.
    mutating func perform(
        _ request: StoreMessage, of id: StoreConnectionID, _ actor: StoreActor,
        _ effects: inout [Effect]
    ) throws(Errno) -> [UInt8] {
        guard let type = request.type else { throw .noFunction }
        let number = request.transactionID
        guard number == 0 || connections[id]?.transactions[number] != nil else {
            throw .noSuchFileOrDirectory
        }
        switch type {
        case .directory, .directoryPart, .read, .getPermissions:
            return try look(request, type, of: id, actor)
        case .write, .makeDirectory, .remove, .setPermissions:
            if let change = try alter(request, type, of: id, actor), number == 0 {
                effects.append(.change(change))
            }
        case .watch, .unwatch, .resetWatches:
            if let effect = try manageWatches(request, type, of: id, actor) {
                effects.append(effect)
            }
        case .beginTransaction:
            return try beginTransaction(request, of: id, actor)
        case .endTransaction:
            effects += try endTransaction(request, of: id, actor).map(Effect.change)
        case .domainPath, .isDomainIntroduced, .introduce, .release, .resume:
            return try manageDomains(request, type, actor, &effects)
        case .setTarget:
            guard actor.isPrivileged else { throw .permissionDenied }
            throw .noFunction
        case .watchEvent, .error:
            throw .noFunction
        }
        return Self.accepted
    }

    /// The payload of an answer that says nothing but yes.
    private static let accepted = [UInt8](terminated: "OK")

    // MARK: Nodes

    private func node(_ bytes: ArraySlice<UInt8>, _ actor: StoreActor) throws(Errno)
        -> StoreNodePath
    {
        guard let path = StoreNodePath(bytes, of: actor.domain) else { throw .invalidArgument }
        return path
    }

    /// The name of a special event that some bytes are, or `nil`.
    private func special(_ bytes: ArraySlice<UInt8>) -> String? {
        guard bytes.first == UInt8(ascii: "@") else { return nil }
        let name = String(decoding: bytes, as: UTF8.self)
        return specialPermissions[name] == nil ? nil : name
    }

    /// Does something with the view that a request is about.
    private mutating func inView<Value>(
        of request: StoreMessage, _ id: StoreConnectionID,
        _ body: (inout StoreView) throws(Errno) -> Value
    ) throws(Errno) -> Value {
        guard request.transactionID != 0 else { return try body(&view) }
        guard let place = connections.index(forKey: id),
            let inner = connections.values[place].transactions.index(
                forKey: request.transactionID)
        else { throw .noSuchFileOrDirectory }
        return try body(&connections.values[place].transactions.values[inner])
    }

    /// Requests that change nothing.
    private mutating func look(
        _ request: StoreMessage, _ type: StoreMessageType, of id: StoreConnectionID,
        _ actor: StoreActor
    ) throws(Errno) -> [UInt8] {
        let arguments = try Arguments(request.payload, count: type == .directoryPart ? 2 : 1)
        if type == .getPermissions, let name = special(arguments.parts[0]) {
            guard let permissions = specialPermissions[name], actor.may(.read, permissions)
            else { throw .permissionDenied }
            return permissions.payload
        }
        let path = try node(arguments.parts[0], actor)
        switch type {
        case .read:
            return try inView(of: request, id) { (view) throws(Errno) in
                try view.read(path, as: actor)
            }
        case .getPermissions:
            return try inView(of: request, id) { (view) throws(Errno) in
                try view.permissions(of: path, as: actor)
            }.payload
        default:
            let node = try inView(of: request, id) { (view) throws(Errno) in
                try view.directory(path, as: actor)
            }
            guard type == .directoryPart else { return node.childNames }
            guard let offset = Int(decimal: arguments.parts[1]) else { throw .invalidArgument }
            return node.part(from: offset)
        }
    }

    /// Requests that change a node.
    private mutating func alter(
        _ request: StoreMessage, _ type: StoreMessageType, of id: StoreConnectionID,
        _ actor: StoreActor
    ) throws(Errno) -> StoreChange? {
        let limits = limits
        switch type {
        case .write:
            guard let end = request.payload.firstIndex(of: 0) else { throw .invalidArgument }
            let path = try node(request.payload[..<end], actor)
            let value = Array(request.payload[(end + 1)...])
            return try inView(of: request, id) { (view) throws(Errno) in
                try view.write(value, to: path, as: actor, limits)
            }
        case .setPermissions:
            let parts = request.payload.terminatedParts
            guard request.payload.last == 0, let first = parts.first,
                let permissions = StorePermissions(parts: parts.dropFirst())
            else { throw .invalidArgument }
            if let name = special(first) {
                guard actor.isPrivileged else { throw .permissionDenied }
                specialPermissions[name] = permissions
                return nil
            }
            let path = try node(first, actor)
            return try inView(of: request, id) { (view) throws(Errno) in
                try view.setPermissions(permissions, of: path, as: actor, limits)
            }
        default:
            let path = try node(Arguments(request.payload, count: 1).parts[0], actor)
            return try inView(of: request, id) { (view) throws(Errno) in
                type == .remove
                    ? try view.remove(path, as: actor)
                    : try view.makeDirectory(path, as: actor, limits)
            }
        }
    }

    // MARK: Watches

    private mutating func manageWatches(
        _ request: StoreMessage, _ type: StoreMessageType, of id: StoreConnectionID,
        _ actor: StoreActor
    ) throws(Errno) -> Effect? {
        guard type != .resetWatches else {
            reset(id)
            return nil
        }
        let parts = try Arguments(request.payload, count: 2).parts
        let token = Array(parts[1])
        if let name = special(parts[0]) {
            guard type == .watch else {
                try removeWatch(name, token, of: id)
                return nil
            }
            return try addWatch(name, token, omittedByteCount: 0, of: id, actor)
        }
        let path = try node(parts[0], actor)
        guard type == .watch else {
            try removeWatch(path.text, token, of: id)
            return nil
        }
        let isAbsolute = parts[0].first == UInt8(ascii: "/")
        let omitted = isAbsolute ? 0 : StoreNodePath.prefix(of: actor.domain).utf8.count
        return try addWatch(path.text, token, omittedByteCount: omitted, of: id, actor)
    }

    // MARK: Transactions

    private mutating func beginTransaction(
        _ request: StoreMessage, of id: StoreConnectionID, _ actor: StoreActor
    ) throws(Errno) -> [UInt8] {
        guard request.transactionID == 0 else { throw .resourceBusy }
        let count = transactionCounts[actor.domain, default: 0]
        guard actor.isPrivileged || count < limits.transactionCount else { throw .noSpace }
        let nodeLimit = actor.isPrivileged ? Int.max : limits.transactionNodeCount
        let opened = connections[id]?.open(
            StoreView(transactionOn: view.tree, nodeLimit: nodeLimit))
        guard let opened else { throw .ioError }
        transactionCounts[actor.domain] = count + 1
        return [UInt8](terminated: "\(opened)")
    }

    /// Ends a transaction, which is gone even when its changes are refused.
    private mutating func endTransaction(
        _ request: StoreMessage, of id: StoreConnectionID, _ actor: StoreActor
    ) throws(Errno) -> [StoreChange] {
        let commits: Bool
        switch request.payload {
        case [UInt8(ascii: "T"), 0]: commits = true
        case [UInt8(ascii: "F"), 0]: commits = false
        default: throw .invalidArgument
        }
        guard let ended = closeTransaction(request.transactionID, of: id, actor) else {
            throw .noSuchFileOrDirectory
        }
        return commits ? try view.commit(ended, as: actor, limits) : []
    }

    @discardableResult
    mutating func closeTransaction(
        _ number: UInt32, of id: StoreConnectionID, _ actor: StoreActor
    ) -> StoreView? {
        guard let closed = connections[id]?.transactions.removeValue(forKey: number) else {
            return nil
        }
        let count = transactionCounts[actor.domain, default: 0] - 1
        transactionCounts[actor.domain] = count > 0 ? count : nil
        return closed
    }

    // MARK: Domains

    private mutating func manageDomains(
        _ request: StoreMessage, _ type: StoreMessageType, _ actor: StoreActor,
        _ effects: inout [Effect]
    ) throws(Errno) -> [UInt8] {
        switch type {
        case .domainPath:
            let domain = try Arguments(request.payload, count: 1).domain(0)
            return [UInt8](terminated: "/local/domain/\(domain)")
        case .isDomainIntroduced:
            let domain = try Arguments(request.payload, count: 1).domain(0)
            return [UInt8](terminated: domains.contains(domain) ? "T" : "F")
        default: break
        }
        guard actor.isPrivileged else { throw .permissionDenied }
        // INTRODUCE has a page and a port behind the number: how Xen reaches the domain.
        let arguments = try Arguments(request.payload, count: type == .introduce ? 3 : 1)
        let domain = try arguments.domain(0)
        guard domain < .firstReserved, domain != .privileged else { throw .invalidArgument }
        if type == .introduce {
            effects.append(.appeared(domain))
            return Self.accepted
        }
        guard domains.contains(domain) else { throw .noSuchFileOrDirectory }
        if type == .release { effects.append(.died(domain)) }
        return Self.accepted
    }
}

extension StoreNode {
    /// The names of the children, each with a NUL behind it.
    fileprivate var childNames: [UInt8] {
        children.reduce(into: []) { $0.append(terminated: $1.name) }
    }

    /// The answer to DIRECTORY_PART: the generation, whole names from an offset on, and an empty
    /// name behind the last.
    fileprivate func part(from offset: Int) -> [UInt8] {
        let names = childNames
        var bytes = [UInt8](terminated: "\(childrenGeneration)")
        guard offset < names.count else { return bytes + [0] }
        // One byte is left for the empty name.
        let room = StoreWire.maximumPayloadByteCount - bytes.count - 1
        var rest = names[offset...].prefix(room)
        if offset + rest.count < names.count, let end = rest.lastIndex(of: 0) {
            rest = rest[...end]
        }
        bytes += rest
        if offset + rest.count == names.count { bytes.append(0) }
        return bytes
    }
}
