import ArgumentParser
import RoostHost
import RoostSystem

/// The program: parses, wires and prints; what it runs lives in the engines.
@main
struct Roost: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roost",
        abstract: "The host side of a virtual machine: disks, packets, and live moves of memory.",
        version: Version.text,
        subcommands: [
            Disk.self, Net.self, Hypervisor.self, Stream.self, Migrate.self, Doctor.self,
        ])

    static func main() async {
        // A peer that hangs up is told by the write that fails.
        BrokenPipes.ignore()
        FileSizeLimit.ignoreSignal()
        let command: any ParsableCommand
        do {
            command = try parseAsRoot()
        } catch {
            refuse(error)
        }
        if let command = command as? any ConsoleCommand { command.console.apply() }
        do {
            try await SignalWatch.run(command)
        } catch {
            fail(error)
        }
    }

    /// Ends with what the arguments alone show to be wrong, and the usage; or with the help that
    /// they ask for.
    private static func refuse(_ error: any Error) -> Never {
        let code = exitCode(for: error)
        if code != .success, wantsJSON {
            print(JSONDocument.failure(message(for: error), exitCode: code.rawValue))
        }
        exit(withError: error)
    }

    /// Ends with what the work met: one sentence, without usage.
    private static func fail(_ error: any Error) -> Never {
        // The work has ended in its own way, or is a help text.
        if error is ExitCode || exitCode(for: error) == .success { exit(withError: error) }
        let sentence = sentence(error)
        Console.fail(sentence)
        if wantsJSON {
            print(JSONDocument.failure(sentence, exitCode: ExitCode.failure.rawValue))
        }
        exit(withError: ExitCode.failure)
    }

    private static func sentence(_ error: any Error) -> String {
        switch error {
        case let error as CommandFailure: error.description
        case let error as ValidationError: Console.plain(error.message)
        default: ErrorSentence.of(error)
        }
    }

    /// Whether the arguments ask for JSON; a command line that cannot be parsed counts as well.
    private static var wantsJSON: Bool {
        CommandLine.arguments.dropFirst().prefix { $0 != "--" }.contains("--json")
    }
}
