import ArgumentParser
import RoostHost

extension Disk {
    /// `roost disk doctor`.
    struct Doctor: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say in words why a disk is not connected, or is slow.",
            discussion: """
                Example: roost disk doctor web1

                Exits with 0 when nothing is at fault, also with warnings, and with 1 otherwise.
                """)

        @Argument(help: "The disk's name.")
        var name: String

        @Flag(help: "Print the findings as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            try Checked.name(name)
        }

        func run() async throws {
            let examination = try await DiskExamination.read(
                name, try Surroundings.client(), environment: Surroundings.environment)
            let findings = DiskDoctor.findings(examination)
            if json {
                try Console.printJSON(
                    Diagnosis(disk: name, findings: findings), as: "disk.doctor")
            } else {
                print(Self.text(findings, name))
            }
            if findings.contains(where: { $0.severity == .fault }) { throw ExitCode.failure }
        }

        /// What is found, as JSON.
        private struct Diagnosis: Encodable {
            var disk: String
            var findings: [DiskFinding]
        }

        private static func text(_ findings: [DiskFinding], _ name: String) -> String {
            let lines = findings.map {
                "\($0.severity.label)  \(Console.plain($0.sentence))"
            }
            guard findings.allSatisfy({ $0.severity == .note }) else {
                return lines.joined(separator: "\n")
            }
            return (["disk \(name): all is well"] + lines).joined(separator: "\n")
        }
    }
}
