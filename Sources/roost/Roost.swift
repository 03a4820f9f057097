import ArgumentParser
import RoostBlock
import RoostHost
import RoostHypervisor
import RoostMigration
import RoostRouter
import RoostSystem

/// The program: parses, wires and prints; what it runs lives in the engines.
@main
struct Roost: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roost",
        abstract: "The host side of a virtual machine: disks, packets, and live moves of memory.",
        version: "0.1.0",
        subcommands: [Disk.self, Net.self, Hypervisor.self, Stream.self, Migrate.self])

    static func main() async {
        // A peer that hangs up is told by the write that fails.
        BrokenPipes.ignore()
        FileSizeLimit.ignoreSignal()
        do {
            try await SignalWatch.run(try parseAsRoot())
        } catch {
            exit(withError: shown(error))
        }
    }

    /// An error as it is printed: the sentence alone, which may name what a stream or a peer sent.
    private static func shown(_ error: any Error) -> any Error {
        switch error {
        case let error as MigrationError: CommandFailure(error.description)
        case let error as BlockError: CommandFailure(error.description)
        case let error as HypervisorError: CommandFailure(error.description)
        case let error as HostError: CommandFailure(error.description)
        case let error as RouterError: CommandFailure(error.description)
        case let error as SystemError: CommandFailure(error.description)
        default: error
        }
    }
}
