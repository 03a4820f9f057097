internal import RoostMemory

/// A value of a radix trie that poptries can be compiled from.
protocol PrefixValue: BitwiseCopyable, Sendable {
    /// What lookups answer: not 0.
    var leaf: UInt16 { get }
}

/// What is to be compiled: the addresses of a prefix, which changed.
struct TrieRegion<Address: TrieAddress> {
    /// The prefix.
    var prefix: Prefix<Address>
    /// The trie's highest node whose addresses all lie in it, if any.
    var subtree: UInt32?
    /// What those of its addresses find that no longer prefix covers.
    var value: UInt16
}

/// Compiling a node: of the old one whatever did not change is kept.
///
/// A slot's content follows from the trie alone, so a poptrie after any changes is the one that would be
/// compiled afresh: a node whose slots are equal leaves is always a leaf in its parent.
extension TriePool {
    /// Compiles the part of a slot's content that a region decides.
    ///
    /// - Parameters:
    ///   - old: The content before.
    ///   - offset: How many bits of an address lead to the slot.
    ///   - depth: How many nodes are being compiled above.
    ///   - region: What changed; it lies below the slot.
    ///   - trie: What there is now.
    /// - Returns: The content now; the old one if nothing differs.
    /// - Throws: `RouterError` of kind `limit`.
    mutating func recompile<Address, Value: PrefixValue>(
        _ old: TrieSlot, at offset: Int, depth: Int, region: TrieRegion<Address>,
        trie: borrowing RadixTrie<Address, Value>
    ) throws(RouterError) -> TrieSlot {
        guard region.prefix.length > offset + 6 else {
            return try compile(old, at: offset, depth: depth, region: region, trie: trie)
        }
        let index = Address.chunk(region.prefix.address.bits, at: offset, count: 6)
        let oldSlot = content(of: old, index)
        let newSlot = try recompile(
            oldSlot, at: offset + 6, depth: depth + 1, region: region, trie: trie)
        guard newSlot != oldSlot else { return old }
        if case .node(let oldNode) = old, case .node(let newChild) = newSlot, case .node = oldSlot {
            return .node(try replaceChild(of: oldNode, at: index, with: newChild))
        }
        var mask = scratch.expand(old, at: depth, from: memory)
        scratch.setSlot(index, at: depth, to: newSlot, nodes: &mask)
        return try build(depth: depth, nodes: mask, replacing: old)
    }

    /// Compiles the slots of a node that a region covers, all of them if it covers the node.
    ///
    /// - Parameters:
    ///   - old: The content before; nil to compile everything afresh, and then the region's prefix is
    ///     the node's.
    ///   - offset: How many bits of an address lead to the node.
    ///   - depth: How many nodes are being compiled above.
    ///   - region: What changed; it covers slots of the node, or the node.
    ///   - trie: What there is now.
    /// - Returns: The content now.
    /// - Throws: `RouterError` of kind `limit`.
    mutating func compile<Address, Value: PrefixValue>(
        _ old: TrieSlot?, at offset: Int, depth: Int, region: TrieRegion<Address>,
        trie: borrowing RadixTrie<Address, Value>
    ) throws(RouterError) -> TrieSlot {
        let slots = Self.slots(of: region.prefix, at: offset)
        var mask = old.map { scratch.expand($0, at: depth, from: memory) } ?? 0
        scratch.paint(slots, at: depth, with: region.value)
        scratch.clearSubtrees(slots, at: depth)
        var covered: UInt64 = 0
        if let subtree = region.subtree {
            paint(
                subtree, at: offset, depth: depth, above: region.prefix.length, covered: &covered,
                trie: trie)
        }
        for index in slots {
            // What a longer prefix than the region's decides did not change.
            if old != nil, covered >> UInt64(index) & 1 != 0 { continue }
            let (value, subtree) = scratch.painted(index, at: depth)
            let oldSlot = old != nil ? scratch.slot(index, at: depth, nodes: mask) : nil
            let newSlot: TrieSlot
            if subtree != 0 {
                let below = TrieRegion(
                    prefix: Prefix(trie.nodes[Int(subtree)].address, length: offset + 6),
                    subtree: subtree, value: value)
                newSlot = try compile(
                    oldSlot, at: offset + 6, depth: depth + 1, region: below, trie: trie)
            } else {
                newSlot = .leaf(value)
                if case .node(let node) = oldSlot { replaceAll(of: node) }
            }
            scratch.setSlot(index, at: depth, to: newSlot, nodes: &mask)
        }
        return try build(depth: depth, nodes: mask, replacing: old)
    }

    /// Which slots of a node a prefix covers.
    private static func slots<Address>(of prefix: Prefix<Address>, at offset: Int) -> Range<Int>
    where Address: TrieAddress {
        guard prefix.length > offset else { return 0..<64 }
        let first = Address.chunk(prefix.address.bits, at: offset, count: 6)
        return first..<first + 1 << (offset + 6 - prefix.length)
    }

    /// Lays a trie's prefixes over the slots of a node, shorter ones first.
    ///
    /// - Parameters:
    ///   - subtree: The trie's node to go on from.
    ///   - offset: How many bits of an address lead to the node.
    ///   - depth: How many nodes are being compiled above.
    ///   - above: Prefixes of more bits count, the others are inherited already.
    ///   - covered: The slots that they decide are added to it.
    ///   - trie: What there is now.
    private mutating func paint<Address, Value: PrefixValue>(
        _ subtree: UInt32, at offset: Int, depth: Int, above: Int, covered: inout UInt64,
        trie: borrowing RadixTrie<Address, Value>
    ) {
        let node = trie.nodes[Int(subtree)]
        let length = Int(node.length)
        let first = Address.chunk(node.address.bits, at: offset, count: 6)
        if length <= offset + 6, length > above, let value = node.value {
            // A prefix longer than the node's: its slots lie in one run of a power of two.
            let count = 1 << (offset + 6 - length)
            scratch.paint(first..<first + count, at: depth, with: value.leaf)
            covered |= (count == 64 ? .max : (1 << UInt64(count)) - 1) << UInt64(first)
        }
        if length > offset + 6 || length == offset + 6 && node.onlyChild != 0 {
            scratch.setSubtree(subtree, below: first, at: depth)
            return
        }
        if node.left != 0 {
            paint(
                node.left, at: offset, depth: depth, above: above, covered: &covered, trie: trie)
        }
        if node.right != 0 {
            paint(
                node.right, at: offset, depth: depth, above: above, covered: &covered, trie: trie)
        }
    }

    /// Makes the content of a slot from what is laid out, in blocks of its own where it differs.
    private mutating func build(
        depth: Int, nodes mask: UInt64, replacing old: TrieSlot?
    ) throws(RouterError) -> TrieSlot {
        let oldNode = old?.node
        let runCount = scratch.makeBlock(at: depth, nodes: mask)
        guard mask != 0 || runCount > 1 else {
            if let oldNode { replaceBlocks(of: oldNode) }
            return .leaf(UInt16(truncatingIfNeeded: scratch.blockWord(1)))
        }
        var node = TrieNode(children: mask)
        if let oldNode, runCount > 0, hasLeaves(oldNode) {
            node.leafBlock = oldNode.leafBlock
        } else {
            if runCount > 0 { node.leafBlock = try makeLeafBlock() }
            if let oldNode { replaceLeaves(of: oldNode) }
        }
        if let oldNode, mask == oldNode.children, hasChildren(oldNode, depth: depth) {
            node.firstChild = oldNode.firstChild
        } else {
            if mask != 0 { node.firstChild = try makeChildren(depth: depth, nodes: mask) }
            if let oldNode { replaceChildren(of: oldNode) }
        }
        return .node(node)
    }

    /// Writes the scratch's leaves to a block of their own.
    private mutating func makeLeafBlock() throws(RouterError) -> UInt32 {
        let count = LeafBlock.wordCount(runs: scratch.blockWord(0))
        let first = try takeLeafWords(count)
        for word in 0..<count {
            memory.leafWords.write(scratch.blockWord(word), at: Int(first) + word)
        }
        return first
    }

    /// Writes the scratch's nodes of a depth to a block of their own.
    private mutating func makeChildren(
        depth: Int, nodes mask: UInt64
    ) throws(RouterError) -> UInt32 {
        let first = try takeNodes(mask.nonzeroBitCount)
        var place = Int(first)
        for index in 0..<64 where mask >> UInt64(index) & 1 != 0 {
            memory.nodes.write(scratch.node(index, at: depth), at: place)
            place += 1
        }
        return first
    }

    /// Whether a node's leaves are the scratch's.
    private func hasLeaves(_ node: TrieNode) -> Bool {
        guard node.hasLeaves else { return false }
        let runs = scratch.blockWord(0)
        for word in 0..<LeafBlock.wordCount(runs: runs) {
            // The first word tells how many there are to compare.
            guard memory.leafWords[Int(node.leafBlock) + word] == scratch.blockWord(word) else {
                return false
            }
        }
        return true
    }

    private func hasChildren(_ node: TrieNode, depth: Int) -> Bool {
        var place = Int(node.firstChild)
        for index in 0..<64 where node.children >> UInt64(index) & 1 != 0 {
            guard memory.nodes[place] == scratch.node(index, at: depth) else { return false }
            place += 1
        }
        return true
    }

    /// The node with another child in one place: the others are copied, the leaves stay.
    private mutating func replaceChild(
        of node: TrieNode, at index: Int, with child: TrieNode
    ) throws(RouterError) -> TrieNode {
        var node = node
        let count = node.children.nonzeroBitCount
        let place = (node.children & (1 << UInt64(index) - 1)).nonzeroBitCount
        let first = try takeNodes(count)
        for other in 0..<count {
            let copy = other == place ? child : memory.nodes[Int(node.firstChild) + other]
            memory.nodes.write(copy, at: Int(first) + other)
        }
        replaceChildren(of: node)
        node.firstChild = first
        return node
    }

    /// What a slot of a node holds; each of a leaf's slots holds the leaf.
    private func content(of slot: TrieSlot, _ index: Int) -> TrieSlot {
        guard case .node(let node) = slot else { return slot }
        let upTo = (2 as UInt64 &<< UInt64(index)) &- 1
        if node.children >> UInt64(index) & 1 != 0 {
            let child = (node.children & upTo).nonzeroBitCount - 1
            return .node(memory.nodes[Int(node.firstChild) + child])
        }
        let runs = memory.leafWords[Int(node.leafBlock)]
        let run = (runs & upTo).nonzeroBitCount - 1
        return .leaf(memory.leaf(run, inBlock: node.leafBlock))
    }
}

extension TriePool {
    /// Names all blocks below a node as replaced.
    mutating func replaceAll(of node: TrieNode) {
        for child in 0..<node.children.nonzeroBitCount {
            replaceAll(of: memory.nodes[Int(node.firstChild) + child])
        }
        replaceBlocks(of: node)
    }

    private mutating func replaceBlocks(of node: TrieNode) {
        replaceChildren(of: node)
        replaceLeaves(of: node)
    }

    private mutating func replaceChildren(of node: TrieNode) {
        guard node.children != 0 else { return }
        replace(.nodes(node.firstChild, count: UInt8(node.children.nonzeroBitCount)))
    }

    private mutating func replaceLeaves(of node: TrieNode) {
        guard node.hasLeaves else { return }
        let count = LeafBlock.wordCount(runs: memory.leafWords[Int(node.leafBlock)])
        replace(.leafWords(node.leafBlock, count: UInt8(count)))
    }
}
