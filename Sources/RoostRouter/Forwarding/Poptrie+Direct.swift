internal import RoostMemory

/// Compiling the direct part.
extension Poptrie {
    /// Compiles the slots that a region decides, into ``stores``.
    mutating func compileDirect<Value: PrefixValue>(
        _ region: TrieRegion<Address>, from trie: borrowing RadixTrie<Address, Value>,
        pool: inout TriePool
    ) throws(RouterError) {
        let first = Address.chunk(region.prefix.address.bits, at: 0, count: order)
        guard region.prefix.length <= order else {
            let word = pool.memory.words.relaxed(base + first)
            let old = Self.slot(word, pool.memory)
            let new = try pool.recompile(old, at: order, depth: 0, region: region, trie: trie)
            if new != old { try store(new, at: first, replacing: word, pool: &pool) }
            return
        }
        let slots = first..<first + 1 << (order - region.prefix.length)
        var cursor = first
        if let subtree = region.subtree {
            try visit(subtree, region: region, cursor: &cursor, trie: trie, pool: &pool)
        }
        fill(cursor..<slots.upperBound, with: region.value, pool: &pool)
    }

    /// Goes through a trie's prefixes of at most as many bits as the direct part has, in order.
    ///
    /// - Parameters:
    ///   - subtree: The trie's node to go on from.
    ///   - region: What changed.
    ///   - cursor: The first slot that was not compiled yet.
    ///   - trie: What there is now.
    ///   - pool: Where the blocks come from.
    /// - Throws: `RouterError` of kind `limit`.
    private mutating func visit<Value: PrefixValue>(
        _ subtree: UInt32, region: TrieRegion<Address>, cursor: inout Int,
        trie: borrowing RadixTrie<Address, Value>, pool: inout TriePool
    ) throws(RouterError) {
        let node = trie.nodes[Int(subtree)]
        let length = Int(node.length)
        let first = Address.chunk(node.address.bits, at: 0, count: order)
        if length <= order, length > region.prefix.length, node.value != nil {
            // What a longer prefix decides did not change.
            fill(cursor..<first, with: region.value, pool: &pool)
            cursor = first + 1 << (order - length)
        } else if length > order || length == order && node.onlyChild != 0 {
            fill(cursor..<first, with: region.value, pool: &pool)
            cursor = first + 1
            let word = pool.memory.words.relaxed(base + first)
            let old = Self.slot(word, pool.memory)
            let below = TrieRegion(
                prefix: Prefix(node.address, length: order), subtree: subtree, value: region.value)
            let new = try pool.compile(old, at: order, depth: 0, region: below, trie: trie)
            if new != old { try store(new, at: first, replacing: word, pool: &pool) }
        } else {
            if node.left != 0 {
                try visit(node.left, region: region, cursor: &cursor, trie: trie, pool: &pool)
            }
            if node.right != 0 {
                try visit(node.right, region: region, cursor: &cursor, trie: trie, pool: &pool)
            }
        }
    }

    private mutating func fill(_ slots: Range<Int>, with value: UInt16, pool: inout TriePool) {
        guard !slots.isEmpty else { return }
        for slot in slots {
            replaceSlot(pool.memory.words.relaxed(base + slot), pool: &pool)
        }
        stores.append(DirectStore(slots: slots, word: UInt32(value)))
    }

    private mutating func store(
        _ new: TrieSlot, at slot: Int, replacing word: UInt32, pool: inout TriePool
    ) throws(RouterError) {
        stores.append(DirectStore(slots: slot..<slot + 1, word: try Self.word(new, pool: &pool)))
        if TrieWord.isNode(word) { pool.replace(.nodes(word & TrieWord.indexMask, count: 1)) }
    }

    static func slot(_ word: UInt32, _ memory: ForwardingReader) -> TrieSlot {
        guard word & TrieWord.nodeFlag != 0 else { return .leaf(UInt16(truncatingIfNeeded: word)) }
        let index = word & TrieWord.indexMask
        return .node(
            TrieWord.isNode(word) ? memory.nodes[Int(index)] : TrieNode(leafBlock: index))
    }

    private static func word(_ slot: TrieSlot, pool: inout TriePool) throws(RouterError) -> UInt32 {
        switch slot {
        case .leaf(let value):
            return UInt32(value)
        case .node(let node) where node.children == 0:
            return node.leafBlock | TrieWord.leavesFlag | TrieWord.nodeFlag
        case .node(let node):
            let index = try pool.takeNodes(1)
            pool.memory.nodes.write(node, at: Int(index))
            return index | TrieWord.nodeFlag
        }
    }
}

/// Compiling a direct part that nobody can find yet.
extension Poptrie {
    /// Compiles a whole trie, the prefix of length 0 apart, into a new direct part.
    func fillDirect<Value: PrefixValue>(
        _ base: Int, order: Int, from trie: borrowing RadixTrie<Address, Value>,
        pool: inout TriePool
    ) throws(RouterError) {
        let direct = base..<base + 1 << order
        for slot in direct {
            pool.memory.words.storeRelaxed(0, at: slot)
        }
        for child in [trie.nodes[0].left, trie.nodes[0].right] where child != 0 {
            try fillDirect(direct, order: order, subtree: child, value: 0, from: trie, pool: &pool)
        }
    }

    private func fillDirect<Value: PrefixValue>(
        _ direct: Range<Int>, order: Int, subtree: UInt32, value: UInt16,
        from trie: borrowing RadixTrie<Address, Value>, pool: inout TriePool
    ) throws(RouterError) {
        let node = trie.nodes[Int(subtree)]
        let length = Int(node.length)
        let first = direct.lowerBound + Address.chunk(node.address.bits, at: 0, count: order)
        var value = value
        if length <= order, let own = node.value {
            value = own.leaf
            for slot in first..<first + 1 << (order - length) {
                pool.memory.words.storeRelaxed(UInt32(value), at: slot)
            }
        }
        guard length < order else {
            guard length > order || node.onlyChild != 0 else { return }
            let region = TrieRegion(
                prefix: Prefix(node.address, length: order), subtree: subtree, value: value)
            let slot = try pool.compile(nil, at: order, depth: 0, region: region, trie: trie)
            pool.memory.words.storeRelaxed(try Self.word(slot, pool: &pool), at: first)
            return
        }
        for child in [node.left, node.right] where child != 0 {
            try fillDirect(
                direct, order: order, subtree: child, value: value, from: trie, pool: &pool)
        }
    }
}
