import CDiskPeers
import Histogram
import RoostMemory
import Workloads

/// How many bytes a sector of the disk has; each carries its own stamp.
let sectorByteCount = 512

/// What is asked of a disk, 4 KiB a request.
struct DiskJob {
    /// In which order blocks come.
    enum Order: Sendable { case random, sequential }

    var order = Order.random
    var isWrite = false
    /// How many requests are under way at once.
    var depth = 1
    /// After how many nanoseconds it ends, at the latest.
    var duration = UInt64.max
    /// After how many requests it ends, at the latest.
    var requestLimit = Int.max
    var seed: UInt64 = 2012

    /// Writes each block once, in order.
    static func fill(blockCount: Int) -> DiskJob {
        DiskJob(order: .sequential, isWrite: true, depth: 32, requestLimit: blockCount)
    }
}

/// What came of it.
struct DiskFigures {
    var requestsPerSecond = 0.0
    /// Percentiles of the time from a request to its answer, in microseconds.
    var median = 0.0
    var percentile99 = 0.0
}

/// Chooses requests and checks what is read: each sector begins with the number of its block and
/// how often that was written.
///
/// It is the same for every disk. One thread at a time uses it.
struct DiskLoad: ~Copyable, Sendable {
    /// The most requests at once.
    static let slotLimit = 256

    /// How often each block was written.
    private var generations: FixedArray<UInt32>
    /// The block of each slot's request plus one, and when that began.
    private var blocks: FixedArray<UInt32>
    private var starts: FixedArray<UInt64>
    private var job = DiskJob()
    private var random = SeededRandom(seed: 0)
    private var histogram = Histogram<UInt64>(
        highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
    private var begin: UInt64 = 0
    private var end: UInt64 = 0
    private var chosenCount = 0
    private var endedCount = 0
    private var wrongCount = 0

    /// How many blocks of 4 KiB the disk has.
    let blockCount: Int

    /// Makes the load of a disk of which nothing is known.
    static func make(blockCount: Int) throws -> DiskLoad {
        DiskLoad(
            generations: try FixedArray(count: blockCount),
            blocks: try FixedArray(count: slotLimit), starts: try FixedArray(count: slotLimit))
    }

    private init(
        generations: consuming FixedArray<UInt32>, blocks: consuming FixedArray<UInt32>,
        starts: consuming FixedArray<UInt64>
    ) {
        blockCount = generations.count
        self.generations = generations
        self.blocks = blocks
        self.starts = starts
    }

    /// Takes on a job.
    mutating func start(_ job: DiskJob) {
        precondition(job.depth <= Self.slotLimit)
        self.job = job
        random = SeededRandom(seed: job.seed)
        histogram.reset()
        (chosenCount, endedCount, wrongCount) = (0, 0, 0)
        begin = cdisk_now()
        end = begin
    }

    /// Whether nothing is under way.
    var isIdle: Bool { endedCount == chosenCount }

    /// Chooses a slot's next request, and stamps its page if that is written.
    ///
    /// - Returns: The first byte on the disk, or `nil` when the job is over.
    mutating func next(
        _ slot: Int, now: UInt64, _ page: inout MutableRawSpan
    ) -> UInt64? {
        guard chosenCount < job.requestLimit, now &- begin < job.duration else { return nil }
        var block = chosenCount % blockCount
        if job.order == .random {
            repeat {
                block = Int(random.next() % UInt64(blockCount))
            } while job.isWrite && isBusy(block)
        }
        if job.isWrite {
            generations[block] &+= 1
            Self.stamp(&page, block, generations[block])
        }
        chosenCount &+= 1
        blocks[slot] = UInt32(block) &+ 1
        starts[slot] = now
        return UInt64(block) &* UInt64(pageByteCount)
    }

    /// Two writes of a block at once would leave it either way.
    private func isBusy(_ block: Int) -> Bool {
        for slot in 0..<job.depth where blocks[slot] == UInt32(block) &+ 1 { return true }
        return false
    }

    /// A slot's request has ended; checks its page if that was read.
    mutating func finish(_ slot: Int, now: UInt64, _ page: RawSpan) {
        let block = Int(blocks[slot]) &- 1
        blocks[slot] = 0
        if !job.isWrite, !Self.isStamped(page, block, generations[block]) { wrongCount &+= 1 }
        _ = histogram.record(now &- starts[slot])
        endedCount &+= 1
        end = now
    }

    private static func stamp(_ page: inout MutableRawSpan, _ block: Int, _ generation: UInt32) {
        let stamp = UInt64(block) << 32 | UInt64(generation)
        for offset in stride(from: 0, to: pageByteCount, by: sectorByteCount) {
            page.storeBytes(of: stamp, toByteOffset: offset, as: UInt64.self)
        }
    }

    private static func isStamped(_ page: RawSpan, _ block: Int, _ generation: UInt32) -> Bool {
        let stamp = UInt64(block) << 32 | UInt64(generation)
        for offset in stride(from: 0, to: pageByteCount, by: sectorByteCount) {
            guard unsafe page.unsafeLoad(fromByteOffset: offset, as: UInt64.self) == stamp else {
                return false
            }
        }
        return true
    }

    /// How many requests have ended.
    var requestCount: Int { endedCount }

    /// What came of the job, which is over.
    func figures() throws -> DiskFigures {
        guard wrongCount == 0 else {
            throw Failure("\(wrongCount) of \(endedCount) pages were not what was written")
        }
        guard endedCount > 0 else { throw Failure("nothing was read or written") }
        return DiskFigures(
            requestsPerSecond: Double(endedCount) / (Double(end - begin) / 1e9),
            median: Double(histogram.valueAtPercentile(50)) / 1000,
            percentile99: Double(histogram.valueAtPercentile(99)) / 1000)
    }
}
