import ArgumentParser
import FoundationEssentials
import RoostHost
import RoostSystem

/// `roost doctor`.
struct Doctor: AsyncParsableCommand, ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what this machine can do, what it lacks, and how to have that.",
        discussion: """
            Example: roost doctor

            It tries what the engines ask of the kernel, where trying changes nothing, and looks for
            the programs that they work with. Exits with 0 when nothing is at fault, also with
            warnings, and with 1 when no engine can work.
            """)

    @Flag(help: "Print the findings as JSON.")
    var json = false

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func run() async throws {
        // Other programs are asked for their versions, which blocks.
        let environment = ProcessInfo.processInfo.environment
        let facts = try await DedicatedThread.run(name: "doctor") {
            MachineProbe.facts(environment: environment)
        }
        let findings = MachineDoctor.findings(facts)
        if json {
            try Console.printJSON(Findings(findings: findings), as: "doctor")
        } else {
            print(Self.text(findings))
        }
        if findings.contains(where: { $0.severity == .fault }) { throw ExitCode.failure }
    }

    /// What `--json` prints.
    private struct Findings: Encodable {
        let findings: [MachineFinding]
    }

    private static func text(_ findings: [MachineFinding]) -> String {
        let lines = findings.map { "\($0.severity.label)  \(Console.plain($0.sentence))" }
        let isWell = findings.allSatisfy { $0.severity == .note }
        return ((isWell ? ["this machine: all is well"] : []) + lines).joined(separator: "\n")
    }
}

extension DiskFinding.Severity {
    /// What a line of a doctor begins with.
    var label: String {
        switch self {
        case .fault: "FAULT  "
        case .warning: "WARNING"
        case .note: "ok     "
        }
    }
}
