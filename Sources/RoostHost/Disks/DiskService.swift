public import Logging
public import RoostBlock

/// What `roost disk serve` is asked for.
public struct DiskServiceOptions: Equatable, Sendable {
    /// The disk's name.
    public var name: String
    /// Where its contents are.
    public var image: DiskImage
    /// Whether nothing may be written.
    public var isReadOnly = false
    /// Whether `feature-persistent` is offered.
    public var isPersistent = true
    /// How the frontend's pages are reached.
    public var mode = GrantMode.persistent
    /// The most persistent grants of a queue; `nil` for as many as its ring can name.
    public var grantLimit: Int?
    /// What becomes of grants past that.
    public var overflow = GrantOverflow.mapOnce
    /// The most queues offered; `nil` for one a processor.
    public var queueLimit: Int?
    /// How the file's bytes are taken.
    public var format = ImageFormatChoice.automatic
    /// Whether the file goes through the page cache instead of direct I/O.
    public var isBuffered = false

    /// Asks for a disk as usual.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - image: Where its contents are.
    public init(name: String, image: DiskImage) {
        self.name = name
        self.image = image
    }
}

/// The running backend of a disk.
public protocol DiskEngine: ControlledEngine where Snapshot == DiskSnapshot, Outcome == Void {}

/// Serves a disk under its name, with a control socket.
public struct DiskService: Sendable {
    private let options: DiskServiceOptions
    private let directory: RunDirectory
    private let logger: Logger

    /// Describes a service.
    ///
    /// - Parameters:
    ///   - options: What is asked for.
    ///   - directory: Where its control socket goes.
    ///   - logger: Where to tell what happens.
    public init(_ options: DiskServiceOptions, in directory: RunDirectory, logger: Logger) {
        self.options = options
        self.directory = directory
        self.logger = logger
    }

    /// Serves until the task is cancelled, the disk is told to stop or its engine fails.
    ///
    /// - Parameters:
    ///   - engine: Opens the image and makes the backend, once the name is ours.
    ///   - started: Is told the control socket's path.
    /// - Throws: `HostError` when another serves a disk of the name, and what the engine throws.
    public func run(
        _ engine: @Sendable (DiskServiceOptions) async throws -> any DiskEngine,
        started: @Sendable (String) -> Void = { _ in }
    ) async throws {
        let options = options
        let run = ControlledRun(
            try ControlName(.disk, options.name), in: directory, logger: logger)
        _ = try await run.run {
            AnyDiskEngine(try await engine(options))
        } started: { _, path in
            started(path)
        }
    }

    /// An engine whose type is not known.
    private struct AnyDiskEngine: DiskEngine {
        let engine: any DiskEngine

        init(_ engine: any DiskEngine) {
            self.engine = engine
        }

        func snapshot() async throws -> DiskSnapshot { try await engine.snapshot() }

        func run() async throws { try await engine.run() }
    }
}
