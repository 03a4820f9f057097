public import Logging
public import RoostBlock
internal import RoostSystem

/// What `roost disk connect` is asked for.
public struct DiskConnectionOptions: Equatable, Sendable {
    /// Who uses the disk.
    public enum Consumer: Equatable, Sendable {
        /// NBD clients, through nbdkit's plugin, which connects to this socket.
        case nbdkit(socket: String)
        /// A file, into which the disk is copied.
        case copyTo(file: String)
        /// A file, from which the disk is written.
        case copyFrom(file: String)
    }

    /// The disk's name.
    public var disk: String
    /// Who uses it.
    public var consumer: Consumer
    /// How pages are granted.
    public var policy = GrantPolicy.always
    /// The most queues; the backend may offer fewer.
    public var queueCount = 1
    /// The ring's size, as a power of two of pages.
    public var ringPageOrder = 0
    /// The most segments of a request.
    public var segmentLimit = 32
    /// Whether to wait for somebody to serve the disk; else it is an error that nobody does.
    public var waits = false
    /// Whether a copy may take the place of a file that is not empty.
    public var mayReplace = false
    /// How the bytes of a file that is copied to the disk are taken.
    public var format = ImageFormatChoice.automatic

    /// Asks for a connection as usual.
    ///
    /// - Parameters:
    ///   - disk: The disk's name.
    ///   - consumer: Who uses it.
    public init(disk: String, consumer: Consumer) {
        self.disk = disk
        self.consumer = consumer
    }
}

/// A frontend, as its control socket describes it.
public struct DiskConnectionSnapshot: Codable, Equatable, Sendable {
    /// The disk's name.
    public var disk: String
    /// The process.
    public var processID: Int32
    /// The domain that the process is.
    public var domain: UInt16
    /// The device's number.
    public var device: UInt32
    /// Whether a backend is connected.
    public var isConnected: Bool
    /// How many connections were lost so far.
    public var reconnectionCount: Int
    /// What all queues have done, as the frontend counts it.
    public var total: QueueSnapshot

    /// Describes a frontend.
    public init(
        disk: String, processID: Int32, domain: UInt16, device: UInt32, isConnected: Bool,
        reconnectionCount: Int = 0, total: QueueSnapshot = QueueSnapshot()
    ) {
        self.disk = disk
        self.processID = processID
        self.domain = domain
        self.device = device
        self.isConnected = isConnected
        self.reconnectionCount = reconnectionCount
        self.total = total
    }
}

/// What a connection's consumer has done at its end.
public struct DiskTransfer: Codable, Equatable, Sendable {
    /// The bytes that were copied, holes included.
    public var byteCount: UInt64
    /// How long it took, in seconds.
    public var seconds: Double

    /// Describes a copy.
    public init(byteCount: UInt64, seconds: Double) {
        self.byteCount = byteCount
        self.seconds = seconds
    }
}

/// A running frontend with its consumer.
public protocol DiskConnectionEngine: ControlledEngine
where Snapshot == DiskConnectionSnapshot, Outcome == DiskTransfer {}

/// Connects a frontend with a consumer to a disk, with a control socket.
public struct DiskConnection: Sendable {
    /// How far a copy is: bytes done, and bytes in all.
    public typealias Progress = @Sendable (UInt64, UInt64) -> Void

    private let options: DiskConnectionOptions
    private let directory: RunDirectory
    private let logger: Logger

    /// Describes a connection.
    ///
    /// - Parameters:
    ///   - options: What is asked for.
    ///   - directory: Where its control socket goes.
    ///   - logger: Where to tell what happens.
    public init(_ options: DiskConnectionOptions, in directory: RunDirectory, logger: Logger) {
        self.options = options
        self.directory = directory
        self.logger = logger
    }

    /// Runs until the copy is done, the task is cancelled or the connection told to stop.
    ///
    /// Several frontends may use one disk, so the control socket's name has this process's number
    /// before the disk's name.
    ///
    /// - Parameters:
    ///   - engine: Makes the frontend and its consumer.
    ///   - started: Is told the control socket's path.
    /// - Returns: What was copied; `nil` when it was stopped.
    /// - Throws: `HostError`, and what the engine throws.
    public func run(
        _ engine: @Sendable (DiskConnectionOptions) async throws -> any DiskConnectionEngine,
        started: @Sendable (String) -> Void = { _ in }
    ) async throws -> DiskTransfer? {
        let options = options
        // Ten digits and a dash still fit.
        let disk = try ControlName(.disk, options.disk).name.prefix(50)
        let name = try ControlName(.frontend, "\(ThisProcess.processID)-\(disk)")
        return try await ControlledRun(name, in: directory, logger: logger).run {
            AnyConnectionEngine(try await engine(options))
        } started: { _, path in
            started(path)
        }
    }

    /// An engine whose type is not known.
    private struct AnyConnectionEngine: DiskConnectionEngine {
        let engine: any DiskConnectionEngine

        init(_ engine: any DiskConnectionEngine) {
            self.engine = engine
        }

        func snapshot() async throws -> DiskConnectionSnapshot { try await engine.snapshot() }

        func run() async throws -> DiskTransfer { try await engine.run() }
    }
}
