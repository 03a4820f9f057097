import LabSupport
import StreamSupport

/// Runs of the program, away from what else runs on this host.
final class CommandStage: Sendable {
    private let folder: LabSupport.TemporaryFolder

    init() throws { folder = try LabSupport.TemporaryFolder() }

    /// What a run came to.
    struct Run: Sendable {
        let status: Int32
        let output: String
        let errors: String
    }

    /// A path in the stage's folder.
    func file(_ name: String) -> String { folder.file(name) }

    /// Starts `roost` with a run directory and a hypervisor's socket of its own.
    func start(_ arguments: [String]) throws -> ChildProcess {
        try ChildProcess(
            "/usr/bin/env",
            [
                "ROOST_SOCKET=\(file("hypervisor"))", "XDG_RUNTIME_DIR=\(folder.path)",
                try RoostProgram.locate(),
            ] + arguments, name: "roost " + arguments.joined(separator: " "))
    }

    /// Runs `roost` to its end.
    func run(_ arguments: [String]) async throws -> Run {
        let program = try start(arguments)
        let status = try await program.exit()
        return Run(
            status: status, output: program.output,
            errors: program.lines.filter(\.isError).map(\.text).joined(separator: "\n"))
    }
}

/// How each command is run with success, and how it fails for what it finds while working.
struct CommandRuns: Sendable {
    /// A run that ends well.
    struct Success: Sendable {
        /// The kind of document that it prints.
        let document: String
        /// The arguments behind the command's name, but for --json.
        let arguments: @Sendable (CommandStage) throws -> [String]

        init(
            _ document: String, _ arguments: @escaping @Sendable (CommandStage) throws -> [String]
        ) {
            self.document = document
            self.arguments = arguments
        }
    }

    /// `nil` where a success needs a peer: the labs of that command show it.
    var success: Success?
    /// `nil` where it does not fail.
    var failure: [String]?

    private static let unreachable = [
        "--listen", "unix:/nothing/there/in", "--connect", "unix:/nothing/there/out",
    ]
    private static let stream = "\(StreamFixtures.folder)/7.2-q35-paused.stream.gz"

    /// Every command that prints something.
    static let all: [String: CommandRuns] = [
        "disk attach": CommandRuns(failure: ["web1", "--domain", "1"]),
        "disk connect": CommandRuns(failure: ["web1", "--copy-to", "/nothing/there/copy"]),
        "disk detach": CommandRuns(failure: ["web1", "--domain", "1"]),
        "disk doctor": CommandRuns(),
        "disk list": CommandRuns(success: Success("disk.list") { _ in [] }),
        "doctor": CommandRuns(success: Success("doctor") { _ in [] }),
        "migrate bench": CommandRuns(
            success: Success("migrate.bench") { _ in ["--memory", "1M", "--xbzrle-cache", "64K"] },
            failure: ["--memory", "4T"]),
        "migrate guest": CommandRuns(
            failure: ["--from", "/nothing/a", "--to", "/nothing/b"]),
        "migrate receive": CommandRuns(
            failure: unreachable),
        "migrate relay": CommandRuns(
            failure: unreachable),
        "migrate resolve": CommandRuns(
            success: Success("migrate.resolve") { _ in [] },
            failure: ["0123456789abcdef0123456789abcdef", "--to", "source"]),
        "migrate send": CommandRuns(
            failure: ["/nothing/there.stream", "--connect", "unix:/nothing/there/out"]),
        "net destinations": CommandRuns(failure: []),
        "net flush": CommandRuns(failure: ["--all"]),
        "net neighbours": CommandRuns(failure: []),
        "net ports": CommandRuns(failure: []),
        "net routes": CommandRuns(failure: []),
        "net show": CommandRuns(failure: []),
        "net trace": CommandRuns(failure: []),
        "net up": CommandRuns(failure: ["/nothing/there.toml"]),
        "stream convert": CommandRuns(
            success: Success("stream.convert") { [stream, "--output", $0.file("plain.stream")] },
            failure: ["/nothing/there.stream", "--output", "/nothing/there"]),
        "stream extract": CommandRuns(
            success: Success("stream.extract") {
                [stream, "--block", "pc.bios", "--output", $0.file("bios")]
            },
            failure: [stream, "--block", "pc.none", "--output", "/nothing/there"]),
        "stream inspect": CommandRuns(
            success: Success("stream.report") { _ in [stream] },
            failure: ["/nothing/there.stream"]),
        "stream verify": CommandRuns(
            success: Success("stream.report") { _ in [stream] },
            failure: ["/nothing/there.stream"]),
    ]
}
