public import RoostHypervisor
internal import SystemPackage

/// Which domain serves which disk on an embedded hypervisor: the tool stack's own nodes,
/// `/roost/disk/<name>` with the number of the backend's domain, and `@` for each dot of the name.
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
    /// The store's names have no dot, and a disk's name has no `@`: the one stands for the other.
    ///
    /// - Throws: `HypervisorError` of kind `malformed` when it is no name of a disk.
    func node(_ name: String) throws(HypervisorError) -> StorePath {
        guard DiskName.isName(name) else {
            throw HypervisorError(
                .malformed, "'\(name.prefix(80))' is no name of a disk: use \(DiskName.rule)")
        }
        return try StorePath("/roost/disk/\(name.replacingDots)")
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
    ///
    /// - Parameter name: The disk.
    /// - Returns: The domain.
    /// - Throws: `HypervisorError` as the store does.
    public func server(of name: String) async throws(HypervisorError) -> DomainID? {
        try await server(of: try node(name), in: nil)
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

/// What disks can be called.
public enum DiskName {
    /// The most bytes of a name.
    public static let maximumByteCount = 64
    /// What a name may be, as the end of a sentence.
    public static let rule =
        "letters, digits, - _ and ., the first a letter or digit, at most \(maximumByteCount)"

    /// Whether a text can be a disk's name.
    ///
    /// - Parameter text: The text.
    /// - Returns: Whether every command and the store can use it.
    public static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, isLetterOrDigit(first),
            text.utf8.count <= maximumByteCount
        else { return false }
        return text.utf8.allSatisfy { isLetterOrDigit($0) || "-_.".utf8.contains($0) }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}

extension String {
    /// The text with `@` for each dot.
    fileprivate var replacingDots: String { String(map { $0 == "." ? "@" : $0 }) }
}
