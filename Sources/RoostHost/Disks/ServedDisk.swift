internal import Glibc
internal import Logging
internal import RoostBlock
internal import RoostHypervisor
internal import RoostSystem
internal import Synchronization

/// What the disk's image is, besides its sectors.
struct ServedImage: Sendable {
    /// What its file or device is known by.
    var identity: [String]?
    /// What it looked like when it was opened.
    var look: String?
}

/// A disk that this process serves on the embedded hypervisor, and serves again when that was gone.
final class ServedDisk<Storage: BlockStorage>: DiskEngine {
    private struct State {
        var backend: BlockBackend<EmbeddedDomain, Storage>?
    }

    private let storage: Storage
    private let image: ServedImage
    private let options: DiskServiceOptions
    private let location: HypervisorLocation
    private let logger: Logger
    private let state = Mutex(State())

    init(
        _ storage: Storage, _ image: ServedImage, _ options: DiskServiceOptions,
        at location: HypervisorLocation, logger: Logger
    ) {
        self.storage = storage
        self.image = image
        self.options = options
        self.location = location
        self.logger = logger
    }

    // MARK: DiskEngine

    func run() async throws {
        let program = try DiskEngines.program()
        // What the storage is doing cannot be taken back, and it may still write guests' pages.
        let hold = StopHolds.hold { [self] in
            let backend = state.withLock { $0.backend }
            let count = backend?.snapshot().reduce(0) { sum, device in
                device.queues.reduce(sum) { $0 + $1.inFlight }
            }
            guard let count, count > 0 else { return nil }
            return "\(count) requests under way in the storage of disk \(options.name)"
        }
        defer { withExtendedLifetime(hold) {} }
        while !Task.isCancelled {
            do throws(HypervisorError) {
                let domain = try await HypervisorLauncher.connect(
                    at: location, name: "disk-\(options.name.prefix(20))", isPrivileged: true,
                    program: program)
                defer { domain.disconnect() }
                try await serve(on: domain)
            } catch {
                // Told to end before it had begun to serve.
                guard !Task.isCancelled else { return }
                guard error.kind == .lost else { throw error }
                logger.warning("disk \(options.name): the hypervisor is gone; looking for it")
            }
        }
    }

    private func serve(on domain: EmbeddedDomain) async throws(HypervisorError) {
        let backend: BlockBackend<EmbeddedDomain, Storage>
        do throws(BlockError) {
            backend = try BlockBackend(
                storage, name: options.name, on: domain, options: try backendOptions())
        } catch {
            throw HypervisorError(.system, errno: error.errno, error.description)
        }
        let registry = DiskRegistry(domain.store)
        try await registry.register(options.name, servedBy: domain.id)
        state.withLock { $0.backend = backend }
        let name = options.name
        let outcome = await withTaskCancellationHandler {
            () async -> Result<Void, HypervisorError> in
            do throws(HypervisorError) {
                return .success(try await backend.run())
            } catch {
                return .failure(error)
            }
        } onCancel: {
            // First of all, so that no guest that is asked to close comes back at once.
            Task { try? await registry.unregister(name, servedBy: domain.id) }
        }
        try outcome.get()
        // In a task of its own, since this one is cancelled.
        await Task { try? await registry.unregister(name, servedBy: domain.id) }.value
    }

    private func backendOptions() throws(BlockError) -> BackendOptions {
        var backend = BackendOptions()
        backend.logger = logger
        backend.mode = options.mode == .persistent && !options.isPersistent ? .copy : options.mode
        backend.overflow = options.overflow
        backend.persistentLimit = options.grantLimit
        backend.queueLimit = options.queueLimit ?? ThisProcess.processorCount
        return backend
    }

    func snapshot() async throws -> DiskSnapshot {
        let backend = state.withLock { $0.backend }
        let geometry = backend?.geometry ?? storage.geometry
        var time = timespec()
        // SAFETY: a local value to be filled in.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        var snapshot = DiskSnapshot(
            name: options.name, image: "\(options.image)", byteCount: geometry.byteCount,
            logicalSectorByteCount: geometry.logicalSectorByteCount,
            isReadOnly: geometry.isReadOnly, processID: ThisProcess.processID,
            domain: backend?.domain.id.rawValue ?? 0, hypervisorSocket: location.socketPath,
            mode: options.mode.rawValue,
            isHypervisorConnected: backend.map { !$0.domain.isLost } ?? false,
            nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec),
            devices: backend?.snapshot().map(DeviceSnapshot.init) ?? [])
        snapshot.imageIdentity = image.identity
        snapshot.imageLook = image.look
        return snapshot
    }
}

extension DeviceSnapshot {
    /// A device as its control socket describes it.
    init(_ device: BackendDeviceSnapshot) {
        self.init(
            frontend: device.frontend.rawValue, device: device.number.rawValue,
            frontendState: Self.name(device.frontendState),
            backendState: device.state.name,
            seconds: device.connectedTime.map { $0 / .seconds(1) } ?? 0, failure: device.failure,
            queues: device.queues.map(QueueSnapshot.init))
        guard !device.queues.isEmpty else { return }
        blockProtocol = device.protocolName
        ringPageCount = 1 << device.ringPageOrder
        var features = Features()
        features.isPersistent = device.mode == .persistent
        features.indirectSegmentLimit = device.offer.maximumIndirectSegments
        features.canFlush = device.features.canFlush
        features.canWriteBarriers = device.features.canBarrier
        features.canDiscard = device.features.discard != nil
        self.features = features
    }

    private static func name(_ state: ObservedState) -> String {
        switch state {
        case .state(let state): state.name
        case .invalid(let text): text
        }
    }
}

extension QueueSnapshot {
    /// A queue as its control socket describes it.
    init(_ queue: BackendStatistics) {
        self.init()
        reads = queue.reads
        writes = queue.writes
        flushes = queue.flushes
        discards = queue.discards
        barriers = queue.barriers
        readBytes = queue.readBytes
        writtenBytes = queue.writtenBytes
        errors = queue.errors
        inFlight = queue.inFlight
        notificationsSent = queue.notificationsSent
        notificationsSuppressed = queue.notificationsSuppressed
        grantsMapped = queue.grantsMapped
        grantsPeak = queue.grantsPeak
        grantsLimit = queue.grantsLimit
        grantHits = queue.grantHits
        grantMisses = queue.grantMisses
        grantEvictions = queue.grantEvictions
        grantOverflows = queue.grantOverflows
        grantsCopied = queue.grantsCopied
        grantsMappedOnce = queue.grantsMappedOnce
        latency = LatencyHistogram(
            counts: queue.latencies, lowestLatency: LatencyBuckets.lowest)
    }
}
