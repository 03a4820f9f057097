internal import RoostHypervisor
internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// What the control plane and the thread of a queue say to each other.
final class FrontendWorker: Sendable {
    /// What the frontend's keys name.
    struct Published: Sendable {
        let ringReferences: [GrantReference]
        let port: EventPort
    }

    private struct State {
        var features: FrontendFeatures?
        var isChanged = false
        var statistics = FrontendStatistics()
        var grants = 0
    }

    /// Ends the queue's thread.
    let stop: StopSignal
    /// Wakes the thread: there are features to look at.
    let wake: EventCounter
    private let state = Mutex(State())

    init() throws(BlockError) {
        stop = try BlockError.makingEvents { () throws(Errno) in try StopSignal() }
        wake = try BlockError.makingEvents { () throws(Errno) in try EventCounter.make() }
    }

    /// Lets the queue issue requests: the backend is connected, or offers something else.
    func connect(_ features: FrontendFeatures) {
        state.withLock {
            $0.features = features
            $0.isChanged = true
        }
        wake.signal()
    }

    /// What the queue has done so far, and how many pages it has granted.
    var snapshot: (statistics: FrontendStatistics, grants: Int) {
        state.withLock { ($0.statistics, $0.grants) }
    }

    /// What the backend offers, if that is news.
    func takeChange() -> FrontendFeatures? {
        state.withLock { state in
            guard state.isChanged else { return nil }
            state.isChanged = false
            return state.features
        }
    }

    /// Shows what the queue has done.
    func show(_ statistics: FrontendStatistics, grants: Int) {
        state.withLock {
            $0.statistics = statistics
            $0.grants = grants
        }
    }

    /// Runs a queue on the calling thread until it is stopped, or its backend breaks the protocol.
    ///
    /// - Parameters:
    ///   - domain: Whose guest this is.
    ///   - peer: The backend's domain.
    ///   - options: As agreed on with the backend.
    ///   - arena: Where callers' bytes lie.
    ///   - lanes: Whose requests it serves; what is left is put back there.
    ///   - publish: Is told what the keys name, before anything waits.
    /// - Throws: `BlockError` of kind `system`, or `peer` once the backend broke the protocol.
    @specialized(where Domain == EmbeddedDomain)
    func run<Domain: HypervisorDomain>(
        _ domain: Domain, peer: DomainID, options: FrontendOptions, arena: PageWindow,
        lanes: [FrontendLane], publish: (Published) -> Void
    ) throws(BlockError) {
        var loop = try FrontendLoop<Domain.Allocator, Domain.Channel>.make(
            domain, peer: peer, options: options, arena: arena, lanes: lanes, worker: self)
        publish(loop.published)
        try loop.run()
    }
}
