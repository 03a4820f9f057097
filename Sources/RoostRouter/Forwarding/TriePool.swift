internal import RoostMemory

/// The memory of all poptries of a router, as the processor hands it out.
///
/// A change to a table is one transaction: it takes blocks, fills them and names those it replaces;
/// ``commit()`` after the change is published leaves these to the readers that may still be in them, and
/// ``abort()`` gives back what it took, so that a change that fails was never there. A block is used again
/// once every batch of the epoch in which it was replaced has ended.
struct TriePool: ~Copyable {
    /// Blocks made free at a commit beside twice as many as it replaced: the waiting ones grow fewer, and
    /// a short change stays short however many wait.
    private static let reclaimedPerChange = 64

    /// A block of the memory.
    ///
    /// What is replaced has its epoch, in which readers could find it.
    enum Block: BitwiseCopyable, Sendable {
        case nodes(UInt32, count: UInt8)
        case leafWords(UInt32, count: UInt8)
        case words(UInt32, order: UInt8)
    }

    // Not private, as the allocator's chunks.
    struct Deferred: BitwiseCopyable, Sendable {
        var block: Block
        var epoch: UInt64
    }

    /// What readers see of it.
    let memory: ForwardingReader
    private let quiescence: Quiescence
    private var nodes: BlockAllocator
    private var leafWords: BlockAllocator
    private var words: WordAllocator
    /// What the transaction took, and what it replaces.
    private var taken: [Block] = []
    private var replaced: [Block] = []
    /// A ring of what readers may still be in, oldest first.
    ///
    /// Each block in it is one that was
    /// handed out, so there is room for all that can be.
    private var deferred: FixedArray<Deferred>
    private var firstDeferred = 0
    /// How many blocks wait for readers.
    private(set) var deferredCount = 0
    /// Scratch of a compilation.
    var scratch: CompilerScratch
    /// Whether the transaction may use what is kept for removals, which need blocks before they give any
    /// back.
    var usesReserve = false
    /// How many more blocks are handed out before one is refused; for tests of what happens then.
    var allocationsLeft = Int.max

    init(quiescence: Quiescence, limits: ForwardingLimits) throws(RouterError) {
        precondition(
            limits.words >= 64 && limits.words <= 1 << 27 && limits.nodes <= 1 << 30
                && limits.leafWords <= 1 << 30)
        let memory = try ForwardingReader(limits: limits)
        do {
            let nodes = try BlockAllocator(units: limits.nodes)
            let leafWords = try BlockAllocator(units: limits.leafWords)
            let deferred = try FixedArray<Deferred>(
                count: limits.nodes + limits.leafWords + limits.words >> WordAllocator.smallestOrder
            )
            let scratch = try CompilerScratch()
            self.scratch = scratch
            self.nodes = nodes
            self.leafWords = leafWords
            self.deferred = deferred
        } catch {
            throw RouterError(error, for: "the allocators of forwarding tables")
        }
        self.memory = memory
        self.quiescence = quiescence
        words = WordAllocator(order: Int.bitWidth - 1 - limits.words.leadingZeroBitCount)
        // An empty table's direct part is word 0, which is never written.
        _ = words.allocate(order: WordAllocator.smallestOrder)
    }

    /// The first of some nodes that nobody can find yet.
    mutating func takeNodes(_ count: Int) throws(RouterError) -> UInt32 {
        guard let first = withRetry({ $0.nodes.allocate(count, usesReserve: $0.usesReserve) })
        else {
            throw exhausted("nodes", memory.nodes.count)
        }
        taken.append(.nodes(first, count: UInt8(count)))
        return first
    }

    /// The first word of a block of leaves that nobody can find yet.
    mutating func takeLeafWords(_ count: Int) throws(RouterError) -> UInt32 {
        guard let first = withRetry({ $0.leafWords.allocate(count, usesReserve: $0.usesReserve) })
        else {
            throw exhausted("words of leaves", memory.leafWords.count)
        }
        taken.append(.leafWords(first, count: UInt8(count)))
        return first
    }

    /// The first of 2^`order` words that nobody can find yet, at a multiple of as many.
    mutating func takeWords(order: Int) throws(RouterError) -> UInt32 {
        guard let first = withRetry({ $0.words.allocate(order: order) }) else {
            throw exhausted("words", memory.words.count)
        }
        taken.append(.words(first, order: UInt8(order)))
        return first
    }

    /// Names a block that the transaction replaces.
    mutating func replace(_ block: Block) {
        replaced.append(block)
    }

    /// Ends a transaction whose change is published: nobody who looks now finds what it replaced.
    ///
    /// - Returns: The epoch in which somebody could.
    @discardableResult
    mutating func commit() -> UInt64 {
        let epoch = quiescence.retire()
        for block in replaced {
            deferred[(firstDeferred + deferredCount) % deferred.count] = Deferred(
                block: block, epoch: epoch)
            deferredCount += 1
        }
        let replacedCount = replaced.count
        endTransaction()
        reclaim(limit: Self.reclaimedPerChange + 2 * replacedCount)
        return epoch
    }

    /// Ends a transaction that failed: gives back what it took.
    mutating func abort() {
        for block in taken {
            release(block)
        }
        endTransaction()
    }

    /// Makes blocks that no reader is in any more free to be used.
    mutating func reclaim(limit: Int = .max) {
        var left = limit
        var passed: UInt64 = 0
        while deferredCount > 0, left > 0 {
            let oldest = deferred[firstDeferred]
            if oldest.epoch > passed {
                guard quiescence.hasPassed(oldest.epoch) else { return }
                passed = oldest.epoch
            }
            release(oldest.block)
            firstDeferred = (firstDeferred + 1) % deferred.count
            deferredCount -= 1
            left -= 1
        }
    }

    /// Whether no reader can be in what was replaced in an epoch.
    func hasPassed(_ epoch: UInt64) -> Bool {
        quiescence.hasPassed(epoch)
    }

    /// What is in use or waits, in bytes.
    var usage: ForwardingUsage {
        var usage = ForwardingUsage()
        usage.nodeBytes = nodes.usedUnits * MemoryLayout<TrieNode>.stride
        usage.leafBytes = leafWords.usedUnits * MemoryLayout<UInt64>.stride
        usage.wordBytes = words.usedWords * MemoryLayout<UInt32>.stride
        usage.touchedBytes =
            BlockAllocator.chunkUnits
            * (nodes.touchedChunks * MemoryLayout<TrieNode>.stride
                + leafWords.touchedChunks * MemoryLayout<UInt64>.stride)
            + words.touchedWords * MemoryLayout<UInt32>.stride
        usage.deferredBlocks = deferredCount
        return usage
    }

    private mutating func endTransaction() {
        usesReserve = false
        // A large change leaves long lists behind, the next ones are short.
        taken.removeAll(keepingCapacity: taken.count < 4096)
        replaced.removeAll(keepingCapacity: replaced.count < 4096)
    }

    private mutating func withRetry(_ allocate: (inout TriePool) -> UInt32?) -> UInt32? {
        guard allocationsLeft > 0 else { return nil }
        allocationsLeft -= 1
        if let found = allocate(&self) { return found }
        reclaim()
        return allocate(&self)
    }

    private mutating func release(_ block: Block) {
        switch block {
        case .nodes(let first, let count): nodes.free(first, size: Int(count))
        case .leafWords(let first, let count): leafWords.free(first, size: Int(count))
        case .words(let first, let order): words.free(first, order: Int(order))
        }
    }

    private func exhausted(_ what: String, _ limit: Int) -> RouterError {
        RouterError(
            .limit,
            "forwarding tables have all \(limit) \(what) in use, \(deferredCount) blocks wait for "
                + "readers: remove routes, or raise the limit of \(what)")
    }
}
