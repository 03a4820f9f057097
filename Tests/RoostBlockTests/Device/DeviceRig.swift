import RoostHypervisor
import Testing

@testable import RoostBlock

/// A disk from one end to the other on a hypervisor of a test's own: a backend and a frontend, each a
/// domain, agreeing over the real store.
struct DeviceRig {
    let machine: DiskMachine
    let name = "disk1"

    init(_ machine: DiskMachine) {
        self.machine = machine
    }

    /// Serves a storage until the task is cancelled; returns once guests can attach.
    func serve<Disk: BlockStorage>(
        _ storage: Disk, _ change: (inout BackendOptions) -> Void = { _ in }
    ) async throws -> ServedBackend<Disk> {
        var options = BackendOptions()
        change(&options)
        let domain = try EmbeddedDomain(at: machine.location, name: "backend", isPrivileged: true)
        let backend = try BlockBackend(storage, name: name, on: domain, options: options)
        try await DiskRegistry(domain.store).register(name, servedBy: domain.id)
        return ServedBackend(
            backend: backend, domain: domain,
            task: Task {
                try await backend.run()
            })
    }

    /// A connection to the store with all privileges.
    func tools() async throws -> StoreClient {
        try await StoreClient.connect(path: machine.location.storePath)
    }

    /// A frontend's folder in the store, once it has a domain.
    func path(of guest: ConnectedFrontend) throws -> String {
        let domain = try #require(guest.attachment.domain)
        return "/local/domain/\(domain)/device/vbd/51712"
    }

    /// Waits until a frontend has published its rings, and its backend has not connected yet.
    func waitUntilInitialised(_ guest: ConnectedFrontend) async throws {
        let tools = try await tools()
        let wanted = "\(XenbusState.initialised.rawValue)"
        for await _ in try await tools.watch(try StorePath("/local/domain"))
        where guest.attachment.domain != nil {
            let state = try StorePath("\(path(of: guest))/state")
            if try await tools.readString(state) == wanted { return }
        }
    }

    /// Connects a frontend, which runs until it is closed, and tells of its domain whenever it has
    /// attached.
    func connect(
        reporting report: AsyncStream<EmbeddedDomain>.Continuation? = nil,
        _ change: (inout FrontendOptions) -> Void = { _ in }
    ) throws -> ConnectedFrontend {
        var options = FrontendOptions()
        change(&options)
        let attachment = EmbeddedAttachment(name, at: machine.location)
        let frontend = try BlockFrontend(options) {
            let attached = try await attachment.attach()
            report?.yield(attached.domain)
            return attached
        }
        return ConnectedFrontend(
            frontend: frontend, attachment: attachment, task: Task { try await frontend.run() })
    }
}

/// A backend that is being served.
struct ServedBackend<Disk: BlockStorage> {
    let backend: BlockBackend<EmbeddedDomain, Disk>
    let domain: EmbeddedDomain
    let task: Task<Void, any Error>

    /// Ends it as a command does that is told to.
    func close() async throws {
        backend.close()
        try await task.value
        domain.disconnect()
    }

    /// Ends it as a killed process does: the hypervisor takes everything back.
    func kill() async {
        domain.disconnect()
        _ = await task.result
    }
}

/// A frontend that is connected.
struct ConnectedFrontend {
    let frontend: BlockFrontend<EmbeddedDomain>
    let attachment: EmbeddedAttachment
    let task: Task<Void, any Error>

    func close() async throws {
        frontend.close()
        try await task.value
    }

    /// Writes a byte over and over.
    func fill(_ byte: UInt8, at offset: UInt64, count: Int) async throws {
        let buffer = try frontend.makeBuffer(byteCount: count)
        buffer.store([UInt8](repeating: byte, count: count), at: 0)
        try await frontend.write(buffer.all, at: offset)
    }

    /// Reads bytes.
    func bytes(at offset: UInt64, count: Int) async throws -> [UInt8] {
        let buffer = try frontend.makeBuffer(byteCount: count)
        try await frontend.read(at: offset, into: buffer.all)
        return buffer.load(0..<count)
    }
}

/// A storage that others may only read from now on.
final class ReadOnlyStorage: BlockStorage {
    private let storage: MemoryStorage
    let geometry: DiskGeometry

    init(_ storage: MemoryStorage) {
        self.storage = storage
        var geometry = storage.geometry
        geometry.isReadOnly = true
        self.geometry = geometry
    }

    func makeQueue(depth: Int, segmentLimit: Int) throws(BlockError) -> MemoryQueue {
        try storage.makeQueue(depth: depth, segmentLimit: segmentLimit)
    }
}
