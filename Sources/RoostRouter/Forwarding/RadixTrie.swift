/// A path-compressed binary trie of prefixes: the authority on what routes there are.
///
/// The processor's alone; the packet path reads poptries that are compiled from it (Morrison, "PATRICIA",
/// 1968).
///
/// A node is a prefix that has a value, or one where two longer prefixes part. So there are fewer than
/// two nodes a prefix, each of 24 bytes for IPv4 and 40 for IPv6 with a value of 8 bytes. Nodes lie in
/// one array and name each other by index; the root, the prefix of length 0, is node 0 and always there.
struct RadixTrie<Address: TrieAddress, Value: BitwiseCopyable & Sendable>: Sendable {
    /// A node of the trie.
    struct Node: BitwiseCopyable, Sendable {
        /// The prefix's lowest address.
        var address: Address
        /// The nodes below whose next bit is 0 and 1; 0 is none, since the root is below none.
        var left: UInt32 = 0
        var right: UInt32 = 0
        /// What the prefix has; nil where longer ones only part.
        var value: Value?
        /// The prefix's bits.
        var length: UInt8

        var prefix: Prefix<Address> { Prefix(address, length: Int(length)) }
        var isBranch: Bool { left != 0 && right != 0 }
        /// One of the children, none of them if it is the only one.
        var onlyChild: UInt32 { left | right }

        func child(_ bit: Bool) -> UInt32 { bit ? right : left }

        mutating func setChild(_ bit: Bool, to node: UInt32) {
            if bit { right = node } else { left = node }
        }
    }

    /// The nodes in use and the free ones, which are linked through `left`.
    private(set) var nodes: [Node]
    private var freeNode: UInt32 = 0
    /// How many prefixes have a value.
    private(set) var count = 0

    /// A trie with no prefix.
    init() {
        nodes = [Node(address: .unspecified, length: 0)]
    }

    /// What the nodes take that were ever in use at once, in bytes.
    var byteCount: Int { nodes.count * MemoryLayout<Node>.stride }

    /// The value of exactly this prefix.
    func value(at prefix: Prefix<Address>) -> Value? {
        node(of: prefix).flatMap { nodes[Int($0)].value }
    }

    /// Gives a prefix a value.
    ///
    /// - Returns: The value it had.
    @discardableResult
    mutating func set(_ value: Value, at prefix: Prefix<Address>) -> Value? {
        var parent: UInt32 = 0
        while true {
            let node = nodes[Int(parent)]
            if Int(node.length) == prefix.length {
                nodes[Int(parent)].value = value
                if node.value == nil { count += 1 }
                return node.value
            }
            let bit = prefix.address.bit(Int(node.length))
            let next = node.child(bit)
            guard next != 0 else {
                link(makeNode(prefix, value), below: parent, bit)
                break
            }
            let child = nodes[Int(next)]
            let common = min(
                child.address.commonBitCount(with: prefix.address), prefix.length, Int(child.length)
            )
            if common == Int(child.length) {
                parent = next
                continue
            }
            let added = makeNode(prefix, value)
            if common == prefix.length {
                link(next, below: added, child.address.bit(common))
                link(added, below: parent, bit)
            } else {
                let branch = makeNode(Prefix(prefix.address, length: common), nil)
                link(next, below: branch, child.address.bit(common))
                link(added, below: branch, prefix.address.bit(common))
                link(branch, below: parent, bit)
            }
            break
        }
        count += 1
        return nil
    }

    /// Removes a prefix.
    ///
    /// - Returns: The value it had, nil if there is no such prefix.
    @discardableResult
    mutating func remove(_ prefix: Prefix<Address>) -> Value? {
        var grandparent: UInt32 = 0
        var parent: UInt32 = 0
        var index: UInt32 = 0
        while Int(nodes[Int(index)].length) < prefix.length {
            let next = nodes[Int(index)].child(prefix.address.bit(Int(nodes[Int(index)].length)))
            guard next != 0 else { return nil }
            (grandparent, parent, index) = (parent, index, next)
        }
        let node = nodes[Int(index)]
        guard Int(node.length) == prefix.length, node.address == prefix.address,
            let value = node.value
        else { return nil }
        nodes[Int(index)].value = nil
        count -= 1
        guard index != 0, !node.isBranch else { return value }
        link(node.onlyChild, below: parent, node.address.bit(Int(nodes[Int(parent)].length)))
        freeNode(index)
        // The parent was a branch for this node's sake, and now has one child.
        let above = nodes[Int(parent)]
        if node.onlyChild == 0, parent != 0, above.value == nil {
            link(
                above.onlyChild, below: grandparent,
                above.address.bit(Int(nodes[Int(grandparent)].length)))
            freeNode(parent)
        }
        return value
    }

    private mutating func link(_ child: UInt32, below parent: UInt32, _ bit: Bool) {
        nodes[Int(parent)].setChild(bit, to: child)
    }

    private mutating func makeNode(_ prefix: Prefix<Address>, _ value: Value?) -> UInt32 {
        let node = Node(address: prefix.address, value: value, length: UInt8(prefix.length))
        if freeNode != 0 {
            let index = freeNode
            freeNode = nodes[Int(index)].left
            nodes[Int(index)] = node
            return index
        }
        nodes.append(node)
        return UInt32(nodes.count - 1)
    }

    private mutating func freeNode(_ index: UInt32) {
        nodes[Int(index)] = Node(address: .unspecified, left: freeNode, length: 0)
        freeNode = index
    }
}
