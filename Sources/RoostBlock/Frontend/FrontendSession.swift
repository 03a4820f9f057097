internal import Logging
internal import RoostHypervisor
internal import RoostSystem

/// One connection of a frontend to a backend, from the nodes in the store to the end of its queues.
///
/// It carries out what ``FrontendHandshake`` says. One task runs it.
struct FrontendSession<Domain: HypervisorDomain> {
    /// Why a session is over.
    enum End {
        /// The backend is gone or has closed; another may come.
        case backendGone
        /// The hypervisor is gone; another may come.
        case hypervisorGone
        /// The device was taken away.
        case removed
        /// The backend broke the protocol, or the ends cannot agree.
        case failed(BlockError)
        /// The caller has closed the disk.
        case closed
    }

    private enum Event: Sendable {
        case backendMayHaveChanged
        case ownNodesMayHaveChanged
        case workerEnded(Result<Void, BlockError>)
        case storeEnded
        case close
    }

    let disk: BlockFrontend<Domain>
    let domain: Domain
    let own: DeviceFolder<Domain.DomainStore>
    let peer: DeviceFolder<Domain.DomainStore>
    let backend: DomainID
    private var handshake = FrontendHandshake()
    private var workers: [FrontendWorker] = []
    private var threads: [Task<Void, Never>] = []
    private var published: [FrontendWorker.Published] = []
    private let events: AsyncStream<Event>
    private let post: AsyncStream<Event>.Continuation

    /// Reads where the backend is.
    init(
        _ disk: BlockFrontend<Domain>, _ attachment: BlockFrontend<Domain>.Attachment
    ) async throws(BlockError) {
        self.disk = disk
        domain = attachment.domain
        own = DeviceFolder(store: domain.store, path: attachment.path)
        let folder = own
        let store = domain.store
        (backend, peer) = try await BlockError.askingStore { () throws(HypervisorError) in
            let values = try await folder.values(["backend", "backend-id", "virtual-device"])
            let binding = try FrontendBinding { values[$0] }
            return (binding.backend, DeviceFolder(store: store, path: binding.backendPath))
        }
        (events, post) = AsyncStream.makeStream()
    }

    /// Connects, and keeps at it until the connection is over.
    ///
    /// - Returns: Why it is over; no queue runs any more, and what had no answer waits in the lanes.
    mutating func run() async -> End {
        let end: End
        do throws(BlockError) {
            let watches = try await watch()
            end = await withTaskCancellationHandler {
                await follow()
            } onCancel: { [post] in
                post.yield(.close)
            }
            for task in watches { task.cancel() }
        } catch {
            end = await judge(error)
        }
        await disconnect()
        return end
    }

    // MARK: Events

    private func watch() async throws(BlockError) -> [Task<Void, Never>] {
        let (peer, own, store, post) = (peer, own, domain.store, post)
        let watches = try await BlockError.askingStore { () throws(HypervisorError) in
            (
                try await store.watch(try StorePath("\(peer.path)/state")),
                try await store.watch(try StorePath("\(own.path)/state"))
            )
        }
        disk.setClose { post.yield(.close) }
        return [
            Task {
                for await _ in watches.0 { post.yield(.backendMayHaveChanged) }
                if !Task.isCancelled { post.yield(.storeEnded) }
            },
            Task {
                for await _ in watches.1 { post.yield(.ownNodesMayHaveChanged) }
            },
        ]
    }

    private mutating func follow() async -> End {
        for await event in events {
            do throws(HypervisorError) {
                if let end = try await react(to: event) { return end }
            } catch {
                return await judge(BlockError(.handshake, errno: error.errno, error.description))
            }
        }
        return .closed
    }

    private mutating func react(to event: Event) async throws(HypervisorError) -> End? {
        switch event {
        case .backendMayHaveChanged:
            let seen = try await peer.observeState()
            if seen == .state(.unknown) { return .backendGone }
            if let failure = try await carryOut(handshake.backendChanged(seen)) { return failure }
            return handshake.state == .closed || handshake.state == .closing ? .backendGone : nil
        case .ownNodesMayHaveChanged:
            guard try await own.observeState() == .state(.unknown) else { return nil }
            if domain.isLost { return .hypervisorGone }
            _ = try await carryOut(handshake.nodesRemoved())
            return .removed
        case .workerEnded(.success): return nil
        case .workerEnded(.failure(let error)):
            _ = try await carryOut(handshake.fail(error.description))
            return .failed(error)
        case .storeEnded: return .hypervisorGone
        case .close:
            _ = try await carryOut(handshake.close())
            return .closed
        }
    }

    /// What a failure means: a backend or a hypervisor that went away just then is no fault.
    private func judge(_ failure: BlockError) async -> End {
        if domain.isLost { return .hypervisorGone }
        let seen = try? await peer.observeState()
        if domain.isLost { return .hypervisorGone }
        return seen == .state(.unknown) ? .backendGone : .failed(failure)
    }

    /// Ends the connection for a failure, and tells the backend if it is there.
    private mutating func end(of failure: BlockError) async throws(HypervisorError) -> End {
        let end = await judge(failure)
        if case .failed = end { _ = try await carryOut(handshake.fail(failure.description)) }
        return end
    }

    // MARK: Actions

    private mutating func carryOut(
        _ actions: [HandshakeAction]
    ) async throws(HypervisorError) -> End? {
        for action in actions {
            switch action {
            case .publish:
                if let failure = try await publish() { return try await end(of: failure) }
            case .connect:
                if let failure = try await connect() { return try await end(of: failure) }
            case .resize: try await readSize()
            case .disconnect: await disconnect()
            case .writeState(let state):
                guard try await domain.store.writeState(state, of: own.path) else {
                    return .removed
                }
            case .report(let sentence):
                disk.options.logger.error("\(sentence)")
                await own.report(sentence, by: domain.id)
            case .announce, .remove: break
            }
        }
        return nil
    }

    /// Makes the queues, and publishes their rings.
    private mutating func publish() async throws(HypervisorError) -> BlockError? {
        let values = try await peer.all()
        let offer: BackendOffer
        do throws(HypervisorError) {
            offer = try BackendOffer { values[$0] }
        } catch {
            return BlockError(.handshake, error.description)
        }
        do throws(BlockError) {
            try await startQueues(offer)
        } catch {
            return error
        }
        let keys = FrontendKeys(
            queues: published.map { .init(ringReferences: $0.ringReferences, port: $0.port) },
            blockProtocol: disk.options.blockProtocol, isPersistent: disk.options.policy != .never)
        try await own.publish(keys.entries, removing: FrontendKeys.allTopLevelKeys)
        return nil
    }

    private mutating func startQueues(_ offer: BackendOffer) async throws(BlockError) {
        var options = disk.options
        options.queueCount = min(options.queueCount, offer.maximumQueueCount)
        options.ringPageOrder = min(options.ringPageOrder, offer.maximumRingPageOrder)
        for number in 0..<options.queueCount {
            let lanes = disk.lanes.enumerated().filter { $0.offset % options.queueCount == number }
                .map(\.element)
            // Room for all that its lanes can hold, so that what waits there can always be taken.
            options.depth = disk.options.depth * lanes.count
            let worker = try FrontendWorker()
            let (domain, backend, disk, post) = (domain, backend, disk, post)
            let agreed = options
            let (started, start) = AsyncStream<Result<FrontendWorker.Published, BlockError>>
                .makeStream()
            threads.append(
                Task {
                    let result = await BlockError.onThread("disk-guest-\(number)") {
                        () throws(BlockError) in
                        try worker.run(
                            domain, peer: backend, options: agreed, arena: disk.arena.window,
                            lanes: lanes
                        ) { start.yield(.success($0)) }
                    }
                    // The first element tells: after a start this one is not looked at.
                    if case .failure(let error) = result { start.yield(.failure(error)) }
                    start.finish()
                    post.yield(.workerEnded(result))
                })
            workers.append(worker)
            let outcome = await started.first { _ in true }
            let stopped = BlockError(.closed, "the queue's thread ended before it began")
            published.append(try (outcome ?? .failure(stopped)).get())
        }
        disk.use(workers)
    }

    /// Reads what the backend offers, and lets the queues work.
    private func connect() async throws(HypervisorError) -> BlockError? {
        let values = try await peer.all()
        let features: FrontendFeatures
        do throws(HypervisorError) {
            features = FrontendFeatures(
                try BackendFeatures { values[$0] }, try BackendOffer { values[$0] })
        } catch {
            return BlockError(.handshake, error.description)
        }
        // Before a queue can answer anybody, so that what the disk refuses is refused from then on.
        disk.connected(features)
        for worker in workers { worker.connect(features) }
        let rings = published.map { "\($0.ringReferences[0])" }.joined(separator: ", ")
        let ports = published.map { "\($0.port)" }.joined(separator: ", ")
        disk.options.logger.info(
            """
            connected to domain \(backend): ring-ref \(rings), event-channel \(ports), \
            \(disk.options.blockProtocol.name), \(disk.options.policy.rawValue) grants, backend \
            \(features.isPersistent ? "persistent" : "not persistent")
            """)
        return nil
    }

    private func readSize() async throws(HypervisorError) {
        let values = try await peer.values(["sectors"])
        let count = try BackendFeatures.sectorCount { values[$0] }
        disk.resized(to: count)
    }

    /// Ends the queues; what had no answer is put back into the lanes.
    private mutating func disconnect() async {
        for worker in workers { worker.stop.raise() }
        for thread in threads { await thread.value }
        disk.disconnected()
        workers = []
        threads = []
        published = []
    }
}

extension FrontendFeatures {
    /// What a backend's keys say.
    init(_ features: BackendFeatures, _ offer: BackendOffer) {
        self.init(
            geometry: DiskGeometry(
                sectorCount: features.sectorCount,
                logicalSectorByteCount: Int(features.sectorByteCount),
                physicalSectorByteCount: Int(features.physicalSectorByteCount),
                isReadOnly: features.info.contains(.readOnly), canFlush: features.canFlush,
                canDiscard: features.discard != nil),
            indirectSegmentLimit: offer.maximumIndirectSegments,
            canWriteBarriers: features.canBarrier,
            canDiscardSecurely: features.discard?.isSecure ?? false,
            isPersistent: features.isPersistent)
    }
}
