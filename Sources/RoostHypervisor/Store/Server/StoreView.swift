internal import SystemPackage

/// The store as one transaction sees it, or as all others do.
///
/// Both check and do the same; a transaction also keeps a record of what it has looked at and
/// changed.
struct StoreView: Sendable {
    var tree: StoreTree
    /// `nil` outside of transactions.
    private(set) var record: StoreTransactionRecord?

    /// Everybody's view.
    init(_ tree: StoreTree) {
        self.tree = tree
    }

    /// A transaction's view, which begins as everybody's is now.
    ///
    /// - Parameters:
    ///   - tree: The store as it is now.
    ///   - nodeLimit: How many nodes it may look at.
    init(transactionOn tree: StoreTree, nodeLimit: Int) {
        self.tree = tree
        record = StoreTransactionRecord(base: tree, nodeLimit: nodeLimit)
    }

    /// Lets the transaction's end fail.
    mutating func markDoomed() {
        record?.isDoomed = true
    }

    /// Reads a node's value.
    mutating func read(_ path: StoreNodePath, as actor: StoreActor) throws(Errno) -> [UInt8] {
        try find(path, .read, as: actor).value
    }

    /// Reads a node's permissions.
    mutating func permissions(
        of path: StoreNodePath, as actor: StoreActor
    ) throws(Errno) -> StorePermissions {
        try find(path, .read, as: actor).permissions
    }

    /// A node, for the names of its children.
    mutating func directory(
        _ path: StoreNodePath, as actor: StoreActor
    ) throws(Errno) -> StoreNode {
        let node = try find(path, .read, as: actor)
        try record?.note(.children, path)
        return node
    }

    /// Writes a value; makes the node, and what leads to it, where they are missing.
    mutating func write(
        _ value: [UInt8], to path: StoreNodePath, as actor: StoreActor, _ limits: StoreLimits
    ) throws(Errno) -> StoreChange {
        guard actor.isPrivileged || value.count <= limits.valueByteCount else {
            throw .noSpace
        }
        if let node = try findOrAbsent(path, .write, as: actor) {
            tree.put(path, value: value, permissions: node.permissions)
            record?.changed(path, isWatched: true)
        } else {
            try make(path, value, as: actor, limits)
        }
        return .changed(path)
    }

    /// Makes an empty node.
    ///
    /// - Returns: `nil` when there was one.
    mutating func makeDirectory(
        _ path: StoreNodePath, as actor: StoreActor, _ limits: StoreLimits
    ) throws(Errno) -> StoreChange? {
        guard try findOrAbsent(path, .write, as: actor) == nil else { return nil }
        try make(path, [], as: actor, limits)
        return .changed(path)
    }

    /// Removes a node and all below it.
    ///
    /// - Returns: `nil` when there was none, but its parent exists.
    mutating func remove(
        _ path: StoreNodePath, as actor: StoreActor
    ) throws(Errno) -> StoreChange? {
        guard let parent = path.parent else { throw .invalidArgument }
        guard try findOrAbsent(path, .write, as: actor) != nil else {
            guard tree.node(parent) != nil else { throw .noSuchFileOrDirectory }
            return nil
        }
        try record?.note(.subtree, path)
        guard let removed = tree.remove(path) else { return nil }
        record?.removed(path)
        return .removed(path, removed)
    }

    /// Replaces a node's permissions, which its owner may.
    mutating func setPermissions(
        _ permissions: StorePermissions, of path: StoreNodePath, as actor: StoreActor,
        _ limits: StoreLimits
    ) throws(Errno) -> StoreChange {
        guard actor.isPrivileged || permissions.listed.count < limits.permissionCount else {
            throw .noSpace
        }
        let node = try find(path, .write, as: actor)
        guard actor.isPrivileged || node.permissions.owner == actor.domain else {
            throw .permissionDenied
        }
        guard actor.isPrivileged || permissions.owner == actor.domain else {
            throw .notPermitted
        }
        tree.put(path, value: node.value, permissions: permissions)
        record?.changed(path, isWatched: true)
        return .permissions(path, before: node.permissions)
    }

    /// The node at a path, if the actor may do what it wants with it.
    ///
    /// Who may not learn whether the node exists gets EACCES: what counts for a missing one are
    /// the permissions of the deepest node on the way that exists.
    private mutating func find(
        _ path: StoreNodePath, _ wanted: StorePermissions.Access, as actor: StoreActor
    ) throws(Errno) -> StoreNode {
        guard let node = try findOrAbsent(path, wanted, as: actor) else {
            throw .noSuchFileOrDirectory
        }
        return node
    }

    /// As ``find(_:_:as:)``, but `nil` when the actor may learn that there is no such node.
    private mutating func findOrAbsent(
        _ path: StoreNodePath, _ wanted: StorePermissions.Access, as actor: StoreActor
    ) throws(Errno) -> StoreNode? {
        let (node, depth) = tree.deepest(path)
        let isFound = depth == path.components.count
        try record?.note(.content, path.ancestor(at: depth))
        if !isFound { try record?.note(.content, path.ancestor(at: depth + 1)) }
        guard actor.may(wanted, node.permissions) else { throw .permissionDenied }
        return isFound ? node : nil
    }

    /// Makes a missing node and what leads to it, with the permissions of the node above; an
    /// ordinary domain owns what it makes.
    private mutating func make(
        _ path: StoreNodePath, _ value: [UInt8], as actor: StoreActor, _ limits: StoreLimits
    ) throws(Errno) {
        let (above, depth) = tree.deepest(path)
        var permissions = above.permissions
        if !actor.isPrivileged {
            permissions.owner = actor.domain
            let owned = tree.ownedCounts[actor.domain, default: 0]
            guard owned + path.components.count - depth <= limits.nodeCount else {
                throw .noSpace
            }
        }
        let missing = (depth + 1...path.components.count).map { path.ancestor(at: $0) }
        // All before the first is made: what is refused leaves nothing behind.
        for made in missing {
            try record?.note(.content, made)
        }
        for made in missing {
            let isLast = made == path
            tree.put(made, value: isLast ? value : [], permissions: permissions)
            record?.changed(made, isWatched: isLast)
        }
    }
}
