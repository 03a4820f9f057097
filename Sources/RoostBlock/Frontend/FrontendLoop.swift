internal import RoostHypervisor
internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// The loop of a queue's thread: callers' requests onto the ring, responses back to callers, sleep.
struct FrontendLoop<Allocator: GrantAllocator & ~Copyable, Channel: EventChannel & ~Copyable>:
    ~Copyable
{
    /// How long to sleep when the grant table was empty, or a backend held on to a grant: nothing
    /// announces that this has changed.
    static var retryMilliseconds: CInt { 10 }

    /// Responses that are taken before new requests are shown to the backend, so that it works
    /// meanwhile: both ends would take turns otherwise, each waiting for all of the other's.
    private static var batchLimit: Int { 8 }

    private var queue: FrontendQueue<Allocator, Channel>
    private let lanes: [FrontendLane]
    private let worker: FrontendWorker
    /// Whether the channel had an event when the thread woke.
    private var mayHaveEvent = true
    /// What was taken from a lane and is being submitted.
    private var taken: [Submission] = []

    /// Makes the queue of a domain's guest.
    ///
    /// - Throws: `BlockError` of kind `system`.
    static func make<Domain: HypervisorDomain>(
        _ domain: Domain, peer: DomainID, options: FrontendOptions, arena: PageWindow,
        lanes: [FrontendLane], worker: FrontendWorker
    ) throws(BlockError) -> FrontendLoop
    where Domain.Allocator == Allocator, Domain.Channel == Channel {
        guard let layout = RingLayout(options.blockProtocol, pageOrder: options.ringPageOrder)
        else {
            throw BlockError(.request, "no ring has the order \(options.ringPageOrder)")
        }
        let pageLimit = layout.pageCount + options.grants(layout)
        let allocator = try BlockError.asking { () throws(HypervisorError) in
            try domain.makeAllocator(for: peer, pageLimit: pageLimit)
        }
        let channel = try BlockError.asking { () throws(HypervisorError) in
            try domain.allocateUnbound(for: peer)
        }
        return FrontendLoop(
            queue: try .make(options, arena: arena, allocator: allocator, channel: channel),
            lanes: lanes, worker: worker)
    }

    private init(
        queue: consuming FrontendQueue<Allocator, Channel>, lanes: [FrontendLane],
        worker: FrontendWorker
    ) {
        self.queue = queue
        self.lanes = lanes
        self.worker = worker
    }

    /// What the frontend's keys name.
    var published: FrontendWorker.Published {
        let published = queue.published
        return FrontendWorker.Published(
            ringReferences: published.ringReferences, port: published.port)
    }

    /// Works until it is stopped; then what was not answered is put back into the lanes.
    ///
    /// - Throws: `BlockError` of kind `peer` once the backend broke the protocol.
    mutating func run() throws(BlockError) {
        while !worker.stop.isRaised, queue.failure == nil {
            let hasEvent = mayHaveEvent && queue.channel.takePending()
            if let features = worker.takeChange() { queue.connect(features) }
            let hasMore = queue.takeResponses(upTo: Self.batchLimit)
            answer()
            let isBusy = takeSubmissions()
            queue.issue()
            if hasEvent { queue.channel.unmask() }
            worker.show(queue.statistics, grants: queue.allocator.claimedCount)
            mayHaveEvent = false
            if !isBusy, !hasMore, queue.completionCount == 0 { sleep() }
        }
        answer()
        let failure = queue.failure
        var left = [[Submission]](repeating: [], count: lanes.count)
        for submission in queue.unfinished() {
            guard let place = place(of: submission.token) else { continue }
            left[place].append(submission)
        }
        for (place, lane) in lanes.enumerated() { lane.putBack(left[place]) }
        if let failure { throw failure }
    }

    /// Tells callers what has ended.
    private mutating func answer() {
        while let completion = queue.takeCompletion() {
            guard let place = place(of: completion.token) else { continue }
            lanes[place].finish(completion)
        }
    }

    /// Which of the lanes a token belongs to.
    private func place(of token: UInt64) -> Int? {
        lanes.firstIndex { $0.owns(token) }
    }

    /// Takes what callers have handed over.
    ///
    /// The queue has room for all that its lanes can hold. Answers whether there was anything.
    private mutating func takeSubmissions() -> Bool {
        var found = false
        for lane in lanes {
            lane.take(into: &taken, sleeper: worker)
            if !taken.isEmpty { found = true }
            for submission in taken { queue.submit(submission) }
            taken.removeAll(keepingCapacity: true)
        }
        return found
    }

    private mutating func sleep() {
        let isRetrying = queue.lacksGrants || queue.stuck.count > 0
        let ready = worker.stop.wait(
            orAnyReadable: [
                queue.channel.descriptor.rawValue, worker.wake.descriptor.rawValue, -1, -1,
            ],
            milliseconds: isRetrying ? Self.retryMilliseconds : -1)
        mayHaveEvent = ready & 0b01 != 0
        if ready & 0b10 != 0 { _ = worker.wake.take() }
    }
}
