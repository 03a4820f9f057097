public import RoostHypervisor
internal import SystemPackage

/// The nodes of a device in the store, written and removed as Xen's tools do
/// (`xen/include/public/io/blkif.h`).
public struct DiskNodes: Sendable {
    /// Where they are.
    public let device: DeviceNodes
    private let nodes: BlockDeviceNodes
    /// The disk's name.
    public let disk: String
    /// What the guest calls the device, such as `xvda`.
    public let deviceName: String
    /// Whether the guest may not write.
    public let isReadOnly: Bool

    /// Describes a device.
    ///
    /// - Parameters:
    ///   - disk: The disk's name.
    ///   - deviceName: What the guest calls the device: `xvda`, `xvdb` and so on, or a number.
    ///   - frontend: The guest's domain.
    ///   - backend: The domain that serves the disk.
    ///   - isReadOnly: Whether the guest may not write.
    /// - Throws: `HostError` of kind `disk`.
    public init(
        disk: String, deviceName: String, frontend: UInt16, backend: UInt16,
        isReadOnly: Bool = false
    ) throws(HostError) {
        let number = try Self.number(of: deviceName)
        device = DeviceNodes(frontend: frontend, backend: backend, device: number.rawValue)
        do throws(HypervisorError) {
            var nodes = try BlockDeviceNodes(
                number, of: DomainID(rawValue: frontend),
                servedBy: DomainID(rawValue: backend))
            nodes.parameters = disk
            nodes.isReadOnly = isReadOnly
            nodes.canDiscard = !isReadOnly
            self.nodes = nodes
        } catch {
            throw HostError(.disk, errno: error.errno, error.description)
        }
        self.disk = disk
        self.deviceName = deviceName
        self.isReadOnly = isReadOnly
    }

    /// The number of a device.
    ///
    /// - Parameter name: `xvda`, `xvdb` and so on, with digits for a partition, or the number.
    /// - Returns: The number.
    /// - Throws: `HostError` of kind `disk`.
    public static func device(named name: String) throws(HostError) -> UInt32 {
        try number(of: name).rawValue
    }

    private static func number(of name: String) throws(HostError) -> BlockDeviceNumber {
        do throws(HypervisorError) {
            if let number = UInt32(name).flatMap(BlockDeviceNumber.init) { return number }
            return try BlockDeviceNumber(name: name)
        } catch {
            throw HostError(.disk, errno: error.errno, error.description)
        }
    }

    /// Finds where a guest's device has its backend.
    ///
    /// - Parameters:
    ///   - deviceName: What the guest calls it, or its number.
    ///   - frontend: The guest's domain.
    ///   - disk: The disk's name, which its backend must have.
    ///   - store: The store, as somebody privileged sees it.
    /// - Returns: Where its nodes are.
    /// - Throws: `HostError` of kind `absent` when there is no such device, or `HypervisorError`.
    public static func find(
        _ deviceName: String, of frontend: UInt16, disk: String, in store: some Store
    ) async throws -> DeviceNodes {
        let number = try device(named: deviceName)
        let folder = "/local/domain/\(frontend)/device/vbd/\(number)"
        let device: DeviceNodes?
        do throws(HypervisorError) {
            let path = try await store.read(try StorePath("\(folder)/backend"), in: nil)
            device = DeviceNodes(backendPath: String(decoding: path, as: UTF8.self))
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            guard try await store.exists(try StorePath("/local/domain/\(frontend)")) else {
                throw try await absence(of: frontend, "cannot detach \(deviceName)", store)
            }
            throw HostError(
                .absent, path: folder,
                "domain \(frontend) has no device \(deviceName) (\(folder)): see roost disk list")
        }
        guard let device, device.frontend == frontend, device.device == number else {
            throw HostError(
                .disk, path: folder,
                "\(folder)/backend names no backend of it: remove both ends with xenstore-rm")
        }
        let name = try? await store.read(try StorePath("\(device.backendPath)/params"), in: nil)
        guard name == nil || name == Array(disk.utf8) else {
            throw HostError(
                .disk, path: folder,
                "device \(deviceName) of domain \(frontend) is the disk "
                    + "\(DiskDoctor.quoted(String(decoding: name ?? [], as: UTF8.self))), not "
                    + "\(disk): name the right one")
        }
        return device
    }

    /// What the guest's kernel calls a device.
    ///
    /// - Parameter number: The device's number.
    /// - Returns: `xvda` and so on, or the number where it is none of a disk.
    public static func deviceName(_ number: UInt32) -> String {
        BlockDeviceNumber(rawValue: number)?.name ?? "\(number)"
    }

    /// That there is no domain of a number, and which there are.
    private static func absence(
        of domain: UInt16, _ what: String, _ store: some Store
    ) async throws -> HostError {
        let listing = try await DomainListing.read(from: store)
        return HostError(
            .absent,
            "\(what): there is no domain \(domain); "
                + (listing.domains.isEmpty
                    ? "no domain lives; start the guest first"
                    : "those that live are \(listing.sentence) (roost disk list --domains)"))
    }

    /// Writes the nodes of both ends at once.
    ///
    /// - Parameter store: The store, as somebody privileged sees it.
    /// - Throws: `HypervisorError`, or `HostError`: of kind `absent` when one of the domains is not
    ///   there, `disk` when the device is there already.
    public func attach(to store: some Store) async throws {
        for domain in [device.frontend, device.backend] {
            guard try await store.exists(try StorePath("/local/domain/\(domain)")) else {
                throw try await Self.absence(
                    of: domain, "cannot attach \(disk) as \(deviceName)", store)
            }
        }
        let taken = try await store.transaction {
            transaction throws(HypervisorError) -> String? in
            for path in [device.frontendPath, device.backendPath] {
                let state = try StorePath("\(path)/state")
                if try await store.exists(state, in: transaction) { return path }
            }
            try await store.write(nodes, in: transaction)
            return nil
        }
        guard let taken else { return }
        throw HostError(
            .disk, path: taken,
            "cannot attach \(disk) as \(deviceName): domain \(device.frontend) has such a device "
                + "(\(taken)); choose another --device, or detach it")
    }

    /// Asks the backend to let the device go, waits until it has, and removes the nodes.
    ///
    /// - Parameters:
    ///   - device: Which.
    ///   - store: The store, as somebody privileged sees it.
    ///   - limit: How long to wait; at zero the nodes are removed at once.
    /// - Throws: `HypervisorError`, or `HostError` of kind `timeout`; the nodes are there then.
    public static func detach(
        _ device: DeviceNodes, from store: some Store, within limit: Duration
    ) async throws {
        let state = try StorePath("\(device.backendPath)/state")
        if limit > .zero {
            let isOpen = try await store.transaction {
                transaction throws(HypervisorError) -> Bool in
                let value = try await store.readString(state, in: transaction)
                guard let value, value != closed else { return false }
                let online = try StorePath("\(device.backendPath)/online")
                try await store.writeString("0", to: online, in: transaction)
                // Closing, as Xen's tools ask for it.
                try await store.writeString("5", to: state, in: transaction)
                return true
            }
            if isOpen { try await waitForClosed(device, store, state, limit) }
        }
        try await store.transaction { transaction throws(HypervisorError) in
            for path in [device.frontendPath, device.backendPath] {
                let folder = try StorePath(path)
                guard try await store.exists(folder, in: transaction) else { continue }
                try await store.remove(folder, in: transaction)
            }
        }
    }

    /// The state Closed.
    private static let closed = "\(XenbusState.closed.rawValue)"

    private static func waitForClosed(
        _ device: DeviceNodes, _ store: some Store, _ state: StorePath, _ limit: Duration
    ) async throws {
        let isClosed = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await _ in try await store.watch(state) {
                    // A node that is gone is closed too.
                    let value = try await store.readString(state)
                    if value == nil || value == closed { return true }
                }
                return false
            }
            group.addTask {
                try await Task.sleep(for: limit)
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
        guard isClosed else {
            throw HostError(
                .timeout,
                "the backend of device \(device.device) of domain \(device.frontend) did not let "
                    + "it go within \(limit): see roost disk doctor, or detach it with --force")
        }
    }
}
