internal import RoostMemory

/// The forwarding tables of a router as its workers read them.
///
/// A lookup is good inside the batch of a ``Quiescence`` in which it was made: what it found is not used
/// for anything else until the batch has ended. Any number of threads look up at once; nothing is
/// counted, locked or written.
public final class ForwardingReader: Sendable {
    /// Namespaces there can be: each index.
    static let namespaceLimit = 1 << 16

    /// Nodes of all poptries.
    let nodes: SharedArray<TrieNode>
    /// Blocks of leaves of all poptries.
    let leafWords: SharedArray<UInt64>
    /// Direct parts, tables of path groups, and the buckets of groups with several paths.
    let words: AtomicArray<UInt32>
    /// Of each namespace ``TrieWord/rootStride`` words.
    let roots: AtomicArray<UInt32>

    /// Whether the processor counts bits by an instruction.
    let countsBits = ProcessorBitCounter.isAvailable

    init(limits: ForwardingLimits) throws(RouterError) {
        do {
            nodes = try SharedArray(count: limits.nodes)
            leafWords = try SharedArray(count: limits.leafWords)
            words = try AtomicArray(count: limits.words)
            roots = try AtomicArray(count: Self.namespaceLimit * TrieWord.rootStride)
        } catch {
            throw RouterError(error, for: "forwarding tables")
        }
    }

    /// The path group of the longest prefix that an address lies in, none where there is no route.
    public func lookup(_ address: IPv4Address, in namespace: NamespaceIndex) -> PathGroupIndex {
        PathGroupIndex(rawValue: find(address, in: namespace))
    }

    /// The path group of the longest prefix that an address lies in, none where there is no route.
    public func lookup(_ address: IPv6Address, in namespace: NamespaceIndex) -> PathGroupIndex {
        PathGroupIndex(rawValue: find(address, in: namespace))
    }
}

extension ForwardingReader {
    /// The value of the longest prefix, in any family.
    @inline(__always)  // The two families' lookups, and loops over them, are each one function.
    func find<Address: TrieAddress>(_ address: Address, in namespace: NamespaceIndex) -> UInt16 {
        let rootIndex = Int(namespace.rawValue) &* TrieWord.rootStride &+ Address.rootOffset
        // SAFETY: there are roots for every number of a namespace.
        let root = unsafe roots.acquireUnchecked(rootIndex)
        let value =
            countsBits
            ? find(address, from: root, by: ProcessorBitCounter.self)
            : findPortably(address, from: root)
        // The route to everywhere is no part of the trie, so that changing it is one store.
        // SAFETY: as above.
        return value != 0
            ? value : UInt16(truncatingIfNeeded: unsafe roots.acquireUnchecked(rootIndex &+ 1))
    }

    /// The same as below, kept out of the way of what nearly every processor runs.
    @inline(never)
    func findPortably<Address: TrieAddress>(_ address: Address, from root: UInt32) -> UInt16 {
        find(address, from: root, by: PortableBitCounter.self)
    }

    /// The value of the longest prefix but the one of length 0.
    @inline(__always)
    func find<Address: TrieAddress, Counter: BitCounter>(
        _ address: Address, from root: UInt32, by counter: Counter.Type
    ) -> UInt16 {
        let (first, rest) = address.split(at: root & TrieWord.orderMask)
        // SAFETY: a root names a direct part of 2^order words.
        let word = unsafe words.acquireUnchecked(Int(root & ~TrieWord.orderMask) &+ first)
        guard word & TrieWord.nodeFlag != 0 else { return UInt16(truncatingIfNeeded: word) }
        return descend(rest, from: word, by: counter)
    }

    /// Goes on from a direct part's slot that leads to a node or to leaves.
    ///
    /// - Parameters:
    ///   - bits: The address's bits from there on.
    ///   - word: The slot's word.
    ///   - counter: How bits are counted.
    /// - Returns: The leaf's value.
    @inline(__always)
    func descend<Bits: FixedWidthInteger & UnsignedInteger, Counter: BitCounter>(
        _ bits: Bits, from word: UInt32, by counter: Counter.Type
    ) -> UInt16 {
        var bits = bits
        var block = Int(word & TrieWord.indexMask)
        if word & TrieWord.leavesFlag == 0 {
            var index = block
            while true {
                // SAFETY: a word or a node that readers can find names nodes that were written before
                // it, in the array, and are not used for others while a batch can find them.
                let node = unsafe nodes.unchecked(index)
                let upTo = node.children &<< Self.slotShift(bits)
                guard upTo >> 63 != 0 else {
                    block = Int(node.leafBlock)
                    break
                }
                index = Int(node.firstChild) &+ Counter.count(upTo) &- 1
                bits &<<= 6
            }
        }
        // SAFETY: as above, of blocks of leaves.
        let runs = unsafe leafWords.unchecked(block)
        return leaf(bits, runs: runs, inBlock: block, by: counter)
    }

    /// The leaf of the slot of the next six bits.
    ///
    /// - Parameters:
    ///   - bits: The address's bits from the node on.
    ///   - runs: The block's first word.
    ///   - block: Where it lies; the slot is a leaf of it.
    ///   - counter: How bits are counted.
    /// - Returns: The leaf's value.
    @inline(__always)
    func leaf<Bits: FixedWidthInteger & UnsignedInteger, Counter: BitCounter>(
        _ bits: Bits, runs: UInt64, inBlock block: Int, by counter: Counter.Type
    ) -> UInt16 {
        // The first leaf comes after the word of runs, and the first run is counted as 1.
        let place = block &* LeafBlock.leavesPerWord &+ LeafBlock.leavesPerWord &- 1
        // SAFETY: the slot is a leaf, so it or one before it begins a run, whose leaf is in the block.
        return unsafe leafWords.uncheckedQuarter(
            place &+ Counter.count(runs &<< Self.slotShift(bits)))
    }

    /// How far a word of 64 slots is shifted for the slot of the next six bits to be the highest one left,
    /// above those before it.
    @inline(__always)
    private static func slotShift<Bits: FixedWidthInteger & UnsignedInteger>(_ bits: Bits) -> UInt64
    {
        63 &- UInt64(truncatingIfNeeded: bits &>> Bits(truncatingIfNeeded: Bits.bitWidth - 6))
    }

    /// The leaf of a run of a block.
    func leaf(_ run: Int, inBlock block: UInt32) -> UInt16 {
        let word = leafWords[Int(block) + 1 + run / LeafBlock.leavesPerWord]
        return UInt16(truncatingIfNeeded: word >> UInt64(run % LeafBlock.leavesPerWord * 16))
    }
}
