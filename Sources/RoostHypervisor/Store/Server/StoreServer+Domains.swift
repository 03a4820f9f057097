package import SystemPackage

// What the hypervisor does to the store itself, past permissions and limits.
extension StoreServer {
    /// Announces a domain to who watches `@introduceDomain`.
    package mutating func domainAppeared(_ domain: DomainID) {
        guard domains.insert(domain).inserted else { return }
        tellSpecial(Self.introduceEvent)
    }

    /// Forgets a domain, and announces it to who watches `@releaseDomain`.
    ///
    /// Its connections end. Its nodes stay, but the privileged domain owns them now and nobody
    /// else may use them who is not listed; it is taken out of all lists. So what looks for the
    /// domain gets EACCES where it cannot see, and a later domain of the same number gets nothing.
    package mutating func domainDied(_ domain: DomainID) {
        guard domain != .privileged, domains.remove(domain) != nil else { return }
        let ordinary = connections.filter {
            $0.value.actor.domain == domain && !$0.value.actor.isPrivileged
        }
        for id in ordinary.keys {
            disconnect(id)
        }
        view.tree.strip(domain)
        for (name, permissions) in specialPermissions {
            specialPermissions[name] = permissions.without(domain) ?? permissions
        }
        for (id, connection) in connections {
            for number in connection.transactions.keys {
                connections[id]?.transactions[number]?.doom(domain)
            }
        }
        tellSpecial(Self.releaseEvent)
    }

    /// Gives a node a value and permissions, and makes it and what leads to it where missing.
    ///
    /// - Parameters:
    ///   - value: The value.
    ///   - path: Absolute.
    ///   - permissions: The permissions; `nil` leaves those it has, or inherits.
    /// - Throws: `invalidArgument` for what names no node.
    package mutating func put(
        _ value: [UInt8], at path: StorePath, permissions: StorePermissions? = nil
    ) throws(Errno) {
        let path = try node(path)
        tell(try view.write(value, to: path, as: .hypervisor, limits))
        if let permissions {
            tell(try view.setPermissions(permissions, of: path, as: .hypervisor, limits))
        }
    }

    /// Removes a node with all below it.
    ///
    /// - Parameter path: Absolute.
    /// - Returns: Whether there was one.
    /// - Throws: `invalidArgument` for what names no node, and for the root.
    package mutating func remove(_ path: StorePath) throws(Errno) -> Bool {
        let path = try node(path)
        guard view.tree.node(path) != nil else { return false }
        guard let change = try view.remove(path, as: .hypervisor) else { return false }
        tell(change)
        return true
    }

    /// A node's value; `nil` when there is no such node.
    package func value(at path: StorePath) -> [UInt8]? {
        StoreNodePath(path, of: .privileged).flatMap { view.tree.node($0)?.value }
    }

    /// A node's permissions; `nil` when there is no such node.
    package func permissions(of path: StorePath) -> StorePermissions? {
        StoreNodePath(path, of: .privileged).flatMap { view.tree.node($0)?.permissions }
    }

    /// The names of a node's children, in their order; `nil` when there is no such node.
    package func children(of path: StorePath) -> [String]? {
        StoreNodePath(path, of: .privileged).flatMap { view.tree.node($0)?.children.map(\.name) }
    }

    /// How many nodes a domain owns.
    package func nodeCount(of domain: DomainID) -> Int {
        view.tree.ownedCounts[domain, default: 0]
    }

    /// Says who is told of `@introduceDomain` or `@releaseDomain`; at first only the privileged.
    package mutating func setPermissions(_ permissions: StorePermissions, ofSpecial name: String) {
        guard specialPermissions[name] != nil else { return }
        specialPermissions[name] = permissions
    }

    private func node(_ path: StorePath) throws(Errno) -> StoreNodePath {
        guard let path = StoreNodePath(path, of: .privileged) else { throw .invalidArgument }
        return path
    }
}

extension StoreActor {
    /// The hypervisor itself.
    static let hypervisor = StoreActor(domain: .privileged, isPrivileged: true)
}
