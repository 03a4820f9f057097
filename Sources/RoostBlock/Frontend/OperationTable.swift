internal import RoostMemory

/// The requests of callers that a queue holds, in order of arrival, with the places of their bytes.
struct OperationTable: ~Copyable {
    /// One caller's request.
    struct Entry {
        var operation: UInt8 = 0
        var status: UInt8 = 0
        var pieceCount: UInt16 = 0
        /// Parts of it that are on the ring.
        var outstanding: Int32 = 0
        var token: UInt64 = 0
        var sector: UInt64 = 0
        var byteCount: UInt64 = 0
        /// How many of its bytes have been put on the ring.
        var issued: UInt64 = 0
        /// Its place in the order of arrival.
        var sequence: UInt64 = 0

        var kind: DiskOperation { DiskOperation(rawValue: operation) ?? .flush }
    }

    /// The most places that the bytes of one request lie in.
    static let maximumPieceCount = 64

    /// How many requests can be held.
    let capacity: Int
    private var entries: FixedArray<Entry>
    private var pieces: FixedArray<BufferPiece>
    private var free: FixedArray<Int32>
    private var freeCount: Int
    /// A ring of the requests that are not wholly issued, in order.
    private var waiting: FixedArray<Int32>
    private var firstWaiting = 0
    private(set) var waitingCount = 0
    private var nextSequence: UInt64 = 0

    private init(
        capacity: Int, entries: consuming FixedArray<Entry>,
        pieces: consuming FixedArray<BufferPiece>, free: consuming FixedArray<Int32>,
        waiting: consuming FixedArray<Int32>
    ) {
        self.capacity = capacity
        self.entries = entries
        self.pieces = pieces
        self.free = free
        self.waiting = waiting
        freeCount = capacity
        for index in 0..<capacity { self.free[index] = Int32(capacity - 1 - index) }
    }

    /// Makes an empty table.
    ///
    /// - Throws: `MemoryError` of kind `mapping`.
    static func make(capacity: Int) throws(MemoryError) -> OperationTable {
        OperationTable(
            capacity: capacity, entries: try FixedArray(count: capacity),
            pieces: try FixedArray(count: capacity * maximumPieceCount),
            free: try FixedArray(count: capacity), waiting: try FixedArray(count: capacity))
    }

    var isFull: Bool { freeCount == 0 }
    /// How many requests are held.
    var count: Int { capacity &- freeCount }

    subscript(index: Int) -> Entry {
        get { entries[index] }
        set { entries[index] = newValue }
    }

    /// Takes a request on, behind those that wait.
    ///
    /// - Precondition: There is room, and there are not too many pieces.
    mutating func append(_ submission: borrowing Submission) {
        precondition(freeCount > 0 && submission.pieceCount <= Self.maximumPieceCount)
        freeCount &-= 1
        let index = Int(free[freeCount])
        for number in 0..<submission.pieceCount {
            pieces[index &* Self.maximumPieceCount &+ number] = submission.piece(number)
        }
        entries[index] = Entry(
            operation: submission.operation.rawValue, pieceCount: UInt16(submission.pieceCount),
            token: submission.token, sector: submission.sector,
            byteCount: submission.byteCount, sequence: nextSequence)
        nextSequence &+= 1
        waiting[(firstWaiting &+ waitingCount) % capacity] = Int32(index)
        waitingCount &+= 1
    }

    /// The first request that is not wholly issued.
    var front: Int? { waitingCount > 0 ? Int(waiting[firstWaiting]) : nil }

    /// The first waiting request is wholly issued, or given up.
    mutating func dropFront() {
        precondition(waitingCount > 0)
        firstWaiting = (firstWaiting &+ 1) % capacity
        waitingCount &-= 1
    }

    /// Lets a request go that has ended.
    mutating func remove(_ index: Int) {
        entries[index].sequence = .max
        free[freeCount] = Int32(index)
        freeCount &+= 1
    }

    /// A place of a request's bytes.
    func piece(_ number: Int, of index: Int) -> BufferPiece {
        pieces[index &* Self.maximumPieceCount &+ number]
    }

    /// All requests that have not ended, in order of arrival.
    func unfinished() -> [Submission] {
        var isFree = [Bool](repeating: false, count: capacity)
        for index in 0..<freeCount { isFree[Int(free[index])] = true }
        let held = (0..<capacity).filter { !isFree[$0] }.sorted {
            entries[$0].sequence < entries[$1].sequence
        }
        return held.map { index in
            let entry = entries[index]
            return Submission(
                operation: entry.kind, sector: entry.sector, byteCount: entry.byteCount,
                token: entry.token,
                pieces: (0..<Int(entry.pieceCount)).map { piece($0, of: index) })
        }
    }
}
