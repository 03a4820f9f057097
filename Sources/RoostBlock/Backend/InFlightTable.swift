internal import RoostHypervisor
internal import RoostMemory

/// A request that was taken off the ring and has no response yet.
struct InFlight: BitwiseCopyable {
    /// What its response repeats.
    var id: UInt64 = 0
    var code: UInt8 = 0
    /// How it has ended, once `isDone`.
    var status: BlockStatus = .okay
    var isDone = false
    var isBarrier = false
    var operation: StorageOperation = .read
    /// The steps that are yet to be done.
    var steps: RequestPlan.Steps = []
    /// The first sector, and how many of 512 bytes.
    var sector: UInt64 = 0
    var sectorCount: UInt64 = 0
    var segmentCount: Int32 = 0
    /// What was mapped for this request only; its count is 0 if nothing was.
    var mapping = GrantMapping(handle: 0, page: 0, count: 0)
    /// When it was taken.
    var start: UInt64 = 0
}

/// The requests of a ring that have no response yet, each under a number below the slots' count.
///
/// It remembers the order in which they came. What is in flight is all here, so that it can be
/// shown to another process later.
struct InFlightTable: ~Copyable {
    private var entries: FixedArray<InFlight>
    /// The numbers that are not used; the first `freeCount` are valid.
    private var free: FixedArray<Int32>
    private var freeCount: Int
    /// The numbers in the order of the requests, a ring of its own.
    private var order: FixedArray<Int32>
    private var first: UInt32 = 0
    private var last: UInt32 = 0

    private init(
        _ entries: consuming FixedArray<InFlight>, _ free: consuming FixedArray<Int32>,
        _ order: consuming FixedArray<Int32>
    ) {
        freeCount = entries.count
        for index in 0..<entries.count { free[index] = Int32(entries.count - 1 - index) }
        self.entries = entries
        self.free = free
        self.order = order
    }

    /// Makes an empty table.
    ///
    /// - Parameter count: How many requests there can be, a power of two.
    /// - Returns: The table.
    /// - Throws: `MemoryError` of kind `mapping`.
    static func make(count: Int) throws(MemoryError) -> InFlightTable {
        InFlightTable(
            try FixedArray(count: count), try FixedArray(count: count),
            try FixedArray(count: count))
    }

    /// How many requests there are.
    var count: Int { entries.count &- freeCount }

    /// The request under a number.
    subscript(tag: Int) -> InFlight {
        get { entries[tag] }
        set { entries[tag] = newValue }
    }

    /// Takes a request in, behind the others.
    ///
    /// - Precondition: There is room.
    mutating func insert(_ request: InFlight) -> Int {
        precondition(freeCount > 0)
        freeCount &-= 1
        let tag = Int(free[freeCount])
        entries[tag] = request
        order[Int(last) & (order.count &- 1)] = Int32(tag)
        last &+= 1
        return tag
    }

    /// The request that came first, if there is one.
    var oldest: Int? {
        first == last ? nil : Int(order[Int(first) & (order.count &- 1)])
    }

    /// Gives up the request that came first.
    mutating func removeOldest() {
        precondition(first != last)
        give(Int(order[Int(first) & (order.count &- 1)]))
        first &+= 1
    }

    /// Gives up any request; only where the order is not asked for.
    mutating func remove(_ tag: Int) {
        give(tag)
        first &+= 1
    }

    private mutating func give(_ tag: Int) {
        free[freeCount] = Int32(tag)
        freeCount &+= 1
    }
}
