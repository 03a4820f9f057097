internal import Logging
internal import RoostHypervisor
internal import RoostSystem

/// One device of a backend: a frontend's, from the nodes that the tool stack wrote to their end.
///
/// It carries out what ``BackendHandshake`` says. One task runs it.
struct BackendSession<Domain: HypervisorDomain, Disk: BlockStorage> {
    let backend: BlockBackend<Domain, Disk>
    let device: BackendDevice
    let own: DeviceFolder<Domain.DomainStore>
    let peer: DeviceFolder<Domain.DomainStore>
    private var handshake: BackendHandshake
    private var workers: [BackendWorker] = []
    private var threads: [Task<Void, Never>] = []
    /// Whether the tool stack has written the device anew while it was served.
    private(set) var isReplaced = false

    private var domain: Domain { backend.domain }
    private var log: Logger { backend.options.logger }

    /// Reads what the tool stack has written.
    ///
    /// - Throws: `HypervisorError` when it makes no sense.
    init(
        _ backend: BlockBackend<Domain, Disk>, _ device: BackendDevice
    ) async throws(HypervisorError) {
        self.backend = backend
        self.device = device
        own = DeviceFolder(store: backend.domain.store, path: device.nodes)
        peer = DeviceFolder(store: backend.domain.store, path: device.frontendPath)
        guard case .state(let state) = try await own.observeState() else {
            throw HypervisorError(.malformed, "the state of '\(device.nodes)' is no number")
        }
        let online = try await own.values(["online"])["online"]
        handshake = BackendHandshake(state: state, isOnline: online != "0")
    }

    /// Serves the device until it is removed or the backend is closed.
    mutating func run() async {
        do throws(HypervisorError) {
            let watches = try await watch()
            if try await carryOut(handshake.start()) { try await follow() }
            for task in watches { task.cancel() }
        } catch {
            if error.kind != .lost, !domain.isLost {
                backend.log("device \(device): \(error.description)")
            }
        }
        await disconnect()
    }

    private func watch() async throws(HypervisorError) -> [Task<Void, Never>] {
        let store = domain.store
        let frontend = try await store.watch(try StorePath("\(peer.path)/state"))
        let nodes = try await store.watch(own.path)
        let device = device
        return [
            Task {
                for await _ in frontend { device.post(.frontendMayHaveChanged) }
                if !Task.isCancelled { device.post(.storeEnded) }
            },
            Task {
                for await path in nodes
                where path == device.nodes || path.text.hasSuffix("/online")
                    || path.text.hasSuffix("/state")
                {
                    device.post(.ownNodesMayHaveChanged)
                }
            },
        ]
    }

    private mutating func follow() async throws(HypervisorError) {
        for await event in device.events {
            guard try await react(to: event) else { return }
        }
    }

    /// Does what an event asks for.
    ///
    /// - Returns: Whether the device is still there.
    private mutating func react(to event: BackendSessionEvent) async throws(HypervisorError) -> Bool
    {
        switch event {
        case .frontendMayHaveChanged, .diskMayBeFree:
            let seen = try await peer.observeState()
            if seen == .state(.initialised) || seen == .state(.connected),
                handshake.state != .connected, !backend.claim(for: device)
            {
                log.warning(
                    "device \(device) waits: the disk is writable and another guest uses it")
                return true
            }
            return try await carryOut(handshake.frontendChanged(seen))
        case .ownNodesMayHaveChanged:
            let seen = try await own.observeState()
            // Only the tool stack writes 1: the folder is another now, of the same name.
            isReplaced = seen == .state(.initialising) && handshake.state != .initialising
            guard seen != .state(.unknown), !isReplaced else {
                return try await carryOut(handshake.nodesRemoved())
            }
            let online = try await own.values(["online"])["online"]
            return try await carryOut(handshake.onlineChanged(online != "0"))
        case .queueEnded(.success): return true
        case .queueEnded(.failure(let error)):
            return try await carryOut(handshake.fail(error.description))
        case .resize: return try await carryOut(handshake.resize())
        case .close:
            // The frontend is asked to close; what it answers ends the device, or its absence does.
            let goesOn = try await carryOut(handshake.close())
            return goesOn && handshake.frontend != .state(.unknown) && handshake.state != .closed
        case .storeEnded: return false
        }
    }

    // MARK: Actions

    /// - Returns: Whether the device is still there.
    private mutating func carryOut(
        _ actions: [HandshakeAction]
    ) async throws(HypervisorError) -> Bool {
        for action in actions {
            switch action {
            case .announce: try await own.publish(backend.options.offer.entries)
            case .connect:
                if let failure = try await connect() {
                    return try await carryOut(handshake.fail(failure.description))
                }
            case .resize:
                try await own.publish([
                    backend.features.sectorsEntry,
                    StoreEntry("state", "\(XenbusState.connected.rawValue)"),
                ])
            case .disconnect: await disconnect()
            case .writeState(let state):
                guard try await domain.store.writeState(state, of: own.path) else { break }
                device.note(own: state, frontend: handshake.frontend)
            case .report(let sentence):
                backend.log("device \(device): \(sentence)")
                device.note(failure: sentence)
                await own.report(sentence, by: domain.id)
            case .remove: return false
            case .publish: break
            }
        }
        device.note(own: handshake.state, frontend: handshake.frontend)
        if backend.isClosing, handshake.state == .closed { return false }
        return true
    }

    /// Maps the rings, starts the queues, and publishes what the disk is.
    private mutating func connect() async throws(HypervisorError) -> BlockError? {
        let values = try await peer.all()
        do throws(HypervisorError) {
            let keys = try FrontendKeys(offeredBy: backend.options.offer) { values[$0] }
            do throws(BlockError) {
                try await startQueues(keys)
            } catch {
                return error
            }
            try await own.publish(backend.features.entries)
            describe(keys)
            return nil
        } catch {
            guard error.kind == .malformed else { throw error }
            return BlockError(.handshake, error.description)
        }
    }

    private mutating func startQueues(_ keys: FrontendKeys) async throws(BlockError) {
        guard let layout = RingLayout(keys.blockProtocol, pageOrder: keys.ringPageOrder)
        else { throw BlockError(.handshake, "no ring has the order \(keys.ringPageOrder)") }
        let configuration = backend.options.configuration(
            layout, isPersistent: keys.isPersistent)
        let control = BackendControl(sectorCount: backend.geometry.sectorCount)
        let ceiling = ceiling(configuration, queues: keys.queues.count)
        for (number, queue) in keys.queues.enumerated() {
            let worker = try BackendWorker(configuration)
            let work = BackendWorker.Work(
                domain: domain, disk: backend.storage, frontend: device.frontend, queue: queue,
                control: control, ceiling: ceiling)
            let (started, start) = AsyncStream<Result<Void, BlockError>>.makeStream()
            let (device, log) = (device, log)
            threads.append(
                Task {
                    let result = await BlockError.onThread("disk-\(device.frontend)-\(number)") {
                        () throws(BlockError) in
                        let left = try worker.run(work) { start.yield(.success(())) }
                        if left > 0 {
                            log.error("device \(device): \(left) pages could not be unmapped")
                        }
                    }
                    if case .failure = result { start.yield(result) }
                    start.finish()
                    device.post(.queueEnded(result))
                })
            workers.append(worker)
            let outcome = await started.first { _ in true }
            let stopped = BlockError(.closed, "the queue's thread ended before it began")
            try (outcome ?? .failure(stopped)).get()
        }
        device.use(workers, control, keys)
    }

    private func ceiling(_ configuration: BackendConfiguration, queues: Int) -> GrantCeiling {
        let (device, log) = (device, log)
        let limit =
            backend.options.deviceLimit
            ?? queues * (configuration.persistentLimit ?? configuration.usualPersistentLimit)
        return GrantCeiling(limit: limit) {
            log.warning(
                """
                device \(device) has no room for more persistent grants (\(limit)): the others \
                are mapped for each request
                """)
        }
    }

    /// The one line at connect.
    private func describe(_ keys: FrontendKeys) {
        let rings = keys.queues.map { "\($0.ringReferences.first?.rawValue ?? 0)" }
        let ports = keys.queues.map { "\($0.port)" }
        let mode = workers.first?.configuration.mode.rawValue ?? "none"
        log.info(
            """
            device \(device) connected: ring-ref \(rings.joined(separator: ", ")), event-channel \
            \(ports.joined(separator: ", ")), \(keys.blockProtocol.name), \
            \(keys.isPersistent ? "persistent" : "plain") grants, mode \(mode)
            """)
    }

    /// Ends the queues; nothing of the frontend stays mapped.
    private mutating func disconnect() async {
        for worker in workers { worker.stop.raise() }
        for thread in threads { await thread.value }
        device.use([], nil, nil)
        workers = []
        threads = []
        backend.release(device)
    }
}

extension BackendOptions {
    /// What a queue of a device is to be.
    func configuration(_ layout: RingLayout, isPersistent: Bool) -> BackendConfiguration {
        var configuration = BackendConfiguration(layout: layout)
        configuration.mode =
            mode == .persistent && !isPersistent ? modeWithoutPersistence : mode
        configuration.overflow = overflow
        configuration.order = order
        configuration.indirectSegmentLimit = indirectSegmentLimit
        configuration.persistentLimit = persistentLimit
        configuration.idleTime = idleTime
        return configuration
    }
}
