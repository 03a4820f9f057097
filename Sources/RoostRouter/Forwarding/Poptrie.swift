internal import RoostMemory

/// One table of a family as the packet path reads it: a 64-ary trie with its first bits in a direct part.
///
///     root word ──▶ direct part: 2ˢ slots, by the first s bits of an address
///                     0 · value          what the address finds
///                     1 · node ──▶ node: 64 slots, by the next six bits
///                                    leaf: the value of the run that the slot lies in
///                                    node: the next six bits …
///
/// Asai and Ohara, "Poptrie: A Compressed Trie with Population Count for Fast and Scalable Software IP
/// Routing Table Lookup" (2015). A value is 16 bits, 0 for no route. The direct part grows and shrinks
/// with the number of prefixes, so that a table of a few routes takes a kilobyte and a full one is
/// two or three loads deep. The prefix of length 0 is a word beside the root instead.
///
/// A change compiles what its prefix decides into fresh blocks, down the one path that leads there, and
/// publishes it with one releasing store a slot of the direct part. Readers in the old blocks go on in them.
struct Poptrie<Address: TrieAddress>: Sendable {
    /// Where the root word lies among the roots.
    let rootIndex: Int
    /// How many bits of an address index the direct part; 0 when there is none.
    private(set) var order = 0
    /// Where the direct part lies.
    private(set) var base = 0
    /// Slots to be published, and their new words.
    var stores: [DirectStore] = []

    /// Some slots of a direct part that get the same word.
    struct DirectStore {
        var slots: Range<Int>
        var word: UInt32
    }

    /// A table without prefixes, in a namespace.
    init(namespace: NamespaceIndex) {
        rootIndex = Int(namespace.rawValue) * TrieWord.rootStride + Address.rootOffset
    }

    /// Has readers find what a trie says of a prefix that was set or removed.
    ///
    /// - Parameters:
    ///   - prefix: What changed in the trie since the last update, which is all that did.
    ///   - trie: The authority.
    ///   - pool: Where the blocks come from.
    /// - Returns: The epoch in which the old answer could be found.
    /// - Throws: `RouterError` of kind `limit` when the pool is exhausted; readers find what they found.
    @discardableResult
    mutating func update<Value: PrefixValue>(
        _ prefix: Prefix<Address>, from trie: borrowing RadixTrie<Address, Value>,
        pool: inout TriePool
    ) throws(RouterError) -> UInt64 {
        guard prefix.length > 0 else {
            let value = trie.value(at: prefix)?.leaf ?? 0
            pool.memory.roots.release(UInt32(value), at: rootIndex + 1)
            return pool.commit()
        }
        let prefixes = trie.count - (trie.nodes[0].value == nil ? 0 : 1)
        let wanted = Address.directBits(prefixes: prefixes, now: order)
        if wanted != order {
            do {
                return try rebuild(order: wanted, from: trie, pool: &pool)
            } catch {
                // There is a direct part, only not of the best size.
                guard order != 0 else { throw error }
            }
        }
        let subtree = trie.topmost(under: prefix)
        let own = subtree.flatMap { index in
            Int(trie.nodes[Int(index)].length) == prefix.length
                ? trie.nodes[Int(index)].value?.leaf : nil
        }
        pool.usesReserve = own == nil
        let region = TrieRegion(
            prefix: prefix, subtree: subtree, value: own ?? trie.coveringLeaf(prefix))
        do {
            try compileDirect(region, from: trie, pool: &pool)
        } catch {
            stores.removeAll()
            pool.abort()
            throw error
        }
        for store in stores {
            for slot in store.slots {
                pool.memory.words.release(store.word, at: base + slot)
            }
        }
        stores.removeAll(keepingCapacity: stores.count < 4096)
        return pool.commit()
    }

    /// Compiles the whole trie with a direct part of some bits, and has readers find it.
    private mutating func rebuild<Value: PrefixValue>(
        order wanted: Int, from trie: borrowing RadixTrie<Address, Value>, pool: inout TriePool
    ) throws(RouterError) -> UInt64 {
        var newBase = 0
        if wanted != 0 {
            do {
                newBase = Int(try pool.takeWords(order: wanted))
                try fillDirect(newBase, order: wanted, from: trie, pool: &pool)
            } catch {
                pool.abort()
                throw error
            }
        }
        pool.memory.roots.release(UInt32(newBase | wanted), at: rootIndex)
        if order != 0 {
            for slot in 0..<1 << order {
                replaceSlot(pool.memory.words.relaxed(base + slot), pool: &pool)
            }
            pool.replace(.words(UInt32(base), order: UInt8(order)))
        }
        order = wanted
        base = newBase
        return pool.commit()
    }

    /// Gives all blocks back; readers find no route from then on.
    ///
    /// - Returns: The epoch in which routes could be found.
    @discardableResult
    mutating func removeAll(pool: inout TriePool) -> UInt64 {
        pool.memory.roots.release(0, at: rootIndex)
        pool.memory.roots.release(0, at: rootIndex + 1)
        if order != 0 {
            for slot in 0..<1 << order {
                replaceSlot(pool.memory.words.relaxed(base + slot), pool: &pool)
            }
            pool.replace(.words(UInt32(base), order: UInt8(order)))
        }
        order = 0
        base = 0
        return pool.commit()
    }

    /// Names what a slot's word leads to as replaced.
    func replaceSlot(_ word: UInt32, pool: inout TriePool) {
        guard let node = Self.slot(word, pool.memory).node else { return }
        pool.replaceAll(of: node)
        if TrieWord.isNode(word) { pool.replace(.nodes(word & TrieWord.indexMask, count: 1)) }
    }
}

extension RadixTrie where Value: PrefixValue {
    /// What addresses of a prefix find for want of a longer one, the route to everywhere apart.
    func coveringLeaf(_ prefix: Prefix<Address>) -> UInt16 {
        guard let covering = covering(prefix), covering.prefix.length > 0 else { return 0 }
        return covering.value.leaf
    }
}

extension TrieAddress {
    /// How many bits the direct part of a table has.
    ///
    /// A kilobyte for tens of routes, 16 for
    /// thousands, 256 for tens of thousands, and a mebibyte for full tables.
    ///
    /// - Parameters:
    ///   - prefixes: How many the table has.
    ///   - now: How many bits it has now: a part is kept until half of its share would do, so that a
    ///     route which comes and goes does not have the table compiled each time.
    /// - Returns: The bits, 0 for no prefixes.
    static func directBits(prefixes: Int, now: Int) -> Int {
        guard prefixes > 0 else { return 0 }
        func bits(_ count: Int) -> Int {
            count <= 128 ? 8 : count <= 4096 ? 12 : count <= 65_536 ? 16 : 18
        }
        let wanted = bits(prefixes)
        return wanted < now && bits(prefixes * 2) >= now ? now : wanted
    }
}
