/// A node of a poptrie: what the next six bits of an address lead to.
///
///     0   children    bit i: slot i leads to a node                  64 bits
///     8   firstChild  index of the first child, the others follow    32 bits
///     12  leafBlock   index of the block of the slots that are leaves  32 bits
///
/// Its leaves lie in a block by themselves, together with the word that tells one from another, so that
/// a node without children needs no node at all:
///
///     0   runs        bit i: at slot i begins a run of equal leaves  64 bits
///     8   leaves      one a run, 16 bits each, four to a word
///
/// Asai and Ohara, "Poptrie" (2015), sections 3.1 to 3.3; there both words lie in the node.
struct TrieNode: BitwiseCopyable, Equatable, Sendable {
    /// Bit i is set where slot i leads to a node.
    var children: UInt64 = 0
    /// Where the first child lies.
    var firstChild: UInt32 = 0
    /// Where the leaves lie, if there are any.
    var leafBlock: UInt32 = 0

    /// Whether any slot is a leaf.
    var hasLeaves: Bool { children != .max }
}

/// A block of leaves.
enum LeafBlock {
    /// Leaves in a word.
    static let leavesPerWord = 4
    /// Words of the largest block: one of runs, and a leaf for each of 64 slots.
    static let wordLimit = 17

    /// How many words a block has.
    ///
    /// - Parameter runs: Its first word.
    /// - Returns: 2 to ``wordLimit``.
    static func wordCount(runs: UInt64) -> Int {
        1 + (runs.nonzeroBitCount + leavesPerWord - 1) / leavesPerWord
    }
}

/// What a slot leads to: a leaf's value, or a node.
enum TrieSlot: BitwiseCopyable, Equatable, Sendable {
    /// A path group, 0 for no route.
    case leaf(UInt16)
    /// Longer prefixes.
    case node(TrieNode)

    /// The node, if it is one.
    var node: TrieNode? {
        if case .node(let node) = self { node } else { nil }
    }
}

/// The 32-bit words that publish what a table has: of a direct part's slot and of a table's root.
///
///     slot    0 · path group (16 bits)
///             1 · 0 · index of a node (30 bits)
///             1 · 1 · index of a block of leaves (30 bits), of a node without children
///     root    index of the direct part (27 bits, 0 in the low five) · its bits (5 bits)
///
/// All zeros are an empty table: a direct part of one slot, which is the pool's first word.
enum TrieWord {
    /// Set in a slot that leads to a node or to its leaves.
    static let nodeFlag: UInt32 = 1 << 31
    /// Set besides in a slot that leads to leaves.
    static let leavesFlag: UInt32 = 1 << 30
    /// The bits of a slot that are an index.
    static let indexMask: UInt32 = leavesFlag - 1
    /// Whether a slot leads to a node that has children.
    static func isNode(_ word: UInt32) -> Bool {
        word & (nodeFlag | leavesFlag) == nodeFlag
    }

    /// Whether a slot leads to a block of leaves.
    @inline(__always)  // Once a lookup.
    static func isLeafBlock(_ word: UInt32) -> Bool {
        word >= nodeFlag | leavesFlag
    }

    /// The bits of a root that say how many bits of an address index its direct part.
    static let orderMask: UInt32 = 31
    /// How many root words a namespace has: IPv4's root and default route, IPv6's, its path groups.
    static let rootStride = 8
    /// Which of them is the table of path groups: base and order, as a root.
    static let groupOffset = 4
}
