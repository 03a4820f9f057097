internal import Logging
internal import RoostBlock
internal import RoostHypervisor
internal import RoostSystem
internal import SystemPackage

/// A frontend that copies its disk to or from a file.
final class CopyConnection: DiskConnectionEngine {
    private let options: DiskConnectionOptions
    private let direction: DiskCopy.Direction
    private let file: OwnedDescriptor
    private let attachment: EmbeddedAttachment
    private let frontend: BlockFrontend<EmbeddedDomain>
    private let progress: DiskConnection.Progress

    init(
        _ options: DiskConnectionOptions, _ direction: DiskCopy.Direction, file path: String,
        at location: HypervisorLocation, logger: Logger,
        progress: @escaping DiskConnection.Progress
    ) throws {
        self.options = options
        self.direction = direction
        self.progress = progress
        file = try Self.open(path, direction)
        let attachment = EmbeddedAttachment(
            options.disk, at: location, guest: "copy", program: try DiskEngines.program())
        self.attachment = attachment
        frontend = try BlockFrontend(FrontendOptions(options, logger)) {
            try await attachment.attach()
        }
    }

    private static func open(
        _ path: String, _ direction: DiskCopy.Direction
    ) throws(HostError) -> OwnedDescriptor {
        do {
            let file = try FileDescriptor.open(
                FilePath(path), direction == .fromDisk ? .readWrite : .readOnly,
                options: direction == .fromDisk
                    ? [.create, .truncate, .closeOnExec] : .closeOnExec,
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            return OwnedDescriptor(file)
        } catch {
            throw HostError(
                .disk, path: path, errno: error as? Errno,
                "cannot open \(path): \(error); give a file that this user may "
                    + (direction == .fromDisk ? "write" : "read"))
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
                let copy = try DiskCopy(direction, file: file.descriptor, geometry: geometry)
                try await copy.run(frontend, progress: progress)
                return DiskTransfer(
                    byteCount: copy.byteCount, seconds: begin.duration(to: .now) / .seconds(1))
            }
            var transfer: DiskTransfer?
            do {
                while let ended = try await group.next() { transfer = ended ?? transfer }
            } catch {
                frontend.close()
                throw error
            }
            guard let transfer else { throw CancellationError() }
            return transfer
        }
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
