import ArgumentParser
import RoostHost
import RoostRouter
import SystemPackage

extension Net {
    /// `roost net up`.
    struct Up: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a router as a file describes it.",
            discussion: """
                Example: roost net up example.toml --name edge

                Runs in the foreground until SIGINT or SIGTERM, or until it is stopped over its \
                control socket. Opening TAP devices needs CAP_NET_ADMIN. --check finds what would \
                keep the router from starting here, and opens no device.
                """)

        @Argument(help: ArgumentHelp("The configuration, in TOML.", valueName: "file"))
        var file: String

        @Option(
            help: ArgumentHelp(
                "The router's name (default: the file's, without what follows the dot).",
                valueName: "name"))
        var name: String?

        @Flag(help: "Only say whether a router could be started.")
        var check = false

        @Flag(help: "Print what the file comes to, or what runs, as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            if let name { try Checked.name(name, .net) }
        }

        func run() async throws {
            let file = try await RouterConfigurationFile.load(self.file)
            guard !check else { return try show(try await file.check()) }
            let name = try self.name ?? stem()
            let service = NetworkService(
                file.configuration, name: name, in: try Surroundings.directory(),
                logger: Surroundings.logger)
            let source = self.file
            let spaces = file.configuration.namespaces
            let counts = (
                ports: spaces.reduce(0) { $0 + $1.ports.count },
                routes: spaces.reduce(0) { $0 + $1.routes.count }
            )
            let what = Self.summary(counts.ports, counts.routes)
            do {
                try await service.run { path in
                    Console.note("net \(name): up, \(what), control socket \(path)")
                    guard json else { return }
                    // A document of texts and numbers can be encoded.
                    try? Console.printJSONLine(
                        Started(
                            name: name, controlSocket: path, file: source, ports: counts.ports,
                            routes: counts.routes), as: "net.up")
                }
            } catch let error as RouterError {
                throw file.explained(error)
            }
            Console.note("net \(name): down")
        }

        /// The router that runs, as JSON has it.
        private struct Started: Encodable {
            let name: String
            let controlSocket: String
            let file: String
            let ports: Int
            let routes: Int
        }

        private func show(_ check: NetworkCheck) throws {
            guard !json else {
                try Console.printJSON(check, as: "net.check")
                return
            }
            print("\(check.file): \(Self.summary(check.ports, check.routes)), all right")
            for note in check.notes { Console.note("note: \(note)") }
        }

        private static func summary(_ ports: Int, _ routes: Int) -> String {
            "\(ports) \(ports == 1 ? "port" : "ports"), \(routes) "
                + (routes == 1 ? "route" : "routes")
        }

        private func stem() throws -> String {
            let stem = FilePath(file).lastComponent?.stem ?? ""
            do throws(ValidationError) {
                try Checked.name(stem, .net)
            } catch {
                throw CommandFailure("the file's name cannot name the router: give --name")
            }
            return stem
        }
    }
}
