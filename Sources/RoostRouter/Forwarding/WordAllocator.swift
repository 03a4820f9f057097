/// Gives out blocks of 2ⁿ words at multiples of their size: direct parts and tables of path groups.
///
/// A buddy allocator (Knuth, The Art of Computer Programming, volume 1, section 2.5): a block is half of
/// the one above it, and two free halves become one. It knows indices only. The processor's alone.
struct WordAllocator {
    /// The smallest block, 2⁵ words: a root has five bits beside the index of a block.
    static let smallestOrder = 5

    /// Of each order the free blocks.
    private var free: [Set<UInt32>]
    /// Words in use, in blocks of all orders.
    private(set) var usedWords = 0
    /// One past the last word that was ever used.
    private(set) var touchedWords = 0

    /// An allocator of 2^`order` words.
    init(order: Int) {
        free = Array(repeating: [], count: order + 1)
        free[order] = [0]
    }

    /// Takes a block that was free.
    ///
    /// - Parameter order: The block has 2^`order` words; at least ``smallestOrder``.
    /// - Returns: Its first word, or nil when there is none so large.
    mutating func allocate(order: Int) -> UInt32? {
        precondition(order >= Self.smallestOrder)
        guard order < free.count,
            let from = (order..<free.count).first(where: { !free[$0].isEmpty })
        else { return nil }
        // The lowest, so that the upper words stay untouched as long as they can.
        guard let block = free[from].min() else { return nil }
        free[from].remove(block)
        for half in (order..<from).reversed() {
            free[half].insert(block + 1 << UInt32(half))
        }
        usedWords += 1 << order
        touchedWords = max(touchedWords, Int(block) + 1 << order)
        return block
    }

    /// Takes a block back.
    ///
    /// - Precondition: It is in use, with that order.
    mutating func free(_ block: UInt32, order: Int) {
        precondition(!free[order].contains(block))
        usedWords -= 1 << order
        var block = block
        var order = order
        while order + 1 < free.count, free[order].remove(block ^ 1 << UInt32(order)) != nil {
            block &= ~(1 << UInt32(order))
            order += 1
        }
        free[order].insert(block)
    }
}
