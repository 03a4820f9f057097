internal import RoostMemory

/// Gives out blocks of 1 to 64 units of an array: the children or the leaves of a node.
///
/// The array is cut into chunks of 1,024 units. A chunk holds blocks of one size, has a bit for each,
/// and returns to the free ones with its last block, so that what one size no longer needs another can
/// have. A block is found in constant time: each size lists the chunks that have room.
///
/// It knows indices only, not the array. The processor's alone.
struct BlockAllocator: ~Copyable {
    /// The largest block: a node has 64 slots.
    static let blockLimit = 64
    /// Units a chunk has: sixteen of the largest blocks, and 24 KiB of nodes.
    static let chunkUnits = 1024
    private static let bitmapWords = chunkUnits / 64
    private static let none = UInt32.max

    // Not private: an unoptimized build of such an array's type in another file is refused by the compiler.
    struct Chunk: BitwiseCopyable, Sendable {
        /// Units of its blocks; 0 for a free chunk.
        var size: UInt16 = 0
        /// Blocks in use.
        var used: UInt16 = 0
        /// Its neighbours among those of its size with room, or among the free ones.
        var next: UInt32 = 0
        var previous: UInt32 = 0
    }

    private var chunks: FixedArray<Chunk>
    private var bitmaps: FixedArray<UInt64>
    /// Of each size the first chunk with room; of size 0 the first free one.
    private var heads: FixedArray<UInt32>
    /// How many chunks were ever used.
    private(set) var touchedChunks = 0
    private var freeChunks = 0
    /// Chunks that are taken only for blocks that may use the reserve: a sixteenth, and four at least.
    private let reservedChunks: Int
    /// Units in use, in blocks of all sizes.
    private(set) var usedUnits = 0

    /// An allocator for an array of some units, of which whole chunks are used.
    init(units: Int) throws(MemoryError) {
        let chunks = try FixedArray<Chunk>(count: units / Self.chunkUnits)
        let bitmaps = try FixedArray<UInt64>(count: chunks.count * Self.bitmapWords)
        var heads = try FixedArray<UInt32>(count: Self.blockLimit + 1)
        for size in 0...Self.blockLimit {
            heads[size] = Self.none
        }
        reservedChunks = max(4, chunks.count / 16)
        self.chunks = chunks
        self.bitmaps = bitmaps
        self.heads = heads
    }

    /// Takes a block that was free.
    ///
    /// - Parameters:
    ///   - size: 1 to 64 units.
    ///   - usesReserve: Whether it is for something that makes room in the end.
    /// - Returns: Its first unit, or nil when there is no room.
    mutating func allocate(_ size: Int, usesReserve: Bool = false) -> UInt32? {
        precondition(size > 0 && size <= Self.blockLimit)
        var index = heads[size]
        if index == Self.none {
            guard let fresh = takeChunk(usesReserve) else { return nil }
            index = fresh
            chunks[Int(index)].size = UInt16(size)
            link(index, into: size)
        }
        let slot = takeSlot(of: Int(index))
        chunks[Int(index)].used += 1
        if Int(chunks[Int(index)].used) == Self.chunkUnits / size {
            unlink(index, from: size)
        }
        usedUnits += size
        return UInt32(Int(index) * Self.chunkUnits + slot * size)
    }

    /// Takes a block back.
    ///
    /// - Precondition: It is in use, with that size.
    mutating func free(_ first: UInt32, size: Int) {
        let index = Int(first) / Self.chunkUnits
        precondition(Int(chunks[index].size) == size)
        let slot = Int(first) % Self.chunkUnits / size
        let word = index * Self.bitmapWords + slot / 64
        let bit = UInt64(1) << UInt64(slot % 64)
        precondition(bitmaps[word] & bit != 0)
        bitmaps[word] &= ~bit
        usedUnits -= size
        let wasFull = Int(chunks[index].used) == Self.chunkUnits / size
        chunks[index].used -= 1
        if chunks[index].used == 0 {
            if !wasFull { unlink(UInt32(index), from: size) }
            chunks[index].size = 0
            link(UInt32(index), into: 0)
            freeChunks += 1
        } else if wasFull {
            link(UInt32(index), into: size)
        }
    }

    private mutating func takeChunk(_ usesReserve: Bool) -> UInt32? {
        let left = freeChunks + chunks.count - touchedChunks
        guard usesReserve || left > reservedChunks else { return nil }
        let free = heads[0]
        if free != Self.none {
            unlink(free, from: 0)
            freeChunks -= 1
            return free
        }
        guard touchedChunks < chunks.count else { return nil }
        touchedChunks += 1
        return UInt32(touchedChunks - 1)
    }

    private mutating func takeSlot(of chunk: Int) -> Int {
        // A listed chunk has room, so one of its words has a zero below the last block.
        var word = 0
        while bitmaps[chunk * Self.bitmapWords + word] == .max {
            word += 1
        }
        let bit = (~bitmaps[chunk * Self.bitmapWords + word]).trailingZeroBitCount
        bitmaps[chunk * Self.bitmapWords + word] |= 1 << UInt64(bit)
        return word * 64 + bit
    }

    private mutating func link(_ chunk: UInt32, into size: Int) {
        let head = heads[size]
        chunks[Int(chunk)].next = head
        chunks[Int(chunk)].previous = Self.none
        if head != Self.none { chunks[Int(head)].previous = chunk }
        heads[size] = chunk
    }

    private mutating func unlink(_ chunk: UInt32, from size: Int) {
        let next = chunks[Int(chunk)].next
        let previous = chunks[Int(chunk)].previous
        if next != Self.none { chunks[Int(next)].previous = previous }
        if previous == Self.none {
            heads[size] = next
        } else {
            chunks[Int(previous)].next = next
        }
    }
}
