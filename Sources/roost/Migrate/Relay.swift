import ArgumentParser
import RoostHost
import RoostMigration
import RoostSystem

/// `roost migrate relay`.
struct Relay: AsyncParsableCommand, ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take a source QEMU's stream and carry it to roost migrate receive.",
        discussion: """
            Example: roost migrate relay --listen unix:/run/roost/out.sock \
            --connect tcp:hostb:4444 --tls-certificate a.pem --tls-key a.key --tls-authority ca.pem
            Then, at the source: migrate -d unix:/run/roost/out.sock

            Serves one move and ends with its outcome. The other side is connected to when the \
            source connects. If anything fails before the source has let go of its guest, the guest \
            runs on there; after that the outcome says where it is. Killed and started again, the \
            command answers for the move that it left.
            """)

    @Option(
        help: ArgumentHelp(
            "Where the source QEMU migrates to.", valueName: "unix:PATH|tcp:HOST:PORT"),
        transform: EndpointArgument.parse)
    var listen: Endpoint

    @Option(
        help: ArgumentHelp(
            "Where roost migrate receive listens.", valueName: "unix:PATH|tcp:HOST:PORT"),
        transform: EndpointArgument.parse)
    var connect: Endpoint

    @Option(
        help: ArgumentHelp(
            "The source's QMP socket, which is asked whether it has let go (default: none).",
            valueName: "src.qmp"))
    var qmp: String?

    @OptionGroup var relay: RelayArguments

    @OptionGroup var security: SecurityOptions

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws {
        try security.check(for: connect)
        try security.check(stream: listen, unix: "listen on unix:PATH")
    }

    func run() async throws {
        try relay.check()
        let outward = try security.security(for: connect)
        let folder = try RunDirectory.standard(environment: Surroundings.environment).movesFolder()
        var surroundings = MigrationRelay.Surroundings()
        surroundings.journalFolder = folder
        surroundings.key = "relay \(listen) \(connect)"
        let (connect, timeout) = (connect, relay.options.linkTimeout)
        surroundings.connector = {
            try await Connection.connect(to: connect, security: outward, linkTimeout: timeout).wire
        }
        switch try MigrationRelay.left(in: folder, key: surroundings.key) {
        case .none: break
        case .ended(let sentence): Console.note("relay: \(sentence)")
        case .open(let journal):
            return try await goOn(journal, surroundings)
        }
        let listener = try await TransportListener.listen(on: listen, security: .none)
        Console.note("relay: waiting for a source QEMU on \(listener.endpoint)")
        let source = try await listener.accept { Console.note("relay: \($0)") }
        Console.note("relay: a source connected, carrying to \(connect)")
        let monitor = try await monitor()
        if let monitor {
            surroundings.confirmsRelease = { await monitor.hasCompletedMigration() }
        }
        let wire = try await Connection.connect(
            to: connect, security: outward, linkTimeout: timeout)
        let carrier = MigrationRelay(
            source: source.socket, wire: wire.wire, options: relay.options,
            surroundings: surroundings)
        // A source with multifd on connects again; it is told so by name.
        let channels = Task {
            while let channel = try? await listener.accept(refused: { _ in }) {
                await carrier.look(at: channel.socket)
            }
        }
        defer { channels.cancel() }
        try await carry(carrier)
        await monitor?.close()
    }

    private func monitor() async throws -> QMPClient? {
        guard let qmp else { return nil }
        return try await QMPClient.connect(to: .unix(path: qmp))
    }

    /// Goes on with the move of a relay that was killed.
    private func goOn(
        _ journal: OwnershipJournal, _ surroundings: MigrationRelay.Surroundings
    ) async throws {
        Console.note("relay: going on with move \(journal.now.session), which was cut short")
        try await carry(
            MigrationRelay(after: journal, options: relay.options, surroundings: surroundings))
    }

    private func carry(_ carrier: MigrationRelay) async throws {
        defer { carrier.outcomeWasTold() }
        let statistics = try await MoveWatch.run("relay", { carrier.statistics }) {
            try await carrier.run()
        }
        try relay.report(statistics, as: "migrate.relay", "relay: the destination has the guest")
    }
}
