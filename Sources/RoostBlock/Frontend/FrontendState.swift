internal import Synchronization

/// What the control plane of a frontend knows.
struct FrontendState {
    /// The disk as the last backend described it.
    var features: FrontendFeatures?
    var geometry: DiskGeometry? { features?.geometry }
    /// Whether a backend is connected now.
    var isConnected = false
    /// How many connections were lost.
    var reconnections = 0
    /// Who is told what the disk is.
    var observers: [Int: AsyncStream<DiskGeometry>.Continuation] = [:]
    var nextObserver = 0
    var workers: [FrontendWorker] = []
    /// What the queues of former connections did.
    var former = FrontendStatistics()
    /// Ends the present connection.
    var close: (@Sendable () -> Void)?
    /// Whether the caller has closed the disk.
    var isClosing = false
    /// Why the disk is out of use.
    var closed: BlockError?
}

/// What a frontend is and has done, at one time.
public struct FrontendSnapshot: Sendable, Equatable {
    /// Whether a backend is connected.
    public var isConnected: Bool
    /// How many connections were lost so far.
    public var reconnections: Int
    /// What the backend offers, once one was connected.
    public var features: FrontendFeatures?
    /// How many queues there are.
    public var queueCount: Int
    /// Pages that are granted now.
    public var grantCount: Int
    /// What all queues have done.
    public var statistics: FrontendStatistics
}

extension BlockFrontend {
    /// The disk, once a backend has described it.
    public var geometry: DiskGeometry? { state.withLock { $0.geometry } }

    /// What the disk is and has done.
    public func snapshot() -> FrontendSnapshot {
        state.withLock { state in
            var statistics = state.former
            var grants = 0
            for worker in state.workers {
                let shown = worker.snapshot
                statistics += shown.statistics
                grants += shown.grants
            }
            return FrontendSnapshot(
                isConnected: state.isConnected, reconnections: state.reconnections,
                features: state.features, queueCount: state.workers.count, grantCount: grants,
                statistics: statistics)
        }
    }

    /// Waits for the first connection to a backend.
    ///
    /// - Returns: The disk.
    /// - Throws: `BlockError` of kind `closed` or `peer` when the disk is out of use.
    public func waitUntilConnected() async throws(BlockError) -> DiskGeometry {
        for await geometry in geometries() { return geometry }
        throw state.withLock { $0.closed }
            ?? BlockError(.closed, "the wait for a connection was ended")
    }

    /// What the disk is: now, if that is known, and whenever a backend says it anew.
    ///
    /// - Returns: A sequence that ends when the disk is out of use; of what comes while nobody takes
    ///   it the last is kept.
    public func geometries() -> AsyncStream<DiskGeometry> {
        let (stream, continuation) = AsyncStream<DiskGeometry>.makeStream(
            bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state -> Int? in
            if let geometry = state.geometry { continuation.yield(geometry) }
            guard state.closed == nil else { return nil }
            state.nextObserver += 1
            state.observers[state.nextObserver] = continuation
            return state.nextObserver
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.observers.removeValue(forKey: number) }
        }
        return stream
    }

    // MARK: Sessions

    /// Says how the present connection is ended; at once if the caller has closed the disk before.
    func setClose(_ close: @escaping @Sendable () -> Void) {
        let isClosing = state.withLock {
            $0.close = close
            return $0.isClosing
        }
        if isClosing { close() }
    }

    /// The queues of the present connection.
    func use(_ workers: [FrontendWorker]) {
        state.withLock { $0.workers = workers }
    }

    /// A backend is connected.
    func connected(_ features: FrontendFeatures) {
        let observers = state.withLock { state in
            state.features = features
            state.isConnected = true
            return state.observers.values
        }
        for observer in observers { observer.yield(features.geometry) }
    }

    /// The disk has another size now.
    func resized(to sectorCount: UInt64) {
        let (geometry, observers) = state.withLock { state in
            state.features?.geometry.sectorCount = sectorCount
            return (state.geometry, state.observers.values)
        }
        guard let geometry else { return }
        for observer in observers { observer.yield(geometry) }
    }

    /// The connection is over; its queues' numbers are kept.
    func disconnected() {
        state.withLock { state in
            for worker in state.workers { state.former += worker.snapshot.statistics }
            state.former.stuckGrants = 0
            state.workers = []
            if state.isConnected { state.reconnections += 1 }
            state.isConnected = false
        }
    }

    /// Takes the disk out of use: whoever waits is told why, and whoever comes.
    func close(_ error: BlockError) {
        let observers = state.withLock { state in
            state.closed = state.closed ?? error
            state.isConnected = false
            return state.observers.values
        }
        for observer in observers { observer.finish() }
        for lane in lanes { lane.close(error) }
    }
}
