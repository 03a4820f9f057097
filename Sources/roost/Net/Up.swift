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
                control socket. Opening TAP devices needs CAP_NET_ADMIN. --check reads the file and \
                does nothing else.
                """)

        @Argument(help: ArgumentHelp("The configuration, in TOML.", valueName: "file"))
        var file: String

        @Option(
            help: ArgumentHelp(
                "The router's name (default: the file's, without what follows the dot).",
                valueName: "name"))
        var name: String?

        @Flag(help: "Only say whether the file is right.")
        var check = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            if let name { try Checked.name(name, .net) }
        }

        func run() async throws {
            let configuration = try RouterConfigurationFile.read(file)
            let ports = configuration.namespaces.reduce(0) { $0 + $1.ports.count }
            let routes = configuration.namespaces.reduce(0) { $0 + $1.routes.count }
            let what = "\(ports) ports, \(routes) routes"
            guard !check else {
                print("\(file): \(what), all right")
                return
            }
            let name = try self.name ?? stem()
            let service = NetworkService(
                configuration, name: name, in: try Surroundings.directory(),
                logger: Surroundings.logger)
            try await Interruptible.run {
                try await service.run { path in
                    Console.note("net \(name): up, \(what), control socket \(path)")
                }
            }
            Console.note("net \(name): down")
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
