import Foundation
import LabSupport
import RoostMigration
import Testing

extension Tag {
    /// Runs the program itself.
    @Tag static var lab: Self
}

/// What holds for every command of `roost`, whatever it does.
@Suite(.serialized, .tags(.lab), .timeLimit(.minutes(5)))
struct CommandLab {
    /// Commands whose only words are notes: they print nothing on standard output.
    static let silent: Set = ["disk serve", "hypervisor"]

    @Test("every command prints JSON, and says a failure as a document too")
    func documents() async throws {
        try await LabClock.measure("documents of all commands") {
            let commands = try await Command.all()
            #expect(commands.count > 20)
            let stage = try CommandStage()
            var documents: [(name: String, text: String)] = []
            for command in commands where !Self.silent.contains(command.description) {
                #expect(command.takes("json"), "\(command) has no --json")
                // What the arguments alone show.
                let refused = try await stage.run(command.path + ["--json", "--no-such-option"])
                #expect(refused.status == 64, "\(command)")
                #expect(refused.errors.contains("Usage: "), "\(command)")
                documents += try check(refused, "error", command)
                let known = CommandRuns.all[command.description]
                #expect(known != nil, "CommandRuns has no row for \(command): add one")
                guard let known else { continue }
                if let arguments = known.failure {
                    // What is found while working.
                    let failed = try await stage.run(command.path + arguments + ["--json"])
                    #expect(failed.status == 1, "\(command): \(failed.errors)")
                    #expect(!failed.errors.contains("Usage: "), "\(command): \(failed.errors)")
                    #expect(failed.errors.contains("Error: "), "\(command): \(failed.errors)")
                    documents += try check(failed, "error", command)
                }
                if let success = known.success {
                    let arguments = try success.arguments(stage)
                    let done = try await stage.run(command.path + arguments + ["--json"])
                    #expect(done.status == 0, "\(command): \(done.errors)")
                    documents += try check(done, success.document, command)
                }
            }
            #expect(try await DocumentSchemas.faults(in: documents) == [])
        }
    }

    /// Looks into what a run printed, and hands on its last document.
    private func check(
        _ run: CommandStage.Run, _ kind: String, _ command: Command
    ) throws -> [(name: String, text: String)] {
        let text = kind == "error" ? run.output.split(separator: "\n").last ?? "" : run.output[...]
        let name = "\(command) (\(kind))"
        let document: JSONValue
        do {
            document = try JSONValue(json: text.utf8)
        } catch {
            Issue.record("\(name) is no JSON: \(run.output) \(run.errors)")
            return []
        }
        #expect(document["document"]?.string == kind, "\(name)")
        if kind == "error" {
            #expect(document["exitCode"]?.signedInteger == Int64(run.status), "\(name)")
            let sentence = document["error"]?.string ?? "?"
            #expect(run.errors.contains(sentence.prefix { $0 != "\n" }), "\(name)")
        }
        return [(name, String(text))]
    }

    @Test("each kind of document that the program prints has a schema, and each schema a document")
    func schemas() throws {
        let sources = "\(DocumentSchemas.repository)/Sources/roost"
        var printed: Set = ["error"]
        let files = try #require(FileManager.default.enumerator(atPath: sources))
        for case let file as String in files where file.hasSuffix(".swift") {
            let text = try String(contentsOfFile: "\(sources)/\(file)", encoding: .utf8)
            for match in text.matches(of: /as: "([a-z]+(?:\.[a-zA-Z]+)*)"/) {
                printed.insert(String(match.1))
            }
        }
        #expect(printed == (try DocumentSchemas.kinds()))
    }

    @Test("an option that may be left out says what holds then")
    func defaults() async throws {
        for command in try await Command.all() {
            for option in command.options where option.kind != "flag" && option.isShown {
                let isTold = option.defaultValue != nil || option.help.contains("(default: ")
                #expect(
                    isTold || !option.isOptional,
                    "\(command): --\(option.name) does not say its default")
            }
        }
    }

    @Test("every command can be told how much to say")
    func messages() async throws {
        for command in try await Command.all() {
            #expect(command.takes("quiet") && command.takes("log-level"), "\(command)")
        }
    }

    @Test(
        "help that is asked for is an answer, not a failure", arguments: ["--help", "-h", "help"])
    func help(word: String) async throws {
        let stage = try CommandStage()
        let paths = [[]] + (try await Command.all()).map(\.path)
        for path in paths where word != "help" || path.isEmpty {
            let run = try await stage.run(path + [word])
            #expect(run.status == 0, "\(path) \(word): \(run.errors)")
            #expect(run.errors.isEmpty, "\(path) \(word): \(run.errors)")
            #expect(run.output.contains("USAGE: roost"), "\(path) \(word): \(run.output)")
        }
    }

    @Test("the version names the release, the commit and the libraries that are loaded")
    func version() async throws {
        let program = try RoostProgram.start(["--version"])
        try await program.succeed()
        let lines = program.output.split(separator: "\n")
        #expect(lines.first?.hasPrefix("roost ") == true)
        for library in ["zlib", "zstd", "liburing", "xxHash"] {
            #expect(program.output.contains(try Regex("\(library) [0-9]+\\.[0-9]+")), "\(library)")
        }
    }

    @Test(
        "a linked program is stamped with its commit",
        .enabled(
            if: LabTool.missing("git", "objcopy").isEmpty, "\(LabTool.missing("git", "objcopy"))"))
    func stamp() async throws {
        let folder = try LabSupport.TemporaryFolder()
        let copy = folder.file("roost")
        try FileManager.default.copyItem(atPath: RoostProgram.locate(), toPath: copy)
        let clone = DocumentSchemas.repository
        try await ChildProcess("\(clone)/Extras/stamp.sh", [copy], name: "stamp.sh").succeed()
        let commit = try await LabTool.run("git", "-C", clone, "rev-parse", "--short=12", "HEAD")
        let stamped = try ChildProcess(copy, ["--version"])
        try await stamped.succeed()
        let text = stamped.output
        #expect(text.contains("commit     \(commit)"))
        #expect(text.contains(try Regex("Swift +[0-9]")))
        #expect(text.contains(try Regex("packages .*swift-nio [0-9]")))
    }
}
