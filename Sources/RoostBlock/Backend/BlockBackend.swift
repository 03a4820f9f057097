internal import Logging
public import RoostHypervisor
internal import Synchronization

/// A disk that is served to guests.
///
/// ``run()`` watches the backend's folder of the store and serves every device there that asks for
/// this disk by name, until it is closed or the hypervisor is gone. Each queue of a device is a
/// thread. A disk that can be written is served to one guest at a time: others wait; a read-only
/// one to any number.
public final class BlockBackend<Domain: HypervisorDomain, Disk: BlockStorage>: Sendable {
    private struct State {
        var devices: [StorePath: BackendDevice] = [:]
        /// The folders that a task serves, or is about to.
        var served: Set<StorePath> = []
        /// Who may write.
        var owner: StorePath?
        var isClosing = false
        /// Ends the look-out for devices.
        var endSearch: (@Sendable () -> Void)?
        var sectorCount: UInt64
    }

    /// The domain that serves.
    public let domain: Domain
    /// What devices name the disk by, in their key `params`.
    public let name: String
    let storage: Disk
    let options: BackendOptions
    private let state: Mutex<State>

    /// Prepares to serve a disk.
    ///
    /// - Parameters:
    ///   - storage: The disk.
    ///   - name: What devices name it by.
    ///   - domain: The domain that serves.
    ///   - options: How.
    /// - Throws: `BlockError` of kind `request`.
    public init(
        _ storage: Disk, name: String, on domain: Domain, options: BackendOptions = BackendOptions()
    ) throws(BlockError) {
        try options.check()
        self.storage = storage
        self.name = name
        self.domain = domain
        self.options = options
        state = Mutex(State(sectorCount: storage.geometry.sectorCount))
    }

    // MARK: The disk

    /// What the disk is now.
    public var geometry: DiskGeometry {
        var geometry = storage.geometry
        geometry.sectorCount = state.withLock { $0.sectorCount }
        return geometry
    }

    /// What frontends are told of it.
    var features: BackendFeatures {
        let geometry = geometry
        return BackendFeatures(
            sectorCount: geometry.sectorCount,
            sectorByteCount: UInt32(geometry.logicalSectorByteCount),
            physicalSectorByteCount: UInt32(geometry.physicalSectorByteCount),
            info: geometry.isReadOnly ? .readOnly : [], canFlush: geometry.canFlush,
            canBarrier: geometry.canFlush && options.offersBarriers,
            discard: geometry.canDiscard && !geometry.isReadOnly
                ? .init(granularityByteCount: UInt32(geometry.physicalSectorByteCount)) : nil,
            isPersistent: options.mode == .persistent)
    }

    /// Tells all frontends of another size; the storage has it already.
    ///
    /// - Parameter sectorCount: In sectors of 512 bytes.
    public func resize(to sectorCount: UInt64) {
        let devices = state.withLock { state in
            state.sectorCount = sectorCount
            return Array(state.devices.values)
        }
        for device in devices { device.resize(to: sectorCount) }
    }

    /// What every device is and has done, in the order of their folders.
    public func snapshot() -> [BackendDeviceSnapshot] {
        let devices = state.withLock { Array($0.devices.values) }
        let features = features
        return devices.map { $0.snapshot(features, options.offer) }.sorted {
            $0.nodes.text < $1.nodes.text
        }
    }

    // MARK: Running

    /// Serves until the disk is closed, the task is cancelled or the hypervisor is gone.
    ///
    /// - Throws: `HypervisorError` of kind `lost` when the hypervisor is gone, and others when the
    ///   store cannot be used.
    public func run() async throws(HypervisorError) {
        let folder = try StorePath("/local/domain/\(domain.id)/backend/vbd")
        let watch = try await domain.store.watch(folder)
        let (changes, change) = AsyncStream<StorePath>.makeStream()
        state.withLock { $0.endSearch = { change.finish() } }
        if isClosing { change.finish() }
        await withTaskGroup(of: Void.self) { group in
            let watching = Task {
                for await path in watch { change.yield(path) }
                change.finish()
            }
            var finder = DeviceFinder(store: domain.store, folder: folder, name: name)
            await withTaskCancellationHandler {
                for await path in changes {
                    for nodes in await finder.devices(at: path) { serve(nodes, in: &group) }
                }
            } onCancel: {
                close()
            }
            watching.cancel()
            for device in state.withLock({ Array($0.devices.values) }) { device.post(.close) }
            await group.waitForAll()
        }
        guard !isClosing else { return }
        throw HypervisorError(
            .lost, "the hypervisor is gone; the disk is served again when it is back")
    }

    private func serve(_ nodes: StorePath, in group: inout TaskGroup<Void>) {
        let isNew = state.withLock { $0.served.insert(nodes).inserted }
        guard isNew else { return }
        group.addTask { [self] in
            do throws(HypervisorError) {
                while try await serve(nodes) {}
            } catch {
                log("cannot serve '\(nodes)': \(error.description)")
            }
            state.withLock { _ = $0.served.remove(nodes) }
        }
    }

    /// Tells of what went wrong with a device: nothing does while all are let go on purpose.
    func log(_ sentence: String) {
        options.logger.log(level: isClosing ? .debug : .error, "\(sentence)")
    }

    /// Serves a device until it is gone.
    ///
    /// - Returns: Whether there is another in its place.
    private func serve(_ nodes: StorePath) async throws(HypervisorError) -> Bool {
        let folder = DeviceFolder(store: domain.store, path: nodes)
        let values = try await folder.all()
        guard values["params"] == name else { return false }
        let device = try BackendDevice(
            nodes, try BlockDeviceNodes(backendPath: nodes) { values[$0] })
        state.withLock { $0.devices[nodes] = device }
        defer {
            release(device)
            state.withLock { $0.devices[nodes] = nil }
        }
        if isClosing { return false }
        var session = try await BackendSession(self, device)
        await session.run()
        if options.removesNodes { await removeNodes(of: device) }
        return session.isReplaced
    }

    /// Removes the backend's folder of a device whose frontend's domain is gone.
    private func removeNodes(of device: BackendDevice) async {
        // What cannot be removed now goes with this domain.
        guard let home = try? StorePath("/local/domain/\(device.frontend)"),
            let isThere = try? await domain.store.exists(home), !isThere
        else { return }
        try? await domain.store.remove(device.nodes, in: nil)
    }

    /// Whether the disk is being closed.
    var isClosing: Bool { state.withLock { $0.isClosing } }

    /// How long frontends may take to close before they are left.
    static var closeLimit: Duration { .milliseconds(500) }

    /// Ends all devices: each frontend is asked to close, and ``run()`` returns when they have, or
    /// after half a second.
    public func close() {
        let (devices, endSearch) = state.withLock { state in
            state.isClosing = true
            return (Array(state.devices.values), state.endSearch)
        }
        endSearch?()
        for device in devices { device.post(.close) }
        guard !devices.isEmpty else { return }
        Task {
            try await Task.sleep(for: Self.closeLimit)
            for device in devices { device.post(.storeEnded) }
        }
    }

    // MARK: One writer

    /// Gives the disk to a device, if it is free.
    func claim(for device: BackendDevice) -> Bool {
        guard !storage.geometry.isReadOnly else { return true }
        return state.withLock { state in
            guard state.owner == nil || state.owner == device.nodes else { return false }
            state.owner = device.nodes
            return true
        }
    }

    /// A device has no more use for the disk.
    func release(_ device: BackendDevice) {
        let waiting = state.withLock { state -> [BackendDevice] in
            guard state.owner == device.nodes else { return [] }
            state.owner = nil
            return state.devices.values.filter { $0.nodes != device.nodes }
        }
        for device in waiting { device.post(.diskMayBeFree) }
    }
}
