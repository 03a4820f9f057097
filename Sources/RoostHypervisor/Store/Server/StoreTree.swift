/// All nodes of the store, and how many each domain owns.
///
/// A value like its nodes: a copy is a snapshot.
struct StoreTree: Sendable {
    private(set) var root: StoreNode
    /// The number of the last change; each has a greater one than those before it.
    private(set) var generation: UInt64 = 0
    private(set) var ownedCounts: [DomainID: Int] = [.privileged: 1]

    init() {
        root = StoreNode(
            value: [], permissions: StorePermissions(owner: .privileged), generation: 0)
    }

    /// The deepest node that exists on the way to a path, and how deep it lies.
    func deepest(_ path: StoreNodePath) -> (node: StoreNode, depth: Int) {
        var node = root
        for (depth, name) in path.components.enumerated() {
            guard let child = node.child(name) else { return (node, depth) }
            node = child
        }
        return (node, path.components.count)
    }

    /// The node at a path, or `nil`.
    func node(_ path: StoreNodePath) -> StoreNode? {
        let found = deepest(path)
        return found.depth == path.components.count ? found.node : nil
    }

    /// Gives a node a value and permissions; makes it when it is missing.
    ///
    /// - Precondition: Its parent exists.
    mutating func put(_ path: StoreNodePath, value: [UInt8], permissions: StorePermissions) {
        generation += 1
        let now = generation
        if let before = node(path) {
            count(before.permissions.owner, -1)
            _ = root.edit(path.components[...], generation: now) { node in
                node.value = value
                node.permissions = permissions
                node.contentGeneration = now
            }
        } else if let name = path.components.last {
            let node = StoreNode(value: value, permissions: permissions, generation: now)
            let made: Void? = root.edit(path.components.dropLast(), generation: now) { parent in
                parent.setChild(node, name: name, generation: now)
            }
            precondition(made != nil, "a node is put where its parent is missing")
        }
        count(permissions.owner, 1)
    }

    /// Removes a node with all below it.
    ///
    /// - Returns: What was removed; `nil` when there is no such node, or it is the root.
    mutating func remove(_ path: StoreNodePath) -> StoreNode? {
        guard let name = path.components.last, let removed = node(path) else { return nil }
        generation += 1
        let now = generation
        _ = root.edit(path.components.dropLast(), generation: now) { parent in
            parent.removeChild(name, generation: now)
        }
        removed.forEach(at: path) { _, node in count(node.permissions.owner, -1) }
        return removed
    }

    /// Puts a node with all below it in the place of what is there, if anything is.
    ///
    /// - Precondition: Its parent exists.
    mutating func graft(_ subtree: StoreNode, at path: StoreNodePath) {
        _ = remove(path)
        put(path, value: subtree.value, permissions: subtree.permissions)
        for child in subtree.children {
            graft(child.node, at: path.child(child.name))
        }
    }

    /// Takes a domain that is no more out of every permission.
    mutating func strip(_ domain: DomainID) {
        generation += 1
        _ = root.strip(domain, generation: generation)
        let owned = ownedCounts.removeValue(forKey: domain) ?? 0
        count(.privileged, owned)
    }

    private mutating func count(_ owner: DomainID, _ change: Int) {
        let count = ownedCounts[owner, default: 0] + change
        ownedCounts[owner] = count == 0 ? nil : count
    }
}
