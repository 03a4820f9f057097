import ArgumentParser
import RoostHost

/// `roost net`.
struct Net: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Route packets between guests, and see where they go.",
        discussion: """
            A router is one process; its ports are TAP devices, its routes come from a file:

              guest or namespace ⇄ TAP ⇄ roost net up FILE ⇄ TAP ⇄ guest or namespace

            Example: roost net up Extras/net/example.toml
            """,
        subcommands: [
            Up.self, Show.self, Routes.self, Destinations.self, Neighbours.self, Ports.self,
            Flush.self, Trace.self,
        ])
}

/// Which router a command asks.
struct RouterName: ParsableArguments {
    @Option(
        help: ArgumentHelp("The router's name (default: the one that runs).", valueName: "name"))
    var name: String?

    func validate() throws {
        if let name { try Checked.name(name, .net) }
    }

    /// The router's name among control sockets.
    func controlName() throws(HostError) -> ControlName {
        try NetworkService.controlName(name, in: try Surroundings.directory())
    }

    /// How the router is.
    func snapshot() async throws -> NetworkSnapshot {
        try await Surroundings.client().snapshot(NetworkSnapshot.self, of: controlName())
    }

    /// Asks the router.
    func ask<Answer: Decodable & Sendable>(
        _ command: String, _ argument: some Encodable, answer: Answer.Type
    ) async throws -> Answer {
        try await Surroundings.client().perform(
            command, at: controlName(), argument, answer: answer)
    }
}

/// Which rows of a table a command shows.
struct TableOptions: ParsableArguments {
    @OptionGroup var router: RouterName

    @Option(
        help: ArgumentHelp(
            "Only this namespace of the router (default: all).", valueName: "name"))
    var namespace: String?

    @Option(help: ArgumentHelp("At most so many rows.", valueName: "n"))
    var limit = 1000

    @Flag(help: "Print everything as JSON.")
    var json = false

    func validate() throws {
        try Checked.number("--limit", limit, 1...NetworkTableRequest.rowLimit)
    }

    /// Asks for a table's rows and shows them.
    ///
    /// - Parameters:
    ///   - command: The table's name.
    ///   - kind: The kind of its document.
    ///   - nothing: What to print when there are none.
    ///   - head: The columns' titles.
    ///   - row: A row's cells.
    /// - Throws: `HostError` when the router does not answer.
    func show<Row: Codable & Equatable & Sendable>(
        _ command: String, as kind: String, nothing: String, head: [String], row: (Row) -> [String]
    ) async throws {
        let listing = try await router.ask(
            command, NetworkTableRequest(namespace: namespace, limit: limit),
            answer: NetworkListing<Row>.self)
        guard !json else {
            try Console.printJSON(listing, as: kind)
            return
        }
        guard !listing.rows.isEmpty else {
            print(nothing)
            return
        }
        print(Console.table([head] + listing.rows.map(row)))
        if listing.total > listing.rows.count {
            let isWhole = listing.rows.count < limit || limit == NetworkTableRequest.rowLimit
            Console.note(
                "\(listing.rows.count) of \(listing.total) shown"
                    + (isWhole
                        ? ", the most of one answer: choose a --namespace"
                        : ": raise --limit, or choose a --namespace"))
        }
    }
}

extension Console {
    /// A time as people read it: two digits and a unit; `-` for none.
    static func time(_ seconds: Double?) -> String {
        guard let seconds, seconds.isFinite else { return "-" }
        switch abs(seconds) {
        case ..<1: return "\(decimal(seconds * 1000, 0)) ms"
        case ..<100: return "\(decimal(seconds, 1)) s"
        case ..<6000: return "\(decimal(seconds / 60, 0)) min"
        case ..<360_000: return "\(decimal(seconds / 3600, 0)) h"
        default: return "\(decimal(seconds / 86_400, 0)) d"
        }
    }
}
