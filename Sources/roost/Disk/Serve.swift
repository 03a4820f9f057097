import ArgumentParser
import RoostBlock
import RoostHost

extension Disk {
    /// `roost disk serve`.
    struct Serve: AsyncParsableCommand, ConsoleCommand {
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
        var image: DiskImage

        @Option(help: ArgumentHelp("The disk's name, unique on this host.", valueName: "name"))
        var name: String

        @Option(
            help: ArgumentHelp(
                "How the image's bytes are taken: raw, or auto, which refuses what looks like "
                    + "another format and was never served as raw."))
        var format = ImageFormatChoice.automatic

        @Flag(help: "Let nobody write.")
        var readOnly = false

        @Flag(inversion: .prefixedNo, help: "Offer guests to keep their pages mapped.")
        var persistent = true

        @Option(
            help: ArgumentHelp(
                "How guests' pages are reached."))
        var mode = GrantMode.persistent

        @Option(
            help: ArgumentHelp(
                "The most pages that each queue keeps mapped (default: what its ring can name).",
                valueName: "n"))
        var grants: Int?

        @Option(
            help: ArgumentHelp(
                "What becomes of pages past that."))
        var overflow = GrantOverflow.mapOnce

        @Option(
            help: ArgumentHelp(
                "The most queues a guest may use (default: one a processor).", valueName: "n"))
        var queues: Int?

        @Flag(help: "Go through the page cache instead of direct I/O.")
        var buffered = false

        @Flag(help: "Print a line of JSON when the disk is served, and one at the end.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

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
            options.format = format
            let service = DiskService(
                options, in: try Surroundings.directory(), logger: Surroundings.logger)
            let (name, image, json) = (name, image, json)
            try await service.run { options in
                try await DiskEngines.disk(
                    options, environment: Surroundings.environment,
                    logger: Surroundings.logger)
            } started: { path in
                Console.note("disk \(name): serving \(image), control socket \(path)")
                if json { Self.printEvent("serving", name, image, path) }
            }
            Console.note("disk \(name): no longer served")
            if json { Self.printEvent("ended", name, image, nil) }
        }

        /// What happens to the disk, as JSON.
        private struct Event: Encodable {
            var event: String
            var disk: String
            var image: String
            var controlSocket: String?
        }

        @Sendable private static func printEvent(
            _ event: String, _ disk: String, _ image: DiskImage, _ socket: String?
        ) {
            // Texts are always encoded.
            try? Console.printJSONLine(
                Event(event: event, disk: disk, image: "\(image)", controlSocket: socket),
                as: "disk.serve")
        }

        @Sendable private static func image(_ text: String) throws -> DiskImage {
            do throws(BlockError) {
                return try DiskImage(text)
            } catch {
                throw ValidationError(error.description)
            }
        }
    }
}
