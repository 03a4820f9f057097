public import Logging
internal import RoostBlock
public import RoostHypervisor
internal import RoostSystem
internal import SystemPackage

/// What carries out the commands of disks: the one place where they meet the hypervisor.
public enum DiskEngines {
    /// Opens a disk's image and makes its backend.
    ///
    /// - Parameters:
    ///   - options: What is asked for.
    ///   - environment: Where the hypervisor is.
    ///   - logger: Where to tell what happens.
    /// - Returns: The backend, which serves once it runs.
    /// - Throws: `HostError`, `BlockError` or `HypervisorError`.
    public static func disk(
        _ options: DiskServiceOptions, environment: [String: String], logger: Logger
    ) async throws -> any DiskEngine {
        let location = try HypervisorLocation.standard(environment: environment)
        switch options.image {
        case .memory(let byteCount):
            let storage = try MemoryStorage(byteCount: byteCount, isReadOnly: options.isReadOnly)
            return ServedDisk(storage, ServedImage(), options, at: location, logger: logger)
        case .file(let path):
            let storage = try FileStorage(
                path: path,
                options: FileStorage.Options(
                    isReadOnly: options.isReadOnly,
                    caching: options.isBuffered ? .buffered : .automatic,
                    format: options.format,
                    stateFolder: StateDirectory.path(environment: environment)),
                log: logger)
            let facts = ServedImage(identity: storage.identity?.names, look: storage.look)
            return ServedDisk(storage, facts, options, at: location, logger: logger)
        }
    }

    /// Makes a frontend of a disk and its consumer.
    ///
    /// - Parameters:
    ///   - options: What is asked for.
    ///   - environment: Where the hypervisor is.
    ///   - logger: Where to tell what happens.
    ///   - progress: Told how far a copy is.
    /// - Returns: The frontend, which connects once it runs; somebody serves the disk then.
    /// - Throws: `HostError`, `BlockError` or `HypervisorError`.
    public static func connection(
        _ options: DiskConnectionOptions, environment: [String: String], logger: Logger,
        progress: @escaping DiskConnection.Progress
    ) async throws -> any DiskConnectionEngine {
        let location = try HypervisorLocation.standard(environment: environment)
        let presence = try DiskPresence(options.disk, environment: environment)
        let server = try await presence.waitForServer(waits: options.waits, logger: logger)
        func copy(_ direction: DiskCopy.Direction, _ file: String) throws -> CopyConnection {
            try CopyConnection(
                options, direction, file: file, of: presence, servedAs: server, at: location,
                logger: logger, progress: progress)
        }
        switch options.consumer {
        case .nbdkit(let socket):
            return try NBDKitConnection(options, socket: socket, at: location)
        case .copyTo(let file):
            return try copy(.fromDisk, file)
        case .copyFrom(let file):
            return try copy(.toDisk, file)
        }
    }

    /// Runs the embedded hypervisor until the task is cancelled.
    ///
    /// - Parameters:
    ///   - socket: Where domains connect; `nil` for what the environment says.
    ///   - idleLimit: How long to stay without a domain; `nil` for ever.
    ///   - environment: Where its sockets go.
    ///   - logger: Where to tell what happens.
    ///   - started: Is told the sockets' paths: that of domains and that of the store.
    /// - Throws: `HostError` or `HypervisorError`.
    public static func hypervisor(
        socket: String? = nil, idleLimit: Duration?, environment: [String: String],
        logger: Logger, started: @escaping @Sendable (_ domains: String, _ store: String) -> Void
    ) async throws {
        let location =
            try socket.map { try HypervisorLocation(socketPath: $0) }
            ?? HypervisorLocation.standard(environment: environment)
        let stop = try StopSignal()
        try await withTaskCancellationHandler {
            try await DedicatedThread.run(name: "hypervisor") {
                defer { ServiceManager.tell(.stopping) }
                try EmbeddedHypervisor.run(
                    at: location,
                    options: EmbeddedHypervisor.Options(exitsWhenIdle: idleLimit, logger: logger),
                    until: stop
                ) {
                    started(location.socketPath, location.storePath)
                    ServiceManager.tell(.ready)
                }
            }
        } onCancel: {
            stop.raise()
        }
    }

    /// Tells who started this hypervisor that domains can connect.
    public static func announceReady() {
        HypervisorLauncher.announceReady()
    }

    /// Connects to the hypervisor's store with all privileges; starts no hypervisor.
    ///
    /// - Parameter environment: Where the hypervisor is.
    /// - Returns: The store.
    /// - Throws: `HostError` of kind `absent` with the socket as its path when nobody answers there,
    ///   or `HypervisorError`.
    public static func store(environment: [String: String]) async throws -> any Store {
        let location = try HypervisorLocation.standard(environment: environment)
        do throws(HypervisorError) {
            return try await StoreClient.connect(path: location.storePath)
        } catch {
            let isAbsent =
                error.errno == .noSuchFileOrDirectory || error.errno == .connectionRefused
            throw HostError(
                isAbsent ? .absent : .disk, path: location.storePath, errno: error.errno,
                "cannot reach the hypervisor's store: \(error.description)")
        }
    }

    /// The program that runs.
    static func program() throws(HostError) -> String {
        guard let path = ThisProcess.program else {
            throw HostError(.disk, "cannot tell which program this is: /proc is not mounted")
        }
        return path
    }
}

extension DiskExamination {
    /// Learns what can be learned about a disk.
    ///
    /// - Parameters:
    ///   - name: The disk's name.
    ///   - client: Asks the disk's process.
    ///   - environment: Where the hypervisor is.
    /// - Returns: What was learned; what could not be is part of it.
    /// - Throws: `HostError` of kind `control` when the name can be no disk's.
    public static func read(
        _ name: String, _ client: ControlClient, environment: [String: String]
    ) async throws(HostError) -> DiskExamination {
        let (server, others) = try await server(of: name, client)
        var examination = DiskExamination(name: name, server: server, others: others)
        do {
            let store = try await DiskEngines.store(environment: environment)
            examination.tree = try await StoreTree.read(from: store)
            let domains = examination.tree.children(of: "/local/domain").compactMap { UInt16($0) }
            examination.livingDomains = Set(domains).union([0])
        } catch let error as HostError where error.kind == .absent {
            examination.hypervisor = .absent(socket: error.path ?? "its socket")
        } catch {
            examination.hypervisor = .failed("\(error)")
        }
        return examination
    }
}
