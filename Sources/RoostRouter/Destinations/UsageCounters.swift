internal import RoostMemory

/// How often and when each entry was last used, counted by each worker in memory of its own and added
/// up when somebody asks: no packet writes to memory that another worker writes.
internal struct UsageCounters: ~Copyable, Sendable {
    /// Words an entry and worker: packets, tick of the last one.
    private static let stride = 2

    private let words: AtomicArray<UInt64>
    private let entryCount: Int
    let workerCount: Int

    init(entryCount: Int, workerCount: Int) throws(MemoryError) {
        self.entryCount = entryCount
        self.workerCount = workerCount
        words = try AtomicArray(count: entryCount * workerCount * Self.stride)
    }

    /// Counts packets of a worker.
    ///
    /// That worker's thread.
    @inline(__always)  // two loads and two stores once a packet
    func record(_ handle: DestinationHandle, worker: Int, packets: UInt64, now: UInt64) {
        let word = (worker &* entryCount &+ handle.index) &* Self.stride
        words.storeRelaxed(words.relaxed(word) &+ packets, at: word)
        words.storeRelaxed(now, at: word &+ 1)
    }

    /// All workers' counts of an entry.
    ///
    /// Any thread.
    func fold(_ handle: DestinationHandle) -> DestinationUsage {
        var usage = DestinationUsage()
        for worker in 0..<workerCount {
            let word = (worker * entryCount + handle.index) * Self.stride
            usage.packetCount &+= words.relaxed(word)
            usage.lastUse = max(usage.lastUse, words.relaxed(word + 1))
        }
        return usage
    }

    /// Forgets an entry that no worker can still be using.
    ///
    /// The processor.
    func clear(_ handle: DestinationHandle) {
        for worker in 0..<workerCount {
            let word = (worker * entryCount + handle.index) * Self.stride
            // Pages that were never written stay that way.
            guard words.relaxed(word) != 0 else { continue }
            words.storeRelaxed(0, at: word)
            words.storeRelaxed(0, at: word + 1)
        }
    }
}

/// How much an entry was used, added up over the workers.
public struct DestinationUsage: BitwiseCopyable, Equatable, Sendable {
    /// How many packets.
    public var packetCount: UInt64 = 0
    /// The tick of the last one, 0 when there was none.
    public var lastUse: UInt64 = 0

    /// Never used.
    public init() {}
}
