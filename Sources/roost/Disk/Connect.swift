import ArgumentParser
import RoostBlock
import RoostHost
import SystemPackage

extension Disk {
    /// `roost disk connect`.
    struct Connect: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Use a disk from this host: for NBD clients, or to copy it.",
            discussion: """
                Example: roost disk connect web1 --copy-to backup.raw
                Example: roost disk connect web1 --nbdkit /run/roost/web1.nbdkit

                A copy ends when it is done; with --nbdkit the disk stays until SIGINT or SIGTERM. \
                Somebody has to serve the disk, unless --wait is given; a server that is gone later \
                is waited for.

                --copy-to takes a file, which appears under its name once it is whole, a block \
                device, a pipe, or - for standard output. What is copied is locked as QEMU locks it.
                """)

        @Argument(help: "The disk's name.")
        var name: String

        @Option(
            help: ArgumentHelp(
                "Serve nbdkit's plugin on this socket (default: none).", valueName: "socket"))
        var nbdkit: String?

        @Option(help: ArgumentHelp("Copy the disk into a file (default: none).", valueName: "file"))
        var copyTo: String?

        @Option(
            help: ArgumentHelp("Write the disk from a file (default: none).", valueName: "file"))
        var copyFrom: String?

        @Option(
            help: ArgumentHelp(
                "How pages are granted: once, once if the disk offers it, for each request."))
        var policy = GrantPolicy.always

        @Option(help: ArgumentHelp("The most queues.", valueName: "n"))
        var queues = 1

        @Option(help: ArgumentHelp("The ring's size: 2 to this power of pages.", valueName: "n"))
        var ringOrder = 0

        @Option(help: ArgumentHelp("The most segments of 4 KiB in a request.", valueName: "n"))
        var segments = 32

        @Flag(help: "Wait for somebody to serve the disk.")
        var wait = false

        @Flag(help: "Let --copy-to replace a file that is not empty.")
        var force = false

        @Option(
            help: ArgumentHelp(
                "How the bytes of --copy-from are taken: raw, or auto, which refuses what looks like "
                    + "another format."))
        var format = ImageFormatChoice.automatic

        @Flag(help: "Print what was copied, or where NBD clients connect, as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            try Checked.name(name)
            guard [nbdkit, copyTo, copyFrom].filter({ $0 != nil }).count == 1 else {
                throw ValidationError("give one of --nbdkit, --copy-to and --copy-from")
            }
            guard !force || copyTo != nil else {
                throw ValidationError("--force is for --copy-to: leave it out")
            }
            guard format == .automatic || copyFrom != nil else {
                throw ValidationError("--format is for --copy-from: leave it out")
            }
            guard copyTo != "-" || !json else {
                throw ValidationError(
                    "--copy-to - and --json both write to standard output: leave one out")
            }
            try Checked.number("--queues", queues, 1...64)
            try Checked.number("--ring-order", ringOrder, 0...4)
            try Checked.number("--segments", segments, 1...256)
        }

        private var consumer: DiskConnectionOptions.Consumer {
            if let nbdkit { return .nbdkit(socket: nbdkit) }
            if let copyTo { return .copyTo(file: copyTo) }
            return .copyFrom(file: copyFrom ?? "")
        }

        func run() async throws {
            var options = DiskConnectionOptions(disk: name, consumer: consumer)
            options.policy = policy
            options.queueCount = queues
            options.ringPageOrder = ringOrder
            options.segmentLimit = segments
            options.waits = wait
            options.mayReplace = force
            options.format = format
            let connection = DiskConnection(
                options, in: try Surroundings.directory(), logger: Surroundings.logger)
            let (name, nbdkit, json) = (name, nbdkit, json)
            guard copyTo != "-" || !Console.isTerminal(.standardOutput) else {
                throw CommandFailure(
                    "a disk does not go to a terminal: give --copy-to a file, or a pipe to write to"
                )
            }
            let line = ProgressReporter("disk \(name)")
            let transfer = try await connection.run { options in
                try await DiskEngines.connection(
                    options, environment: Surroundings.environment,
                    logger: Surroundings.logger
                ) { done, all in
                    line.show(done, of: all)
                }
            } started: { path in
                Console.note("disk \(name): connecting, control socket \(path)")
                if json, let nbdkit { Self.printStart(name, nbdkit, path) }
            }
            line.end()
            try report(transfer)
        }

        private func report(_ transfer: DiskTransfer?) throws {
            guard nbdkit == nil else { return }
            guard let transfer else {
                throw CommandFailure(
                    "disk \(name): the copy was stopped before its end; "
                        + (copyTo != nil ? "no file was written" : "the disk is partly written"))
            }
            let seconds = max(transfer.seconds, 1e-9)
            let rate = min(Double(transfer.byteCount) / seconds, 1e18)
            guard !json else {
                try Console.printJSON(
                    Copied(
                        disk: name, direction: copyTo != nil ? "fromDisk" : "toDisk",
                        file: copyTo ?? copyFrom ?? "", byteCount: transfer.byteCount,
                        seconds: seconds, bytesPerSecond: rate), as: "disk.copy")
                return
            }
            let sentence =
                "disk \(name): \(Console.bytes(transfer.byteCount)) copied in "
                + "\(Console.decimal(seconds, 2)) s, \(Console.bytes(UInt64(rate)))/s"
            // What goes to standard output is the disk's.
            if let copyTo, ["-", "/dev/stdout"].contains(copyTo) {
                Console.note(sentence)
            } else {
                print(sentence)
            }
        }

        /// A copy as JSON.
        private struct Copied: Encodable {
            var disk: String
            var direction: String
            var file: String
            var byteCount: UInt64
            var seconds: Double
            var bytesPerSecond: Double
        }

        /// A disk for NBD clients as JSON.
        private struct Started: Encodable {
            var disk: String
            var socket: String
            var controlSocket: String
        }

        @Sendable private static func printStart(_ disk: String, _ socket: String, _ path: String) {
            // Texts are always encoded.
            try? Console.printJSONLine(
                Started(disk: disk, socket: socket, controlSocket: path), as: "disk.connect")
        }
    }
}
