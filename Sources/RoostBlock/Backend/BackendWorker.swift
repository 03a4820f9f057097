internal import RoostHypervisor
internal import RoostSystem
internal import SystemPackage

/// What the control plane and the thread of a backend's queue say to each other.
final class BackendWorker: Sendable {
    /// Ends the queue's thread.
    let stop: StopSignal
    /// What the queue counts in.
    let counters = BackendCounters()
    /// How the queue reaches the frontend's pages.
    let configuration: BackendConfiguration

    init(_ configuration: BackendConfiguration) throws(BlockError) {
        self.configuration = configuration
        stop = try BlockError.makingEvents { () throws(Errno) in try StopSignal() }
    }

    /// What a thread needs to know.
    struct Work<Domain: HypervisorDomain, Disk: BlockStorage>: Sendable {
        let domain: Domain
        let disk: Disk
        let frontend: DomainID
        let queue: FrontendKeys.Queue
        let control: BackendControl
        let ceiling: GrantCeiling
    }

    /// Serves a ring on the calling thread until it is stopped.
    ///
    /// - Parameters:
    ///   - work: Whose ring, and which disk.
    ///   - begin: Is called once the ring is attached, before anything is served.
    /// - Returns: How many pages could not be unmapped in the end; they go with the mapper.
    /// - Throws: `BlockError` of kind `peer` when the ring is none or is broken, `system`, or
    ///   `storage`.
    @specialized(where Domain == EmbeddedDomain, Disk == MemoryStorage)
    @specialized(where Domain == EmbeddedDomain, Disk == FileStorage)
    func run<Domain: HypervisorDomain, Disk: BlockStorage>(
        _ work: Work<Domain, Disk>, begin: () -> Void
    ) throws(BlockError) -> Int {
        let mapper = try BlockError.asking { () throws(HypervisorError) in
            try work.domain.makeMapper(of: work.frontend)
        }
        let channel = try BlockError.asking { () throws(HypervisorError) in
            try work.domain.bind(to: work.frontend, port: work.queue.port)
        }
        let storage = try work.disk.makeQueue(
            depth: configuration.layout.slotCount, segmentLimit: configuration.segmentLimit)
        typealias Queue = BackendQueue<Domain.Mapper, Domain.Channel, Disk.Queue>
        var queue = try Queue.attach(
            configuration,
            Queue.Shared(
                geometry: work.disk.geometry, control: work.control, counters: counters,
                ceiling: work.ceiling),
            ring: work.queue.ringReferences.span, mapper: mapper, channel: channel,
            storage: storage)
        begin()
        let end = queue.run(until: stop)
        let left = queue.close()
        guard end != .broken else {
            throw BlockError(
                .peer,
                "the ring of domain \(work.frontend) is broken: its frontend claims more requests "
                    + "than there are slots; it is served no more")
        }
        return left
    }
}
