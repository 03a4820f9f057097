import ArgumentParser
import RoostHost
import RoostMigration
import RoostSystem

/// `roost migrate receive`.
struct Receive: AsyncParsableCommand, ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take a move from roost migrate relay into a waiting QEMU or a file.",
        discussion: """
            Example: roost migrate receive --listen tcp:0.0.0.0:4444 --connect unix:/run/in.sock \
            --tls-certificate b.pem --tls-key b.key --tls-authority ca.pem
            The destination was started with -incoming unix:/run/in.sock

            Serves one move and ends with its outcome.
            """)

    @Option(
        help: ArgumentHelp(
            "Where roost migrate relay connects.", valueName: "unix:PATH|tcp:HOST:PORT"),
        transform: EndpointArgument.parse)
    var listen: Endpoint

    @Option(
        help: ArgumentHelp(
            "Where the destination QEMU waits (default: none, with --output).",
            valueName: "unix:PATH|tcp:HOST:PORT"),
        transform: EndpointArgument.parse)
    var connect: Endpoint?

    @Option(
        help: ArgumentHelp(
            "Store the stream in a file, or - (default: none, with --connect).",
            valueName: "file"))
    var output: String?

    @OptionGroup var relay: RelayArguments

    @OptionGroup var security: SecurityOptions

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws {
        guard (connect == nil) != (output == nil) else {
            throw ValidationError("give one of --connect and --output")
        }
        try security.check(for: listen)
        if let connect { try security.check(stream: connect, unix: "connect to unix:PATH") }
        guard output != "-" || !relay.json else {
            throw ValidationError("--json and --output - both want the standard output")
        }
    }

    func run() async throws {
        try relay.check()
        let folder = try RunDirectory.standard(environment: Surroundings.environment).movesFolder()
        let place: MigrationReceiver.Output =
            connect.map { .endpoint($0) } ?? .file(output ?? "", mayReplace: relay.force)
        let key = "receive \(listen) \(connect.map { "\($0)" } ?? "file:\(output ?? "")")"
        let left = try MigrationReceiver.left(in: folder, key: key, file: output)
        if case .ended(let sentence) = left { Console.note("receive: \(sentence)") }
        if case .open = left {
        } else if let output {
            try OutputFile.check(output, mayReplace: relay.force)
        }
        let listener = try await TransportListener.listen(
            on: listen, security: security.security(for: listen),
            linkTimeout: relay.options.linkTimeout)
        let door = MoveListener(
            accept: {
                try await listener.accept { Console.note("receive: \($0)") }.wire
            }, refused: { Console.note("receive: \($0)") })
        let receiver = MigrationReceiver(
            listener: door, output: place, options: relay.options, journalFolder: folder, key: key)
        let headline =
            output.map { "receive: \($0) holds the guest" } ?? "receive: QEMU has the guest"
        if case .open(let journal) = left {
            Console.note(
                "receive: move \(journal.now.session) was cut short; waiting on "
                    + "\(listener.endpoint) for its relay to ask what became of it")
            try await receiver.settle(journal, door, within: .seconds(20))
            await listener.close()
            return print(headline)
        }
        Console.note("receive: waiting for a relay on \(listener.endpoint)")
        defer { receiver.outcomeWasTold() }
        let statistics: RelayStatistics
        do {
            statistics = try await MoveWatch.run("receive", { receiver.statistics }) {
                try await receiver.run()
            }
        } catch {
            await listener.close()
            throw error
        }
        await listener.close()
        try relay.report(statistics, as: "migrate.receive", headline)
    }
}
