internal import Logging
internal import RoostHypervisor
internal import RoostMemory

/// A guest's end of one queue of a disk: callers' requests in, requests on a ring out.
///
/// One thread owns it. A caller's request is cut into as many requests as the ring's segments ask
/// for; their bytes are copied into granted pages before, and out of them after. What does not fit
/// the ring or the grants waits in order. The data path allocates nothing and counts no
/// references: requests, their pages and their places are in tables of fixed size.
struct FrontendQueue<Allocator: GrantAllocator & ~Copyable, Channel: EventChannel & ~Copyable>:
    ~Copyable
{
    let options: FrontendOptions
    /// Where callers' bytes lie.
    let arena: PageWindow
    /// Where granted pages lie.
    let window: PageWindow
    let ringPages: GrantedPage
    var ring: FrontendRing
    var allocator: Allocator
    var channel: Channel
    var operations: OperationTable
    /// What is on the ring, by identifier.
    var shadows: FixedArray<Shadow>
    /// The identifiers that no request on the ring has.
    var freeIDs: FixedArray<UInt16>
    var freeIDCount: Int
    /// The pages of what is on the ring: so many for each identifier.
    var pages: FixedArray<GrantedPage>
    let pagesPerRequest: Int
    var pool: GrantPool
    /// Pages whose grant could not be ended yet, since the backend uses them.
    var stuck: GrantPool
    var completions: FixedArray<DiskCompletion>
    var firstCompletion = 0
    var completionCount = 0
    var statistics = FrontendStatistics()
    /// What the backend offers; unknown until it is connected, and until then nothing is issued.
    var features: FrontendFeatures?
    /// Whether the grant table had no page for a request that waits.
    var lacksGrants = false
    /// Why the disk is out of use, once the backend has broken the protocol.
    var failure: BlockError?

    /// A request on the ring, as this end knows it: nothing is read back from shared memory.
    struct Shadow {
        /// The caller's request, or -1 when the identifier is free.
        var operation: Int32 = 0
        var code: UInt8 = 0
        var isOutstanding = false
        /// Pages of bytes, then pages of segments.
        var dataPageCount: UInt16 = 0
        var indirectPageCount: UInt16 = 0
        var byteCount: UInt32 = 0
        /// The first of the caller's bytes.
        var byteOffset: UInt64 = 0
    }

    /// Grants a ring and makes the tables.
    ///
    /// - Parameters:
    ///   - options: What to ask for; the layout's order and the limits are those agreed on.
    ///   - arena: Where callers' bytes lie.
    ///   - allocator: Makes grants for the backend, at least a ring's and ``FrontendOptions/grants(_:)``.
    ///   - channel: To the backend.
    /// - Returns: The queue, with no request in it.
    /// - Throws: `BlockError` of kind `system`.
    static func make(
        _ options: FrontendOptions, arena: PageWindow, allocator: consuming Allocator,
        channel: consuming Channel
    ) throws(BlockError) -> FrontendQueue {
        guard let layout = RingLayout(options.blockProtocol, pageOrder: options.ringPageOrder)
        else {
            throw BlockError(.request, "cannot lay out a ring of order \(options.ringPageOrder)")
        }
        let ringPages = try BlockError.asking { () throws(HypervisorError) in
            try allocator.claimRun(count: layout.pageCount, .readWrite)
        }
        let perRequest =
            options.segmentLimit
            + BlockRequest.indirectPageCount(segments: options.segmentLimit)
        let grants = options.grants(layout)
        do throws(MemoryError) {
            return FrontendQueue(
                options: options, arena: arena, window: allocator.window, ringPages: ringPages,
                ring: FrontendRing(layout, in: allocator.window, atPage: ringPages.page),
                operations: try .make(capacity: options.depth),
                shadows: try FixedArray(count: layout.slotCount),
                freeIDs: try FixedArray(count: layout.slotCount),
                pages: try FixedArray(count: layout.slotCount * perRequest),
                pagesPerRequest: perRequest, pool: try .make(capacity: grants),
                stuck: try .make(capacity: grants),
                completions: try FixedArray(count: options.depth), allocator: allocator,
                channel: channel)
        } catch {
            throw BlockError(.system, errno: error.errno, error.description)
        }
    }

    private init(
        options: FrontendOptions, arena: PageWindow, window: PageWindow, ringPages: GrantedPage,
        ring: consuming FrontendRing, operations: consuming OperationTable,
        shadows: consuming FixedArray<Shadow>, freeIDs: consuming FixedArray<UInt16>,
        pages: consuming FixedArray<GrantedPage>, pagesPerRequest: Int, pool: consuming GrantPool,
        stuck: consuming GrantPool, completions: consuming FixedArray<DiskCompletion>,
        allocator: consuming Allocator, channel: consuming Channel
    ) {
        self.options = options
        self.arena = arena
        self.window = window
        self.ringPages = ringPages
        self.ring = ring
        self.operations = operations
        self.shadows = shadows
        self.freeIDs = freeIDs
        self.pages = pages
        self.pagesPerRequest = pagesPerRequest
        self.pool = pool
        self.stuck = stuck
        self.completions = completions
        self.allocator = allocator
        self.channel = channel
        freeIDCount = self.freeIDs.count
        for index in 0..<freeIDCount { self.freeIDs[index] = UInt16(freeIDCount - 1 - index) }
    }

    /// What the frontend's keys name: a ring reference for each page, and the channel's port.
    var published: (ringReferences: [GrantReference], port: EventPort) {
        let references = (0..<ring.layout.pageCount).map {
            GrantReference(rawValue: ringPages.reference.rawValue + UInt32($0))
        }
        return (references, channel.port)
    }

    /// The most bytes of a request on the ring.
    var partByteLimit: Int { segmentLimit &* pageByteCount }

    private var segmentLimit: Int {
        guard let features else { return BlockRequest.directSegmentLimit }
        let indirect = min(features.indirectSegmentLimit, options.segmentLimit)
        return indirect > BlockRequest.directSegmentLimit
            ? indirect : min(BlockRequest.directSegmentLimit, options.segmentLimit)
    }

    /// Whether grants outlive their request.
    var keepsGrants: Bool {
        switch options.policy {
        case .always: true
        case .negotiated: features?.isPersistent ?? false
        case .never: false
        }
    }

    /// The backend is connected, or offers something else than before.
    mutating func connect(_ features: FrontendFeatures) {
        self.features = features
    }

    // MARK: Callers

    /// Whether another request can be submitted.
    var isFull: Bool { operations.count &+ completionCount >= operations.capacity }

    /// Whether nothing is held: no request, and no completion that was not taken.
    var isIdle: Bool { operations.count == 0 && completionCount == 0 }

    /// Takes a request on; ``issue()`` puts it on the ring.
    ///
    /// - Precondition: The queue is not full, and the disk was asked whether it can do it.
    mutating func submit(_ submission: borrowing Submission) {
        precondition(!isFull)
        operations.append(submission)
    }

    /// Takes the oldest completion.
    mutating func takeCompletion() -> DiskCompletion? {
        guard completionCount > 0 else { return nil }
        let completion = completions[firstCompletion]
        firstCompletion = (firstCompletion &+ 1) % completions.count
        completionCount &-= 1
        return completion
    }

    /// A caller's request has ended.
    mutating func complete(_ index: Int, _ status: DiskStatus) {
        let entry = operations[index]
        completions[(firstCompletion &+ completionCount) % completions.count] = DiskCompletion(
            token: entry.token, status: status)
        completionCount &+= 1
        operations.remove(index)
        statistics.count(entry.kind, byteCount: entry.byteCount, status)
    }
}

extension FrontendOptions {
    /// How many pages a queue has granted at once, besides its ring.
    func grants(_ layout: RingLayout) -> Int {
        let perRequest =
            segmentLimit + BlockRequest.indirectPageCount(segments: segmentLimit)
        return grantLimit ?? layout.slotCount * perRequest
    }
}
