internal import FoundationEssentials
internal import Logging
internal import RoostBlock
internal import RoostHypervisor
internal import Synchronization

/// What nbdkit was told about the disk, and the disk once it is open.
///
/// nbdkit forks after it has read its parameters, and a fork leaves threads behind: so the disk,
/// which has threads, is opened afterwards.
final class Plugin: Sendable {
    /// The one plugin of the process.
    static let shared = Plugin()

    /// The parameters that there are.
    static let keys = ["disk", "socket", "policy", "queues", "ring-order", "segments"]

    private struct State {
        var parameters: [String: String] = [:]
        var disk: (any PluginDisk)?
    }

    private let state = Mutex(State())

    /// Takes a parameter of the command line.
    ///
    /// - Throws: `BlockError` of kind `request` for one that does not exist or comes twice.
    func set(_ key: String, to value: String) throws(BlockError) {
        guard Self.keys.contains(key) else {
            throw BlockError(
                .request,
                "there is no parameter '\(key)': give one of "
                    + Self.keys.joined(separator: ", "))
        }
        let isNew = state.withLock { $0.parameters.updateValue(value, forKey: key) == nil }
        guard isNew else {
            throw BlockError(.request, "the parameter '\(key)' is given twice: give it once")
        }
    }

    /// Refuses parameters with which no disk can be opened, before nbdkit goes on.
    ///
    /// - Throws: `BlockError` of kind `request` or `image`.
    func checkParameters() throws(BlockError) {
        let name = state.withLock { $0.parameters["disk"] }
        guard let name, !name.isEmpty else {
            throw BlockError(.request, "no disk is given: write nbdkit … disk=NAME")
        }
        if name.hasPrefix("ram:") {
            _ = try DiskImage(name)
        } else if !DiskName.isName(name) {
            throw BlockError(
                .request, "'\(name.prefix(80))' is no name of a disk: use \(DiskName.rule)")
        }
    }

    /// Opens the disk.
    ///
    /// - Throws: `BlockError` when it cannot be.
    func openDisk() throws(BlockError) {
        let parameters = state.withLock { $0.parameters }
        let disk = try Self.disk(parameters)
        state.withLock { $0.disk = disk }
    }

    /// The disk that parameters name.
    private static func disk(_ parameters: [String: String]) throws(BlockError) -> any PluginDisk {
        let name = parameters["disk"] ?? ""
        if name.hasPrefix("ram:"), case .memory(let byteCount) = try DiskImage(name) {
            return try MemoryDisk(byteCount: byteCount)
        }
        let location: HypervisorLocation
        do throws(HypervisorError) {
            if let socket = parameters["socket"] {
                location = try HypervisorLocation(socketPath: socket)
            } else {
                location = try HypervisorLocation.standard(
                    environment: ProcessInfo.processInfo.environment)
            }
        } catch {
            throw BlockError(.request, error.description)
        }
        let attachment = EmbeddedAttachment(name, at: location, guest: "nbdkit")
        return try FrontendDisk(
            try BlockFrontend(try options(parameters)) { try await attachment.attach() })
    }

    /// What the frontend asks for.
    private static func options(
        _ parameters: [String: String]
    ) throws(BlockError) -> FrontendOptions {
        var options = FrontendOptions()
        options.logger = Logger(label: "roost") { _ in PluginLog() }
        options.queueCount = try number("queues", parameters) ?? options.queueCount
        options.ringPageOrder = try number("ring-order", parameters) ?? options.ringPageOrder
        options.segmentLimit = try number("segments", parameters) ?? options.segmentLimit
        if let text = parameters["policy"] {
            guard let policy = GrantPolicy(rawValue: text) else {
                let names = GrantPolicy.allCases.map(\.rawValue).joined(separator: ", ")
                throw BlockError(.request, "there is no policy '\(text)': give one of \(names)")
            }
            options.policy = policy
        }
        return options
    }

    private static func number(
        _ key: String, _ parameters: [String: String]
    ) throws(BlockError) -> Int? {
        guard let text = parameters[key] else { return nil }
        guard let number = Int(text) else {
            throw BlockError(.request, "'\(text)' is no number: give one as \(key)")
        }
        return number
    }

    /// Starts a client's connection.
    func connect(isReadOnly: Bool) -> PluginConnection? {
        state.withLock { $0.disk }.map { PluginConnection(disk: $0, isReadOnly: isReadOnly) }
    }

    /// Lets the disk go.
    func closeDisk() {
        let disk = state.withLock { state in
            defer { state.disk = nil }
            return state.disk
        }
        disk?.close()
    }
}

/// One NBD client of the disk.
final class PluginConnection: Sendable {
    let disk: any PluginDisk
    let geometry: DiskGeometry
    /// Whether this client may only read.
    let isReadOnly: Bool

    init(disk: any PluginDisk, isReadOnly: Bool) {
        self.disk = disk
        geometry = disk.geometry
        self.isReadOnly = isReadOnly || disk.geometry.isReadOnly
    }

    /// The most bytes of a request that nbdkit is to pass on; larger ones clients split.
    static let maximumByteCount: UInt32 = 32 << 20

    /// How many bytes the disk has.
    var byteCount: UInt64 { geometry.sectorCount * UInt64(sectorByteCount) }

    /// Refuses what is no request for whole sectors of the disk.
    ///
    /// - Throws: `BlockError` of kind `request`.
    func check(_ count: UInt32, at offset: UInt64) throws(BlockError) {
        let unit = UInt64(geometry.logicalSectorByteCount)
        let (end, overflow) = offset.addingReportingOverflow(UInt64(count))
        guard offset % unit == 0, UInt64(count) % unit == 0, !overflow, end <= byteCount else {
            throw BlockError(
                .request, sector: offset / UInt64(sectorByteCount),
                "\(count) bytes at byte \(offset) are no whole sectors of \(unit) bytes on the disk: "
                    + "let the client keep to the block size that NBD tells it")
        }
    }
}
