/// What could be learned about a disk, for ``DiskDoctor`` to judge.
public struct DiskExamination: Sendable {
    /// How the hypervisor was found.
    public enum Hypervisor: Equatable, Sendable {
        /// It answers.
        case reachable
        /// Nobody answers on this socket.
        case absent(socket: String)
        /// It could not be asked: one sentence.
        case failed(String)
    }

    /// How the process that serves the disk was found.
    public enum Server: Equatable, Sendable {
        /// It answered with a snapshot.
        case alive(DiskSnapshot)
        /// There is no control socket of the name.
        case absent
        /// There is one, left by a process that is gone.
        case dead(socket: String)
        /// It is alive and does not answer in time.
        case hung(socket: String)
        /// What it answers cannot be used: one sentence.
        case failed(String)

        /// What it answered.
        public var snapshot: DiskSnapshot? {
            guard case .alive(let snapshot) = self else { return nil }
            return snapshot
        }
    }

    /// The disk's name.
    public var name: String
    /// How the hypervisor was found.
    public var hypervisor: Hypervisor
    /// How the disk's process was found.
    public var server: Server
    /// The names of the other disks that have control sockets.
    public var others: [String]
    /// The nodes of disks in the store.
    public var tree: StoreTree
    /// The domains that live; `nil` when that is not known.
    public var livingDomains: Set<UInt16>?

    /// Describes what was learned.
    public init(
        name: String, hypervisor: Hypervisor = .reachable, server: Server = .absent,
        others: [String] = [], tree: StoreTree = StoreTree(), livingDomains: Set<UInt16>? = nil
    ) {
        self.name = name
        self.hypervisor = hypervisor
        self.server = server
        self.others = others
        self.tree = tree
        self.livingDomains = livingDomains
    }

    /// Asks a disk's process how it is.
    ///
    /// - Parameters:
    ///   - name: The disk's name.
    ///   - client: Asks.
    /// - Returns: How the process was found, and the names of the other disks.
    /// - Throws: `HostError` of kind `control` when the name can be no disk's.
    public static func server(
        of name: String, _ client: ControlClient
    ) async throws(HostError) -> (server: Server, others: [String]) {
        let disk = try ControlName(.disk, name)
        let others = client.directory.names(of: .disk).map(\.name).filter { $0 != name }
        do throws(HostError) {
            return (.alive(try await client.snapshot(DiskSnapshot.self, of: disk)), others)
        } catch {
            let path = client.directory.socketPath(of: disk)
            switch error.kind {
            case .absent: return (.absent, others)
            case .dead: return (.dead(socket: path), others)
            case .timeout: return (.hung(socket: path), others)
            default: return (.failed(error.description), others)
            }
        }
    }
}

/// Where the two ends of a device have their nodes in the store.
public struct DeviceNodes: Hashable, Sendable {
    /// The frontend's domain.
    public let frontend: UInt16
    /// The backend's domain.
    public let backend: UInt16
    /// The device's number.
    public let device: UInt32

    /// Names a device.
    public init(frontend: UInt16, backend: UInt16, device: UInt32) {
        self.frontend = frontend
        self.backend = backend
        self.device = device
    }

    /// Reads a backend's path; `nil` when it is none of a disk.
    public init?(backendPath: String) {
        let parts = backendPath.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 8, parts[0].isEmpty, parts[1] == "local", parts[2] == "domain",
            parts[4] == "backend", parts[5] == "vbd", let backend = UInt16(parts[3]),
            let frontend = UInt16(parts[6]), let device = UInt32(parts[7])
        else { return nil }
        self.init(frontend: frontend, backend: backend, device: device)
    }

    /// The frontend's folder (`xen/include/public/io/blkif.h`).
    public var frontendPath: String { "/local/domain/\(frontend)/device/vbd/\(device)" }

    /// The backend's folder.
    public var backendPath: String { "/local/domain/\(backend)/backend/vbd/\(frontend)/\(device)" }
}
