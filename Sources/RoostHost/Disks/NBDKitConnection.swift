internal import Foundation
internal import RoostBlock
internal import RoostHypervisor
internal import RoostSystem
internal import Synchronization

/// A frontend inside nbdkit, by Roost's plugin: NBD clients use the disk over a unix socket.
///
/// nbdkit is a child of this process, ends with it, and serves until this is cancelled.
final class NBDKitConnection: DiskConnectionEngine {
    /// The plugin, which lies beside the program.
    static let pluginName = "libRoostNBDKit.so"

    private let options: DiskConnectionOptions
    private let socket: String
    private let process = Process()
    private let isEnding = Mutex(false)

    init(
        _ options: DiskConnectionOptions, socket: String, at location: HypervisorLocation
    ) throws(HostError) {
        self.options = options
        let folder = URL(fileURLWithPath: try DiskEngines.program()).deletingLastPathComponent()
        let plugin = folder.appendingPathComponent(Self.pluginName).path
        guard FileManager.default.fileExists(atPath: plugin) else {
            throw HostError(
                .disk, path: plugin,
                "the plugin of nbdkit is not at \(plugin): build it beside roost "
                    + "(swift build --product RoostNBDKit)")
        }
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        self.socket = socket
        // Signals that this process blocks would be blocked in nbdkit too.
        process.arguments = [
            "--default-signal", "nbdkit", "--foreground", "--exit-with-parent", "--unix", socket,
            plugin,
            "disk=\(options.disk)", "socket=\(location.socketPath)",
            "policy=\(options.policy.rawValue)", "queues=\(options.queueCount)",
            "ring-order=\(options.ringPageOrder)", "segments=\(options.segmentLimit)",
        ]
        process.standardInput = FileHandle.nullDevice
    }

    func run() async throws -> DiskTransfer {
        let begin = ContinuousClock.now
        let status = try await withTaskCancellationHandler {
            // To nbdkit, its parent is the thread that started it (prctl(2), PR_SET_PDEATHSIG), so
            // that thread is not one of a pool, which would end when it is idle.
            try await DedicatedThread.run(name: "nbdkit") {
                try self.start()
                self.process.waitUntilExit()
                return self.process.terminationStatus
            }
        } onCancel: {
            end()
        }
        // nbdkit leaves it behind.
        try? FileManager.default.removeItem(atPath: socket)
        guard status == 0 || isEnding.withLock({ $0 }) else {
            throw HostError(
                .disk,
                "nbdkit ended with status \(status): what it wrote above says why; Debian's package "
                    + "nbdkit has it")
        }
        return DiskTransfer(byteCount: 0, seconds: begin.duration(to: .now) / .seconds(1))
    }

    private func start() throws {
        try isEnding.withLock { isEnding in
            guard !isEnding else { throw CancellationError() }
            do {
                try process.run()
            } catch {
                throw HostError(.disk, "cannot start nbdkit: \(error)")
            }
        }
    }

    private func end() {
        isEnding.withLock { isEnding in
            isEnding = true
            if process.isRunning { process.terminate() }
        }
    }

    func snapshot() async throws -> DiskConnectionSnapshot {
        DiskConnectionSnapshot(
            disk: options.disk, processID: process.processIdentifier, domain: 0,
            device: BlockDeviceNumber(disk: 0).rawValue, isConnected: process.isRunning)
    }
}
