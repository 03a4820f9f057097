public import RoostHypervisor
internal import Synchronization

/// A device of a backend, as the control plane and those who ask see it.
final class BackendDevice: Sendable, CustomStringConvertible {
    private struct State {
        var own = XenbusState.initialising
        var frontend = ObservedState.state(.unknown)
        var workers: [BackendWorker] = []
        var control: BackendControl?
        var keys: FrontendKeys?
        /// What the queues of former connections did.
        var former = BackendStatistics()
        var connectedAt: ContinuousClock.Instant?
        /// What went wrong last.
        var failure: String?
    }

    /// The backend's folder of it.
    let nodes: StorePath
    let frontendPath: StorePath
    let frontend: DomainID
    let number: BlockDeviceNumber
    /// What its session is to react to.
    let events: AsyncStream<BackendSessionEvent>
    private let sink: AsyncStream<BackendSessionEvent>.Continuation
    private let state = Mutex(State())

    init(_ nodes: StorePath, _ description: BlockDeviceNodes) throws(HypervisorError) {
        self.nodes = nodes
        frontendPath = try StorePath(description.frontendPath)
        frontend = description.frontend
        number = description.number
        (events, sink) = AsyncStream.makeStream()
    }

    /// Tells the session that something may have happened.
    func post(_ event: BackendSessionEvent) { sink.yield(event) }

    /// The states of both ends.
    func note(own: XenbusState, frontend: ObservedState) {
        state.withLock {
            $0.own = own
            $0.frontend = frontend
        }
    }

    /// What went wrong.
    func note(failure: String) {
        state.withLock { $0.failure = failure }
    }

    /// The queues of the present connection, none when there is none.
    func use(_ workers: [BackendWorker], _ control: BackendControl?, _ keys: FrontendKeys?) {
        state.withLock { state in
            for worker in state.workers { state.former.add(worker.counters.snapshot()) }
            state.workers = workers
            state.control = control
            state.keys = keys
            state.connectedAt = workers.isEmpty ? nil : .now
            if !workers.isEmpty { state.failure = nil }
        }
    }

    /// The disk has another size.
    func resize(to sectorCount: UInt64) {
        state.withLock { $0.control?.sectorCount = sectorCount }
        post(.resize)
    }

    var description: String { "\(number.name) of domain \(frontend)" }

    /// What it is and has done.
    func snapshot(_ features: BackendFeatures, _ offer: BackendOffer) -> BackendDeviceSnapshot {
        state.withLock { state in
            BackendDeviceSnapshot(
                nodes: nodes, frontend: frontend, number: number, state: state.own,
                frontendState: state.frontend, ringPageOrder: state.keys?.ringPageOrder ?? 0,
                protocolName: state.keys?.blockProtocol.name,
                offersPersistence: state.keys?.isPersistent ?? false,
                mode: state.workers.first?.configuration.mode,
                connectedTime: state.connectedAt.map { $0.duration(to: .now) },
                failure: state.failure, features: features, offer: offer,
                queues: state.workers.map { $0.counters.snapshot() },
                former: state.former)
        }
    }
}

/// What a backend's session of a device is told.
enum BackendSessionEvent: Sendable {
    case frontendMayHaveChanged
    case ownNodesMayHaveChanged
    /// The disk may be free for this frontend now.
    case diskMayBeFree
    case queueEnded(Result<Void, BlockError>)
    case resize
    case close
    case storeEnded
}

/// A device of a backend at one time.
public struct BackendDeviceSnapshot: Sendable {
    /// The backend's folder of it.
    public let nodes: StorePath
    /// Whose disk it is.
    public let frontend: DomainID
    /// Which of its disks.
    public let number: BlockDeviceNumber
    /// The backend's state.
    public let state: XenbusState
    /// What was last seen of the frontend's.
    public let frontendState: ObservedState
    /// A ring has 2 to the power of this many pages.
    public let ringPageOrder: Int
    /// The layout of the rings, while connected.
    public let protocolName: String?
    /// Whether the frontend grants persistently.
    public let offersPersistence: Bool
    /// How the frontend's pages are reached, while connected.
    public let mode: GrantMode?
    /// How long it has been connected, if it is.
    public let connectedTime: Duration?
    /// What went wrong last, until it is connected again.
    public let failure: String?
    /// What the frontend is told of the disk.
    public let features: BackendFeatures
    /// What the frontend is offered.
    public let offer: BackendOffer
    /// What each queue has done.
    public let queues: [BackendStatistics]
    /// What the queues of former connections did.
    public let former: BackendStatistics
}

extension BackendStatistics {
    /// Adds what another queue has done; grants that are mapped and bounds add up too.
    mutating func add(_ other: BackendStatistics) {
        for counter in Self.sums { self[keyPath: counter] &+= other[keyPath: counter] }
        for bucket in latencies.indices { latencies[bucket] &+= other.latencies[bucket] }
    }

    private static var sums: [WritableKeyPath<BackendStatistics, UInt64>] {
        [
            \.reads, \.writes, \.flushes, \.discards, \.barriers, \.readBytes, \.writtenBytes,
            \.errors, \.inFlight, \.notificationsSent, \.notificationsSuppressed,
            \.notificationsFailed, \.spuriousEvents, \.grantsMapped, \.grantsPeak, \.grantsLimit,
            \.grantHits, \.grantMisses, \.grantEvictions, \.grantOverflows, \.grantsCopied,
            \.grantsMappedOnce,
        ]
    }
}
