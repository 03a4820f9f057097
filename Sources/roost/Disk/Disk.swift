import ArgumentParser
import FoundationEssentials
import Logging
import RoostHost

/// `roost disk`.
struct Disk: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve a disk to guests, connect to one, and see how they are.",
        discussion: """
            A disk is served by one process and used by guests, Roost's own among them:

              image → roost disk serve ⇒ a guest's driver, or roost disk connect → NBD or a file

            Example: roost disk serve --image web1.raw --name web1
            """,
        subcommands: [
            Serve.self, Connect.self, List.self, Doctor.self, Attach.self, Detach.self,
        ])
}

/// What the commands that talk to others of Roost share.
enum Surroundings {
    /// This process's environment.
    static var environment: [String: String] { ProcessInfo.processInfo.environment }

    /// Where control sockets are.
    static func directory() throws(HostError) -> RunDirectory {
        try RunDirectory.standard(environment: environment)
    }

    /// Asks control sockets.
    static func client() throws(HostError) -> ControlClient {
        ControlClient(try directory())
    }

    /// Where long-running commands tell what happens: standard error, as ``ConsoleArguments`` says.
    static let logger = Logger(label: "roost")
}

/// Checks of numbers on the command line.
enum Checked {
    /// Refuses a number that is not in a range.
    static func number(
        _ option: String, _ value: Int?, _ range: ClosedRange<Int>
    ) throws(ValidationError) {
        guard let value, !range.contains(value) else { return }
        throw ValidationError(
            "\(option) is \(value): give a number from \(range.lowerBound) to \(range.upperBound)")
    }

    /// Refuses a name that nothing of a kind can have.
    static func name(
        _ name: String, _ kind: ControlName.Kind = .disk
    ) throws(ValidationError) {
        do throws(HostError) {
            _ = try ControlName(kind, name)
        } catch {
            throw ValidationError(error.description)
        }
    }
}
