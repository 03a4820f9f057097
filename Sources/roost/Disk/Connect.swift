import ArgumentParser
import RoostBlock
import RoostHost

extension Disk {
    /// `roost disk connect`.
    struct Connect: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Use a disk from this host: for NBD clients, or to copy it.",
            discussion: """
                Example: roost disk connect web1 --copy-to backup.raw
                Example: roost disk connect web1 --nbdkit /run/roost/web1.nbdkit

                A copy ends when it is done; with --nbdkit the disk stays until SIGINT or SIGTERM.
                """)

        @Argument(help: "The disk's name.")
        var name: String

        @Option(
            help: ArgumentHelp(
                "Serve nbdkit's plugin on this socket.", valueName: "socket"))
        var nbdkit: String?

        @Option(help: ArgumentHelp("Copy the disk into a file.", valueName: "file"))
        var copyTo: String?

        @Option(help: ArgumentHelp("Write the disk from a file.", valueName: "file"))
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

        @Flag(help: "Print what was copied as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            try Checked.name(name)
            guard [nbdkit, copyTo, copyFrom].filter({ $0 != nil }).count == 1 else {
                throw ValidationError("give one of --nbdkit, --copy-to and --copy-from")
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
            let connection = DiskConnection(
                options, in: try Surroundings.directory(), logger: Surroundings.logger)
            let name = name
            let line = ProgressReporter("disk \(name)")
            let transfer = try await Interruptible.run {
                try await connection.run { options in
                    try await DiskEngines.connection(
                        options, environment: Surroundings.environment,
                        logger: Surroundings.logger
                    ) { done, all in
                        line.show(done, of: all)
                    }
                } started: { path in
                    Console.note("disk \(name): connecting, control socket \(path)")
                }
            }
            line.end()
            try report(transfer)
        }

        private func report(_ transfer: DiskTransfer?) throws {
            guard nbdkit == nil else { return }
            guard let transfer else {
                throw CommandFailure("disk \(name): the copy was stopped before its end")
            }
            guard !json else {
                try Console.printJSON(transfer)
                return
            }
            let seconds = max(transfer.seconds, 1e-9)
            let rate = UInt64(min(Double(transfer.byteCount) / seconds, 1e18))
            print(
                "disk \(name): \(Console.bytes(transfer.byteCount)) copied in "
                    + "\(Console.decimal(seconds, 2)) s, \(Console.bytes(rate))/s")
        }
    }
}
