import ArgumentParser
import RoostHost

extension Net {
    /// `roost net routes`.
    struct Routes: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a router's routes.",
            discussion: "Example: roost net routes --namespace red")

        @OptionGroup var options: TableOptions

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func run() async throws {
            try await options.show(
                "routes", nothing: "there are no routes",
                head: ["prefix", "namespace", "action", "via", "metric", "origin"]
            ) { (route: NetworkRoute) in
                let hops = route.nextHops.map { hop in
                    [
                        hop.via, "port \(hop.port)", hop.weight == 1 ? nil : "weight \(hop.weight)",
                        hop.isUsable ? nil : "(down)",
                    ].compactMap { $0 }.joined(separator: " ")
                }
                return [
                    route.prefix, route.namespace, route.action,
                    hops.isEmpty ? "-" : hops.joined(separator: ", "), "\(route.metric)",
                    route.origin,
                ]
            }
        }
    }

    /// `roost net destinations`.
    struct Destinations: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a router's destination entries: next hops, and what was learned.",
            discussion: """
                Example: roost net destinations --limit 20

                Entries are shared by all destinations behind a next hop; exceptions are those of \
                single destinations: a path MTU, a redirect, a failure.
                """)

        @OptionGroup var options: TableOptions

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func run() async throws {
            let head = [
                "destination", "namespace", "kind", "port", "via", "input", "output", "mtu",
                "expires", "references", "uses", "used", "state",
            ]
            try await options.show(
                "destinations", nothing: "there are no destinations", head: head
            ) { (entry: NetworkDestination) in
                let state = [entry.error, entry.obsolete, entry.neighbour].compactMap { $0 }
                return [
                    entry.address ?? "*", entry.namespace, entry.kind, entry.port ?? "-",
                    entry.via ?? "-", entry.input, entry.output,
                    entry.pathMTU == 0 ? "-" : "\(entry.pathMTU)",
                    Console.time(entry.expiresSeconds), "\(entry.references)", "\(entry.uses)",
                    Console.time(entry.usedSeconds),
                    state.isEmpty ? "-" : state.joined(separator: ", "),
                ]
            }
        }
    }

    /// `roost net neighbours`.
    struct Neighbours: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a router's neighbours.",
            discussion: "Example: roost net neighbours --json")

        @OptionGroup var options: TableOptions

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func run() async throws {
            let head = [
                "address", "namespace", "port", "mac", "state", "confirmed", "queued", "references",
            ]
            try await options.show(
                "neighbours", nothing: "there are no neighbours", head: head
            ) { (neighbour: NetworkNeighbour) in
                [
                    neighbour.address, neighbour.namespace, neighbour.port, neighbour.mac ?? "-",
                    neighbour.state, Console.time(neighbour.confirmedSeconds),
                    "\(neighbour.queuedFrames)", "\(neighbour.references)",
                ]
            }
        }
    }
}
