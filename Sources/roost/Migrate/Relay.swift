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
            source connects; if anything fails, the source's guest runs on.
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
        let listener = try await TransportListener.listen(on: listen, security: .none)
        Console.note("relay: waiting for a source QEMU on \(listener.endpoint)")
        let source = try await listener.accept { Console.note("relay: \($0)") }
        Console.note("relay: a source connected, carrying to \(connect)")
        let wire = try await Connection.connect(to: connect, security: outward)
        let carrier = MigrationRelay(
            source: source.socket, wire: wire.socket, options: relay.options)
        // A source with multifd on connects again; it is told so by name.
        let channels = Task {
            while let channel = try? await listener.accept(refused: { _ in }) {
                await carrier.look(at: channel.socket)
            }
        }
        defer { channels.cancel() }
        let statistics = try await MoveWatch.run(wire, "relay", { carrier.statistics }) {
            try await carrier.run()
        }
        try relay.report(statistics, as: "migrate.relay", "relay: the destination has the guest")
    }
}
