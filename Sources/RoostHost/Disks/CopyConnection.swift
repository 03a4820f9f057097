internal import Logging
internal import RoostBlock
internal import RoostHypervisor
internal import RoostSystem
internal import SystemPackage

/// A frontend that copies its disk to or from a file.
final class CopyConnection: DiskConnectionEngine {
    private let options: DiskConnectionOptions
    private let direction: DiskCopy.Direction
    private let file: CopyFile
    private let stateFolder: String?
    private let attachment: EmbeddedAttachment
    private let frontend: BlockFrontend<EmbeddedDomain>
    private let presence: DiskPresence
    private let progress: DiskConnection.Progress

    /// Looks at the file and locks it; nothing of it is changed before ``run()`` has connected.
    ///
    /// - Parameters:
    ///   - options: What is asked for.
    ///   - direction: Which way.
    ///   - path: The file.
    ///   - presence: Where the disk was found.
    ///   - server: What its process says of it, where it answers.
    ///   - location: Where the hypervisor is.
    ///   - logger: Where to tell what happens.
    ///   - progress: Told how far the copy is.
    /// - Throws: `HostError` or `BlockError`.
    init(
        _ options: DiskConnectionOptions, _ direction: DiskCopy.Direction, file path: String,
        of presence: DiskPresence, servedAs server: DiskSnapshot?,
        at location: HypervisorLocation, logger: Logger,
        progress: @escaping DiskConnection.Progress
    ) throws {
        self.options = options
        self.direction = direction
        self.presence = presence
        self.progress = progress
        stateFolder = StateDirectory.path(environment: presence.environment)
        let image = server?.imageIdentity.map(ImageIdentity.init(names:))
        switch direction {
        case .fromDisk:
            file = try CopyFile.target(
                path, of: options.disk, image: image, mayReplace: options.mayReplace)
        case .toDisk:
            file = try CopyFile.source(path, for: options.disk, image: image)
            guard options.format == .automatic, let source = file.descriptor else { break }
            try CopyFormat.refuse(
                source, byteCount: try CopyFile.length(of: source, path), path,
                stateFolder: stateFolder)
        }
        let attachment = EmbeddedAttachment(
            options.disk, at: location, guest: "copy", program: try DiskEngines.program())
        self.attachment = attachment
        frontend = try BlockFrontend(FrontendOptions(options, logger)) {
            try await attachment.attach()
        }
    }

    func run() async throws -> DiskTransfer {
        let begin = ContinuousClock.now
        let frontend = frontend
        return try await withThrowingTaskGroup(of: DiskTransfer?.self) { group in
            group.addTask {
                try await frontend.run()
                return nil
            }
            group.addTask { [self] in
                defer { frontend.close() }
                let geometry = try await frontend.waitUntilConnected()
                let byteCount = try await copy(geometry)
                return DiskTransfer(
                    byteCount: byteCount, seconds: begin.duration(to: .now) / .seconds(1))
            }
            if !options.waits {
                group.addTask { [presence] in
                    try await presence.watch { frontend.geometry == nil }
                    return nil
                }
            }
            var transfer: DiskTransfer?
            do {
                while let ended = try await group.next() {
                    transfer = ended ?? transfer
                    if transfer != nil { group.cancelAll() }
                }
            } catch {
                frontend.close()
                // Once a copy is whole, how its helpers end says nothing about it.
                if let transfer { return transfer }
                guard !Task.isCancelled else { throw CancellationError() }
                throw error
            }
            guard let transfer else { throw CancellationError() }
            return transfer
        }
    }

    /// Copies once the disk is connected.
    ///
    /// - Returns: How many bytes.
    private func copy(_ geometry: DiskGeometry) async throws -> UInt64 {
        if direction == .fromDisk, file.kind != .blockDevice {
            return try await copyToFile(geometry)
        }
        guard let held = file.descriptor else { throw CancellationError() }
        let copy = try DiskCopy(
            direction, file: held, named: file.path, kind: file.kind, geometry: geometry)
        try await copy.run(frontend, progress: progress)
        if direction == .fromDisk { keepRaw(held, copy.byteCount) }
        return copy.byteCount
    }

    /// Copies into a new file, which has its name only once it is whole, or into a stream.
    private func copyToFile(_ geometry: DiskGeometry) async throws -> UInt64 {
        do {
            let output = try OutputFile(
                path: file.path, mayReplace: options.mayReplace,
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            if !output.isStream {
                // Its name is nobody's, so that a file system without locks is all that can refuse.
                _ = try? ImageLock.take(output.descriptor, of: file.path, for: .writing)
            }
            let copy = try DiskCopy(
                direction, file: output.descriptor, named: file.path,
                kind: output.isStream ? .stream : .file, geometry: geometry)
            try await copy.run(frontend, progress: progress)
            if !output.isStream { keepRaw(output.descriptor, copy.byteCount) }
            try output.commit()
            return copy.byteCount
        } catch let error as SystemError {
            throw HostError(.disk, path: file.path, errno: error.errno, error.description)
        }
    }

    private func keepRaw(_ copy: FileDescriptor, _ byteCount: UInt64) {
        CopyFormat.keepRaw(copy, byteCount: byteCount, file.path, stateFolder: stateFolder)
    }

    func snapshot() async throws -> DiskConnectionSnapshot {
        let snapshot = frontend.snapshot()
        var total = QueueSnapshot()
        total.reads = snapshot.statistics.reads
        total.writes = snapshot.statistics.writes
        total.flushes = snapshot.statistics.flushes
        total.discards = snapshot.statistics.discards
        total.readBytes = snapshot.statistics.bytesRead
        total.writtenBytes = snapshot.statistics.bytesWritten
        total.errors = snapshot.statistics.failures
        total.grantsMapped = UInt64(snapshot.grantCount)
        total.grantsStuck = snapshot.statistics.stuckGrants
        return DiskConnectionSnapshot(
            disk: options.disk, processID: ThisProcess.processID,
            domain: attachment.domain?.rawValue ?? 0,
            device: BlockDeviceNumber(disk: 0).rawValue, isConnected: snapshot.isConnected,
            reconnectionCount: snapshot.reconnections, total: total)
    }
}

extension FrontendOptions {
    /// What the command line asks for.
    init(_ options: DiskConnectionOptions, _ logger: Logger) {
        self.init()
        queueCount = options.queueCount
        ringPageOrder = options.ringPageOrder
        segmentLimit = options.segmentLimit
        policy = options.policy
        self.logger = logger
    }
}
