internal import RoostBlock
internal import RoostHypervisor
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// A frontend inside nbdkit, by Roost's plugin: NBD clients use the disk over a unix socket.
///
/// This process listens on the socket, so that it owns the path, and passes it on (socket activation).
/// nbdkit is a child of this process, ends with it however that ends, and serves until this is
/// cancelled.
final class NBDKitConnection: DiskConnectionEngine {
    /// The plugin's file.
    static let pluginName = "libRoostNBDKit.so"

    private let options: DiskConnectionOptions
    private let listener: Listener
    private let arguments: [String]
    private let stop: StopSignal
    private let processID = Atomic<Int32>(0)

    /// Takes the socket's path; nbdkit is started by ``run()``.
    ///
    /// - Parameters:
    ///   - options: What is asked for.
    ///   - socket: Where NBD clients connect.
    ///   - location: Where the hypervisor is.
    /// - Throws: `HostError` of kind `disk` when the path cannot be listened on or the plugin is not
    ///   there.
    init(
        _ options: DiskConnectionOptions, socket: String, at location: HypervisorLocation
    ) throws(HostError) {
        self.options = options
        let plugin = CompanionFile(Self.pluginName, of: try DiskEngines.program())
        guard plugin.isPresent else {
            throw HostError(
                .disk, path: plugin.path,
                "the plugin of nbdkit is not at \(plugin.path): \(CompanionFile.remedy)")
        }
        do throws(SystemError) {
            listener = try Listener(on: .unix(path: socket))
        } catch {
            throw HostError(.disk, path: socket, errno: error.errno, error.description)
        }
        do throws(Errno) {
            stop = try StopSignal()
        } catch {
            throw HostError(.disk, errno: error, "cannot make an event descriptor: \(error)")
        }
        arguments = [
            "--foreground", plugin.path, "disk=\(options.disk)", "socket=\(location.socketPath)",
            "policy=\(options.policy.rawValue)", "queues=\(options.queueCount)",
            "ring-order=\(options.ringPageOrder)", "segments=\(options.segmentLimit)",
        ]
    }

    func run() async throws -> DiskTransfer {
        let begin = ContinuousClock.now
        defer { listener.stop() }
        let (listener, arguments, stop) = (listener, arguments, stop)
        let status = try await withTaskCancellationHandler {
            // It lives as long as the thread that starts it, so that is not one of a pool.
            try await DedicatedThread.run(name: "nbdkit") {
                try ChildProgram.run(
                    "nbdkit", arguments, listening: listener.descriptor, until: stop
                ) { self.processID.store($0, ordering: .relaxed) }
            }
        } onCancel: {
            stop.raise()
        }
        guard status == 0 || stop.isRaised else {
            throw HostError(
                .disk,
                "nbdkit ended with status \(status): what it wrote above says why")
        }
        return DiskTransfer(byteCount: 0, seconds: begin.duration(to: .now) / .seconds(1))
    }

    func snapshot() async throws -> DiskConnectionSnapshot {
        let processID = processID.load(ordering: .relaxed)
        return DiskConnectionSnapshot(
            disk: options.disk, processID: processID, domain: 0,
            device: BlockDeviceNumber(disk: 0).rawValue, isConnected: processID > 0)
    }
}
