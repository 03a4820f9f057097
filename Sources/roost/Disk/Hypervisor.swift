import ArgumentParser
import RoostHost

/// `roost hypervisor`.
struct Hypervisor: AsyncParsableCommand, ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the embedded hypervisor: the store, event channels and grants, without Xen.",
        discussion: """
            Example: roost hypervisor --exit-when-idle 60

            Other commands start it when they need it. Runs in the foreground until SIGINT or \
            SIGTERM. Xen's tools work with its store: XENSTORED_PATH=SOCKET xenstore-ls
            """)

    @Option(
        help: ArgumentHelp(
            "End after so many seconds without a domain (default: never).", valueName: "seconds"))
    var exitWhenIdle: Int?

    @Option(
        help: ArgumentHelp(
            "The socket that domains connect to (default: as ROOST_SOCKET says).",
            valueName: "path"))
    var socket: String?

    /// Given by whoever starts a hypervisor for itself.
    @Flag(help: .hidden)
    var announceReady = false

    @Flag(help: "Print a line of JSON when domains can connect, and one at the end.")
    var json = false

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws {
        try Checked.number("--exit-when-idle", exitWhenIdle, 0...31_536_000)
    }

    func run() async throws {
        let (socket, announceReady, json) = (socket, announceReady, json)
        let limit = exitWhenIdle.map { Duration.seconds($0) }
        do {
            try await DiskEngines.hypervisor(
                socket: socket, idleLimit: limit, environment: Surroundings.environment,
                logger: Surroundings.logger
            ) { domains, store in
                if announceReady { DiskEngines.announceReady() }
                Console.note("hypervisor: domains on \(domains), store on \(store)")
                if json {
                    Self.printEvent(Event(event: "ready", socket: domains, store: store))
                }
            }
        } catch is CancellationError {
            // A signal ended it, as it is meant to.
        }
        Console.note("hypervisor: ended")
        if json { Self.printEvent(Event(event: "ended")) }
    }

    /// What happens to the hypervisor, as JSON.
    private struct Event: Encodable {
        var event: String
        var socket: String?
        var store: String?
    }

    @Sendable private static func printEvent(_ event: Event) {
        // Texts are always encoded.
        try? Console.printJSONLine(event, as: "hypervisor.run")
    }
}
