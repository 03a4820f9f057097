public import RoostHypervisor
internal import SystemPackage

/// Which domain serves which disk on an embedded hypervisor: the tool stack's own nodes,
/// `/roost/disk/<name>` with the number of the backend's domain.
public struct DiskRegistry<Tools: Store>: Sendable {
    /// A connection to the store with all privileges.
    public let store: Tools

    /// Uses a connection to the store.
    ///
    /// - Parameter store: With all privileges.
    public init(_ store: Tools) {
        self.store = store
    }

    /// The node of a disk.
    ///
    /// - Throws: `HypervisorError` of kind `malformed` when the name has other characters than
    ///   letters, digits, `-` and `_`.
    func node(_ name: String) throws(HypervisorError) -> StorePath {
        guard !name.isEmpty, name.utf8.count <= 64, !name.contains("/"), !name.contains("@") else {
            throw HypervisorError(
                .malformed,
                "'\(name.prefix(80))' is no name of a disk: write at most 64 letters, digits, - or _"
            )
        }
        return try StorePath("/roost/disk/\(name)")
    }

    /// Enters a disk under its name.
    ///
    /// - Parameters:
    ///   - name: The disk.
    ///   - domain: Who serves it.
    /// - Throws: `HypervisorError` of kind `store` with `EEXIST` when another living domain does.
    public func register(_ name: String, servedBy domain: DomainID) async throws(HypervisorError) {
        let node = try node(name)
        try await store.transaction { (transaction) throws(HypervisorError) in
            if let other = try await server(of: node, in: transaction), other != domain {
                throw HypervisorError(
                    .store, errno: .fileExists,
                    "disk \(name) is served by domain \(other) already: stop that, or choose "
                        + "another name")
            }
            try await store.writeString("\(domain)", to: node, in: transaction)
        }
    }

    /// Takes a disk out, if it is still this domain's.
    ///
    /// - Parameters:
    ///   - name: The disk.
    ///   - domain: Who served it.
    /// - Throws: `HypervisorError` as the store does.
    public func unregister(_ name: String, servedBy domain: DomainID) async throws(HypervisorError)
    {
        let node = try node(name)
        try await store.transaction { (transaction) throws(HypervisorError) in
            guard try await store.readString(node, in: transaction) == "\(domain)" else { return }
            try await store.remove(node, in: transaction)
        }
    }

    /// The living domain that serves a disk, if one does.
    func server(
        of node: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) -> DomainID? {
        guard let text = try await store.readString(node, in: transaction),
            let number = UInt16(text)
        else { return nil }
        let home = try StorePath("/local/domain/\(number)")
        return try await store.exists(home, in: transaction)
            ? DomainID(rawValue: number) : nil
    }

    /// Writes the nodes of a device, both ends in one transaction, if the disk is served.
    ///
    /// What stands there of an earlier device of the same number is removed.
    ///
    /// - Parameters:
    ///   - name: The disk.
    ///   - number: Which of the guest's disks it is to be.
    ///   - guest: Whose.
    /// - Returns: The device, or `nil` when nobody serves the disk.
    /// - Throws: `HypervisorError` as the store does.
    public func attach(
        _ name: String, as number: BlockDeviceNumber, to guest: DomainID
    ) async throws(HypervisorError) -> BlockDeviceNodes? {
        let node = try node(name)
        return try await store.transaction { (transaction) throws(HypervisorError) in
            guard let backend = try await server(of: node, in: transaction) else { return nil }
            var device = try BlockDeviceNodes(number, of: guest, servedBy: backend)
            device.parameters = name
            try await remove(device, in: transaction)
            try await store.write(device, in: transaction)
            return device
        }
    }

    private func remove(
        _ device: BlockDeviceNodes, in transaction: StoreTransaction
    ) async throws(HypervisorError) {
        for folder in [device.frontendPath, device.backendPath] {
            let path = try StorePath(folder)
            guard try await store.exists(path, in: transaction) else { continue }
            try await store.remove(path, in: transaction)
        }
    }
}
