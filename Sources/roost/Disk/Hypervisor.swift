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

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws {
        try Checked.number("--exit-when-idle", exitWhenIdle, 0...31_536_000)
    }

    func run() async throws {
        let (socket, announceReady) = (socket, announceReady)
        let limit = exitWhenIdle.map { Duration.seconds($0) }
        try await Interruptible.run {
            do {
                try await DiskEngines.hypervisor(
                    socket: socket, idleLimit: limit, environment: Surroundings.environment,
                    logger: Surroundings.logger
                ) { domains, store in
                    if announceReady { DiskEngines.announceReady() }
                    Console.note("hypervisor: domains on \(domains), store on \(store)")
                }
            } catch is CancellationError {
                // A signal ended it, as it is meant to.
            }
        }
        Console.note("hypervisor: ended")
    }
}
