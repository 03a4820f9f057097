import ArgumentParser
import RoostMigration
import RoostSystem

/// The program: parses, wires and prints; what it runs lives in the engines.
@main
struct Roost: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roost",
        abstract: "The host side of a virtual machine: streams of memory, and live moves.",
        version: "0.1.0",
        subcommands: [Stream.self, Migrate.self])

    static func main() async {
        // A peer that hangs up is told by the write that fails.
        BrokenPipes.ignore()
        FileSizeLimit.ignoreSignal()
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let error as MigrationError {
            // Its sentence may name what a stream or a peer sent.
            exit(withError: CommandFailure(error.description))
        } catch {
            exit(withError: error)
        }
    }
}
