internal import RoostMemory

/// What a compilation has of the nodes that it works on, one of each depth at a time: their 64 slots.
struct CompilerScratch: ~Copyable {
    /// The deepest recursion: 128 bits by six, and one more where a direct part has few bits.
    private static let depthLimit = 23

    /// Slots' leaves, where they are leaves.
    private var leaves: FixedArray<UInt16>
    /// Slots' nodes, where they are nodes.
    private var nodes: FixedArray<TrieNode>
    /// The values that slots inherit, and the tries' nodes below them; 0 is none.
    private var inherited: FixedArray<UInt16>
    private var subtrees: FixedArray<UInt32>
    /// A node's block of leaves.
    private var block: FixedArray<UInt64>

    init() throws(MemoryError) {
        let leaves = try FixedArray<UInt16>(count: Self.depthLimit * 64)
        let nodes = try FixedArray<TrieNode>(count: Self.depthLimit * 64)
        let inherited = try FixedArray<UInt16>(count: Self.depthLimit * 64)
        let subtrees = try FixedArray<UInt32>(count: Self.depthLimit * 64)
        let block = try FixedArray<UInt64>(count: LeafBlock.wordLimit)
        self.leaves = leaves
        self.nodes = nodes
        self.inherited = inherited
        self.subtrees = subtrees
        self.block = block
    }
}

extension CompilerScratch {
    /// Lays out a node's slots at a depth.
    ///
    /// - Returns: Which of them are nodes.
    mutating func expand(_ slot: TrieSlot, at depth: Int, from memory: ForwardingReader) -> UInt64 {
        switch slot {
        case .leaf(let value):
            for index in 0..<64 {
                leaves[depth * 64 + index] = value
            }
            return 0
        case .node(let node):
            var child = Int(node.firstChild)
            let runs = node.hasLeaves ? memory.leafWords[Int(node.leafBlock)] : 0
            var run = 0
            var value: UInt16 = 0
            for index in 0..<64 {
                let bit = UInt64(1) << UInt64(index)
                if node.children & bit != 0 {
                    nodes[depth * 64 + index] = memory.nodes[child]
                    child += 1
                } else {
                    if runs & bit != 0 {
                        value = memory.leaf(run, inBlock: node.leafBlock)
                        run += 1
                    }
                    leaves[depth * 64 + index] = value
                }
            }
            return node.children
        }
    }

    /// A slot that was laid out.
    func slot(_ index: Int, at depth: Int, nodes mask: UInt64) -> TrieSlot {
        mask >> UInt64(index) & 1 != 0
            ? .node(nodes[depth * 64 + index]) : .leaf(leaves[depth * 64 + index])
    }

    /// Changes a slot, and whether it is a node.
    mutating func setSlot(_ index: Int, at depth: Int, to slot: TrieSlot, nodes mask: inout UInt64)
    {
        switch slot {
        case .leaf(let value):
            leaves[depth * 64 + index] = value
            mask &= ~(1 << UInt64(index))
        case .node(let node):
            nodes[depth * 64 + index] = node
            mask |= 1 << UInt64(index)
        }
    }

    /// The node of a slot that is one.
    func node(_ index: Int, at depth: Int) -> TrieNode { nodes[depth * 64 + index] }

    /// Makes a block of the slots that are leaves.
    ///
    /// - Returns: How many runs of equal leaves it has; 0 if all slots are nodes.
    mutating func makeBlock(at depth: Int, nodes mask: UInt64) -> Int {
        var runs: UInt64 = 0
        var count = 0
        var last: UInt16 = 0
        for index in 0..<64 where mask >> UInt64(index) & 1 == 0 {
            let value = leaves[depth * 64 + index]
            guard count == 0 || value != last else { continue }
            let place = 1 + count / LeafBlock.leavesPerWord
            let shift = UInt64(count % LeafBlock.leavesPerWord * 16)
            block[place] = (shift == 0 ? 0 : block[place]) | UInt64(value) << shift
            last = value
            count += 1
            runs |= 1 << UInt64(index)
        }
        block[0] = runs
        return count
    }

    /// A word of the block made last.
    func blockWord(_ index: Int) -> UInt64 { block[index] }

    /// Gives slots a value to inherit and nothing below.
    mutating func paint(_ range: Range<Int>, at depth: Int, with value: UInt16) {
        for index in range {
            inherited[depth * 64 + index] = value
        }
    }

    /// Forgets what the tries have below slots.
    mutating func clearSubtrees(_ range: Range<Int>, at depth: Int) {
        for index in range {
            subtrees[depth * 64 + index] = 0
        }
    }

    /// Says what a trie has below a slot.
    mutating func setSubtree(_ subtree: UInt32, below index: Int, at depth: Int) {
        subtrees[depth * 64 + index] = subtree
    }

    /// What a slot inherits, and the trie's node below it, 0 if there is none.
    func painted(_ index: Int, at depth: Int) -> (value: UInt16, subtree: UInt32) {
        (inherited[depth * 64 + index], subtrees[depth * 64 + index])
    }
}
