/// A virtual disk as the tool stack describes it to both ends, before either driver starts.
///
///     /local/domain/<frontend>/device/vbd/<number>                   the frontend's folder
///     /local/domain/<backend>/backend/<type>/<frontend>/<number>     the backend's folder
///
/// Both folders are to appear in one transaction, or a driver sees half a device.
public struct BlockDeviceNodes: Equatable, Sendable {
    /// Who uses the disk.
    public var frontend: DomainID
    /// Who serves it.
    public var backend: DomainID
    /// Which of the frontend's disks it is.
    public var number: BlockDeviceNumber
    /// The kind of backend: `vbd`, or another name, which Linux's own backend leaves alone.
    public let backendType: String
    /// Whether nothing can be written.
    public var isReadOnly = false
    /// What the backend is to serve, in its own words.
    public var parameters = ""
    /// Whether it looks like a CD drive.
    public var isCDROM = false
    /// Whether sectors can be discarded.
    public var canDiscard = true
    /// Whether the guest can boot from it.
    public var isBootable = true
    /// What makes the backend's device on a real Xen host, or `nil`.
    public var script: String?

    /// The kind of backend that Linux's own module serves.
    public static let standardType = "vbd"
    /// The most bytes of a kind's name.
    public static let maximumTypeByteCount = 32

    /// Describes a disk.
    ///
    /// - Parameters:
    ///   - number: Which of the frontend's disks.
    ///   - frontend: Who uses it.
    ///   - backend: Who serves it.
    ///   - backendType: Letters, digits, `-` and `_`.
    /// - Throws: `HypervisorError` of kind `malformed` when the type is no name.
    public init(
        _ number: BlockDeviceNumber, of frontend: DomainID, servedBy backend: DomainID,
        backendType: String = standardType
    ) throws(HypervisorError) {
        let isName = try StorePath("/\(backendType)").text.utf8.allSatisfy {
            $0 != UInt8(ascii: "@")
        }
        guard isName, !backendType.contains("/"),
            backendType.utf8.count <= Self.maximumTypeByteCount
        else {
            throw HypervisorError(
                .malformed,
                "'\(backendType.prefix(80))' is no kind of backend: write at most "
                    + "\(Self.maximumTypeByteCount) letters, digits, - or _, such as vbd")
        }
        self.number = number
        self.frontend = frontend
        self.backend = backend
        self.backendType = backendType
    }

    /// The frontend's folder.
    public var frontendPath: String { "/local/domain/\(frontend)/device/vbd/\(number)" }

    /// The backend's folder.
    public var backendPath: String {
        "/local/domain/\(backend)/backend/\(backendType)/\(frontend)/\(number)"
    }

    /// Who may use the frontend's folder: its owner, and the backend reads.
    public var frontendPermissions: StorePermissions {
        StorePermissions(owner: frontend, listed: [.init(.read, backend)])
    }

    /// Who may use the backend's folder: its owner, and the frontend reads.
    public var backendPermissions: StorePermissions {
        StorePermissions(owner: backend, listed: [.init(.read, frontend)])
    }

    /// The frontend's keys.
    public var frontendEntries: [StoreEntry] {
        [
            StoreEntry("backend", backendPath),
            StoreEntry("backend-id", backend.rawValue),
            StoreEntry(DeviceKey.state, XenbusState.initialising.rawValue),
            StoreEntry("virtual-device", number.rawValue),
            StoreEntry("device-type", isCDROM ? "cdrom" : "disk"),
            StoreEntry("trusted", true),
            StoreEntry(DeviceKey.abi, BlockProtocol.native.name),
        ]
    }

    /// The backend's keys.
    ///
    /// `dev` is needed: without it Linux's backend is connected but serves nothing.
    public var backendEntries: [StoreEntry] {
        var entries = [
            StoreEntry("frontend", frontendPath),
            StoreEntry("frontend-id", frontend.rawValue),
            StoreEntry("online", true),
            StoreEntry(DeviceKey.state, XenbusState.initialising.rawValue),
            StoreEntry("mode", isReadOnly ? "r" : "w"),
            StoreEntry("params", parameters),
            StoreEntry("type", "phy"),
            StoreEntry("dev", number.name),
            StoreEntry("removable", isCDROM),
            StoreEntry("bootable", isBootable),
            StoreEntry("discard-enable", canDiscard),
            StoreEntry("device-type", isCDROM ? "cdrom" : "disk"),
            StoreEntry("specification", "xen"),
            StoreEntry("direct-io-safe", false),
        ]
        if let script { entries.append(StoreEntry("script", script)) }
        return entries
    }

    /// Reads a disk from its backend's folder.
    ///
    /// - Parameters:
    ///   - path: The folder.
    ///   - value: Answers the value of a key, relative to the folder, or `nil`.
    /// - Throws: `HypervisorError` of kind `malformed`, which names the path or the key.
    public init(
        backendPath path: StorePath, _ value: (String) -> String?
    ) throws(HypervisorError) {
        let names = path.text.utf8.split(separator: UInt8(ascii: "/")).map { String($0) ?? "" }
        guard names.count == 7, names[0] == "local", names[1] == "domain", names[3] == "backend",
            let backend = UInt16(decimal: names[2].utf8),
            let frontend = UInt16(decimal: names[5].utf8),
            let number = UInt32(decimal: names[6].utf8).flatMap(BlockDeviceNumber.init)
        else {
            throw HypervisorError(
                .malformed,
                "'\(path)' is no folder of a disk's backend: it has the form "
                    + "/local/domain/0/backend/vbd/1/51712")
        }
        try self.init(
            number, of: DomainID(rawValue: frontend), servedBy: DomainID(rawValue: backend),
            backendType: names[4])
        try withoutActuallyEscaping(value) { (value) throws(HypervisorError) in
            try readBackend(KeyReader(writer: "backend", value: value))
        }
    }

    private mutating func readBackend(_ keys: KeyReader) throws(HypervisorError) {
        guard try keys.requiredText("frontend") == frontendPath else {
            throw keys.refusal("frontend", "must be '\(frontendPath)'")
        }
        switch try keys.requiredText("mode") {
        case "r": isReadOnly = true
        case "w": isReadOnly = false
        default: throw keys.refusal("mode", "must be r or w")
        }
        parameters = keys.value("params") ?? ""
        isCDROM = keys.value("device-type") == "cdrom"
        canDiscard = try keys.number("discard-enable", 0...UInt32.max) ?? 1 != 0
        isBootable = try keys.number("bootable", 0...UInt32.max) ?? 1 != 0
        script = keys.value("script")
    }
}

extension Store {
    /// Writes the nodes of a device at both ends, with their permissions.
    ///
    /// - Parameters:
    ///   - device: The device; what stands in its folders stays unless it is written.
    ///   - transaction: In which transaction: a driver is to see all or nothing.
    /// - Throws: `HypervisorError` as `write` does.
    public func write(
        _ device: BlockDeviceNodes, in transaction: StoreTransaction
    ) async throws(HypervisorError) {
        try await write(
            device.frontendEntries, below: device.frontendPath, device.frontendPermissions,
            in: transaction)
        try await write(
            device.backendEntries, below: device.backendPath, device.backendPermissions,
            in: transaction)
    }

    private func write(
        _ entries: [StoreEntry], below path: String, _ permissions: StorePermissions,
        in transaction: StoreTransaction
    ) async throws(HypervisorError) {
        let folder = try StorePath(path)
        try await makeDirectory(folder, in: transaction)
        // The folder's permissions go on to what is made in it.
        try await setPermissions(permissions, of: folder, in: transaction)
        for entry in entries {
            try await writeString(
                entry.value, to: try StorePath("\(path)/\(entry.key)"), in: transaction)
        }
    }
}
