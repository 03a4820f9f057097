/// A node of the store with all below it.
///
/// A value: a copy shares everything with the original until one of them changes, and then the
/// arrays on the way to the change are copied, nothing else. So a snapshot of the store costs the
/// same whatever is in it, and the first change after one costs the children beside the way.
struct StoreNode: Sendable {
    /// A node under its name.
    struct Child: Sendable {
        let name: String
        var node: StoreNode
    }

    var value: [UInt8]
    var permissions: StorePermissions
    /// In order of their names.
    private(set) var children: [Child] = []
    /// When value or permissions last changed.
    var contentGeneration: UInt64
    /// When a child was last made or removed.
    private(set) var childrenGeneration: UInt64
    /// When anything here or below last changed.
    var subtreeGeneration: UInt64

    init(value: [UInt8], permissions: StorePermissions, generation: UInt64) {
        self.value = value
        self.permissions = permissions
        contentGeneration = generation
        childrenGeneration = generation
        subtreeGeneration = generation
    }

    /// Where the child of a name is, or would be.
    private func place(of name: String) -> (index: Int, isFound: Bool) {
        var low = 0
        var high = children.count
        while low < high {
            let middle = (low + high) / 2
            if children[middle].name < name { low = middle + 1 } else { high = middle }
        }
        return (low, low < children.count && children[low].name == name)
    }

    /// The child of a name, or `nil`.
    func child(_ name: String) -> StoreNode? {
        let place = place(of: name)
        return place.isFound ? children[place.index].node : nil
    }

    /// Puts a node under a name, in place of one that is there.
    mutating func setChild(_ node: StoreNode, name: String, generation: UInt64) {
        let place = place(of: name)
        if place.isFound {
            children[place.index].node = node
        } else {
            children.insert(Child(name: name, node: node), at: place.index)
            childrenGeneration = generation
        }
    }

    /// Removes a child with all below it.
    mutating func removeChild(_ name: String, generation: UInt64) -> StoreNode? {
        let place = place(of: name)
        guard place.isFound else { return nil }
        childrenGeneration = generation
        return children.remove(at: place.index).node
    }

    /// Changes a node below, and marks the way to it as changed.
    ///
    /// - Returns: What the closure returned; `nil` when there is no such node.
    mutating func edit<Value>(
        _ path: ArraySlice<String>, generation: UInt64, _ body: (inout StoreNode) -> Value
    ) -> Value? {
        subtreeGeneration = generation
        guard let name = path.first else { return body(&self) }
        let place = place(of: name)
        guard place.isFound else { return nil }
        return children[place.index].node.edit(
            path.dropFirst(), generation: generation, body)
    }

    /// Calls a closure with this node and every one below.
    func forEach(at path: StoreNodePath, _ body: (StoreNodePath, StoreNode) -> Void) {
        body(path, self)
        for child in children {
            child.node.forEach(at: path.child(child.name), body)
        }
    }

    /// Takes a domain that is no more out of every permission here and below.
    ///
    /// - Returns: Whether anything changed.
    mutating func strip(_ domain: DomainID, generation: UInt64) -> Bool {
        var isChanged = false
        if let left = permissions.without(domain) {
            permissions = left
            contentGeneration = generation
            isChanged = true
        }
        for index in children.indices where children[index].node.mentions(domain) {
            isChanged = children[index].node.strip(domain, generation: generation) || isChanged
        }
        if isChanged { subtreeGeneration = generation }
        return isChanged
    }

    /// Whether a domain has a part in the permissions here or below.
    private func mentions(_ domain: DomainID) -> Bool {
        permissions.mentions(domain) || children.contains { $0.node.mentions(domain) }
    }
}
