internal import RoostHypervisor
internal import RoostMemory
internal import RoostSystem

/// A backend's end of one ring: takes requests off it, has the storage do them, and answers.
///
/// One thread owns a queue and everything in it, and sleeps in one wait (``run(until:)``). A
/// request goes through it so:
///
/// 1. its slot is copied out of the ring, once, and checked (``RequestValidator``);
/// 2. its segments, which for an indirect request are read once out of the frontend's pages, are
///    checked, and each is given a place in the window, as ``GrantMode`` says;
/// 3. it is handed to the storage, step by step (``RequestPlan``);
/// 4. what was mapped for it alone is unmapped, and its response is put into the ring.
///
/// Whatever a frontend sends ends in a response or in ``End/broken``; neither concerns another
/// queue. The window holds, behind each other: the ring, the persistent grants, one private page,
/// and for each request in flight as many pages as it can have segments.
struct BackendQueue<Mapper, Channel, Storage>: ~Copyable
where
    Mapper: GrantMapper & ~Copyable, Channel: EventChannel & ~Copyable,
    Storage: StorageQueue & ~Copyable
{
    /// Why ``run(until:)`` has returned.
    enum End: Sendable, Equatable {
        /// The signal was raised.
        case stopped
        /// The control descriptor can be read; the queue can be run on.
        case control
        /// The hypervisor is gone.
        case lost
        /// The frontend's indices say what cannot be: nothing more is taken from this ring.
        case broken
    }

    let configuration: BackendConfiguration
    /// Whether grants stay mapped.
    let isPersistent: Bool
    let control: BackendControl
    let counters: BackendCounters
    let clock: BackendClock
    let window: PageWindow
    let pages: WindowPages
    let ringMapping: GrantMapping
    var ring: BackendRing
    var mapper: Mapper
    var channel: Channel
    var storage: Storage
    var validator: RequestValidator
    var inFlight: InFlightTable
    var persistent: PersistentGrants
    var tables: SegmentTables
    /// The time of the round that is being done.
    var now: UInt64
    /// How many requests the storage has.
    var underWayCount = 0
    /// The request that those before it are to end for and those behind it wait for, or −1.
    var barrier = -1
    /// Whether all before the barrier have ended.
    var isBarrierStarted = false
    /// Responses that were put and not shown.
    var unpublishedCount = 0
    var isBroken = false
    /// When idle grants are looked for next.
    var nextHousekeeping: UInt64 = 0
    /// Events in a row that came for nothing.
    var spuriousCount = 0

    /// Takes the parts together.
    private init(
        _ configuration: BackendConfiguration, _ shared: Shared, _ window: PageWindow,
        _ pages: WindowPages, _ ring: consuming BackendRing, _ ringMapping: GrantMapping,
        _ mapper: consuming Mapper, _ channel: consuming Channel, _ storage: consuming Storage,
        _ inFlight: consuming InFlightTable, _ persistent: consuming PersistentGrants,
        _ tables: consuming SegmentTables
    ) {
        self.configuration = configuration
        isPersistent = configuration.mode == .persistent
        control = shared.control
        counters = shared.counters
        clock = shared.clock
        validator = RequestValidator(
            geometry: shared.geometry, indirectSegmentLimit: configuration.indirectSegmentLimit)
        self.window = window
        self.pages = pages
        self.ring = ring
        self.ringMapping = ringMapping
        self.mapper = mapper
        self.channel = channel
        self.storage = storage
        self.inFlight = inFlight
        self.persistent = persistent
        self.tables = tables
        now = shared.clock.nanoseconds
    }

    /// What a queue has in common with its device's other queues and with the control plane.
    struct Shared: Sendable {
        /// What the disk is.
        var geometry: DiskGeometry
        /// Its size, as it changes.
        var control: BackendControl
        /// What the queue counts in; each queue has its own.
        var counters = BackendCounters()
        /// The device's bound on persistent grants.
        var ceiling: GrantCeiling
        var clock = BackendClock()
    }

    /// Maps a frontend's ring and attaches to it.
    ///
    /// What waits in the ring is taken by the first round. It may have been served by another
    /// backend before; see ``BackendRing/attach(_:in:atPage:)``.
    ///
    /// - Parameters:
    ///   - configuration: What the queue is to be.
    ///   - shared: What it has in common with others.
    ///   - references: The grants of the ring's pages, as many as it has.
    ///   - mapper: Maps the frontend's grants, for this queue alone.
    ///   - channel: The queue's event channel.
    ///   - storage: Has a depth of at least the ring's slots.
    /// - Returns: The queue.
    /// - Throws: `BlockError` of kind `peer` when the ring is no ring or cannot be mapped, `system`
    ///   when there is no memory. Nothing stays mapped.
    static func attach(
        _ configuration: BackendConfiguration, _ shared: Shared,
        ring references: Span<GrantReference>, mapper: consuming Mapper,
        channel: consuming Channel, storage: consuming Storage
    ) throws(BlockError) -> BackendQueue {
        let pages = WindowPages(configuration)
        precondition(references.count == configuration.layout.pageCount)
        let window = try BlockError.allocating { () throws(MemoryError) in
            let window = try PageWindow(pageCount: pages.pageCount)
            try window.mapAnonymous(count: 1, at: pages.privatePage)
            if configuration.mode == .copy {
                try window.mapAnonymous(
                    count: pages.slotCount &* pages.segmentLimit, at: pages.firstRequestPage)
            }
            return window
        }
        let persistent = try BlockError.allocating { () throws(MemoryError) in
            try PersistentGrants.make(
                window: window, firstPage: pages.firstPersistentPage,
                limit: pages.persistentLimit, requestLimit: pages.segmentLimit,
                ceiling: shared.ceiling)
        }
        let tables = try BlockError.allocating { () throws(MemoryError) in
            try SegmentTables.make(
                requestCount: pages.slotCount, segmentLimit: pages.segmentLimit)
        }
        let inFlight = try BlockError.allocating { () throws(MemoryError) in
            try InFlightTable.make(count: pages.slotCount)
        }
        let ringMapping: GrantMapping
        do throws(HypervisorError) {
            ringMapping = try mapper.map(references, .readWrite, into: window, at: 0)
        } catch {
            throw BlockError(
                .peer, errno: error.errno,
                "cannot map the frontend's ring: \(error); have the frontend connect again")
        }
        guard let ring = BackendRing.attach(configuration.layout, in: window, atPage: 0) else {
            try? mapper.unmap(ringMapping)
            throw BlockError(
                .peer,
                "cannot use the frontend's ring: its indices are further apart than it has slots; "
                    + "have the frontend connect again")
        }
        shared.counters.set(
            .grantsLimit, to: configuration.mode == .persistent ? pages.persistentLimit : 0)
        return BackendQueue(
            configuration, shared, window, pages, ring, ringMapping, mapper, channel, storage,
            inFlight, persistent, tables)
    }
}

/// Which pages of a queue's window are what.
struct WindowPages: Sendable {
    /// Where the persistent grants begin; the ring lies before them.
    let firstPersistentPage: Int
    /// How many pages they have, at least one.
    let persistentLimit: Int
    /// A page of this process's own, through which pages of segments are copied.
    let privatePage: Int
    /// Where the pages begin that belong to one request each.
    let firstRequestPage: Int
    /// How many pages each request has.
    let segmentLimit: Int
    /// How many requests there are.
    let slotCount: Int

    init(_ configuration: BackendConfiguration) {
        precondition(
            0...BackendConfiguration.indirectSegmentCeiling ~= configuration.indirectSegmentLimit)
        firstPersistentPage = configuration.layout.pageCount
        persistentLimit =
            configuration.mode == .persistent
            ? max(configuration.persistentLimit ?? configuration.usualPersistentLimit, 1) : 1
        privatePage = firstPersistentPage &+ persistentLimit
        firstRequestPage = privatePage &+ 1
        segmentLimit = configuration.segmentLimit
        slotCount = configuration.layout.slotCount
    }

    /// How many pages the window has.
    var pageCount: Int { firstRequestPage &+ slotCount &* segmentLimit }

    /// The first page of a request's own.
    func requestPage(_ tag: Int) -> Int { firstRequestPage &+ tag &* segmentLimit }
}

/// The segments of the requests in flight: what they name, and where that lies in the window.
struct SegmentTables: ~Copyable {
    /// Where a segment is that has no place.
    static let nowhere = -1

    /// How many entries each request has.
    let segmentLimit: Int
    /// What the frontend named, copied and checked.
    var segments: FixedArray<BlockSegment>
    /// Where it lies.
    var places: FixedArray<StorageSegment>
    /// Which segments of the request at hand have no place yet.
    var missing: FixedArray<Int32>
    /// What is to be copied for the request at hand, and what failed of that.
    var copies: FixedArray<GrantCopy>
    var failures: FixedArray<Bool>

    private init(
        segmentLimit: Int, _ segments: consuming FixedArray<BlockSegment>,
        _ places: consuming FixedArray<StorageSegment>, _ missing: consuming FixedArray<Int32>,
        _ copies: consuming FixedArray<GrantCopy>, _ failures: consuming FixedArray<Bool>
    ) {
        self.segmentLimit = segmentLimit
        self.segments = segments
        self.places = places
        self.missing = missing
        self.copies = copies
        self.failures = failures
    }

    static func make(
        requestCount: Int, segmentLimit: Int
    ) throws(MemoryError) -> SegmentTables {
        SegmentTables(
            segmentLimit: segmentLimit,
            try FixedArray(count: requestCount &* segmentLimit),
            try FixedArray(count: requestCount &* segmentLimit),
            try FixedArray(count: segmentLimit), try FixedArray(count: segmentLimit),
            try FixedArray(count: segmentLimit))
    }

    /// The first entry of a request.
    func first(_ tag: Int) -> Int { tag &* segmentLimit }
}
