import ArgumentParser
import RoostHost

extension Disk {
    /// `roost disk serve`.
    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Serve an image, or memory, as a disk.",
            discussion: """
                Example: roost disk serve --image web1.raw --name web1

                Runs in the foreground until SIGINT or SIGTERM, or until it is stopped over its \
                control socket. Starts the hypervisor if none runs.
                """)

        @Option(
            help: ArgumentHelp(
                "The disk's contents: a file or block device, or ram: and a size such as ram:1G.",
                valueName: "file|ram:SIZE"), transform: Self.image)
        var image: DiskServiceOptions.Image

        @Option(help: ArgumentHelp("The disk's name, unique on this host.", valueName: "name"))
        var name: String

        @Flag(help: "Let nobody write.")
        var readOnly = false

        @Flag(inversion: .prefixedNo, help: "Offer guests to keep their pages mapped.")
        var persistent = true

        @Option(
            help: ArgumentHelp(
                "How guests' pages are reached.",
                valueName: Choice.names(DiskServiceOptions.Mode.self)), transform: Choice.named)
        var mode = DiskServiceOptions.Mode.persistent

        @Option(
            help: ArgumentHelp(
                "The most pages that each queue keeps mapped (default: what its ring can name).",
                valueName: "n"))
        var grants: Int?

        @Option(
            help: ArgumentHelp(
                "What becomes of pages past that.",
                valueName: Choice.names(DiskServiceOptions.Overflow.self)),
            transform: Choice.named)
        var overflow = DiskServiceOptions.Overflow.map

        @Option(
            help: ArgumentHelp(
                "The most queues a guest may use (default: one a processor).", valueName: "n"))
        var queues: Int?

        @Flag(help: "Go through the page cache instead of direct I/O.")
        var buffered = false

        func validate() throws {
            try Checked.name(name)
            try Checked.number("--grants", grants, 1...1 << 20)
            try Checked.number("--queues", queues, 1...64)
            if case .memory = image, buffered {
                throw ValidationError("--buffered is for files: leave it out for ram: images")
            }
        }

        func run() async throws {
            var options = DiskServiceOptions(name: name, image: image)
            options.isReadOnly = readOnly
            options.isPersistent = persistent
            options.mode = mode
            options.grantLimit = grants
            options.overflow = overflow
            options.queueLimit = queues
            options.isBuffered = buffered
            let service = DiskService(
                options, in: try Surroundings.directory(), logger: Surroundings.logger)
            let (name, image) = (name, image)
            try await Interruptible.run {
                try await service.run { options in
                    try await DiskEngines.disk(
                        options, environment: Surroundings.environment,
                        logger: Surroundings.logger)
                } started: { path in
                    Console.note("disk \(name): serving \(image), control socket \(path)")
                }
            }
            Console.note("disk \(name): no longer served")
        }

        @Sendable private static func image(_ text: String) throws -> DiskServiceOptions.Image {
            guard text.hasPrefix("ram:") else {
                guard !text.isEmpty else {
                    throw ValidationError("an image needs a path: give a file, or ram:SIZE")
                }
                return .file(text)
            }
            guard let size = ByteCount(argument: String(text.dropFirst(4))),
                size.bytes > 0, size.bytes % 4096 == 0, size.bytes <= 1 << 46
            else {
                throw ValidationError(
                    "'\(text)' is no size of memory: give a multiple of 4096, such as ram:512M")
            }
            return .memory(size.bytes)
        }
    }
}
