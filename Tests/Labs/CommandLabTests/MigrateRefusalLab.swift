import Foundation
import LabSupport
import Testing

/// What `roost migrate` refuses, and when: before a guest is started, a socket listens or a peer is
/// waited for.
@Suite(.serialized, .tags(.lab), .timeLimit(.minutes(5)))
struct MigrateRefusalLab {
    private static let relays = ["--listen", "unix:/nothing/in", "--connect"]
    private static let tls = ["--tls-certificate", "/nothing/c", "--tls-key", "/nothing/k"]

    @Test(
        "what the arguments alone show ends with 64 and the usage",
        arguments: [
            ["bench", "--memory", "9999999T"], ["bench", "--memory", "1"],
            ["bench", "--memory", "1000001"], ["bench", "--hot", "0"],
            ["bench", "--writes=-1"], ["bench", "--bytes", "4097"], ["bench", "--moves", "0"],
            ["bench", "--compress-threads", "0"], ["bench", "--compress-threads", "256"],
            ["bench", "--compress-level", "10"], ["bench", "--compress-level=-1"],
            ["bench", "--decompress-threads", "256"], ["bench", "--decompress-threads=-1"],
            ["bench", "--xbzrle-cache", "4095"], ["bench", "--xbzrle-cache", "99999999T"],
            ["bench", "--downtime=-1"], ["bench", "--downtime", "9999999"],
            ["bench", "--timeout", "0"], ["bench", "--max-rounds", "0"],
            ["bench", "--content", "none"], ["bench", "--tracker", "none"],
            ["guest", "--from", "/nothing/a", "--to", "/nothing/a"],
            ["guest", "--from", "a", "--to", "b", "--xbzrle-cache", "3M"],
            ["guest", "--from", "a", "--to", "b", "--downtime", "0"],
            ["relay"] + relays + ["tcp:192.0.2.1:1"],
            ["relay"] + relays + ["tcp:192.0.2.1:1"] + tls,
            ["relay", "--listen", "tcp:127.0.0.1:0", "--connect", "unix:/nothing/out"],
            ["receive"] + relays + ["tcp:192.0.2.1:1"],
            ["receive", "--listen", "tcp:127.0.0.1:0", "--connect", "unix:/nothing/out"],
            ["receive", "--listen", "unix:/nothing/in"],
            ["receive", "--listen", "unix:/nothing/in", "--output", "-", "--json"],
            ["send", "/nothing/there", "--connect", "tcp:192.0.2.1:1"],
        ])
    func arguments(_ arguments: [String]) async throws {
        let run = try await CommandStage().run(["migrate"] + arguments)
        #expect(run.status == 64, "\(run.errors)")
        #expect(run.errors.contains("Usage: roost migrate "), "\(run.errors)")
        #expect(!run.errors.contains("stamped-guest"), "\(run.errors)")
    }

    /// Runs a command that is refused for what it finds, and returns its one sentence.
    private func refusal(_ stage: CommandStage, _ arguments: [String]) async throws -> String {
        let run = try await stage.run(["migrate"] + arguments)
        #expect(run.status == 1, "\(arguments): \(run.errors)")
        let lines = run.errors.split(separator: "\n")
        #expect(lines.count == 1 && lines.first?.hasPrefix("Error: ") == true, "\(run.errors)")
        #expect(!run.errors.contains(".;") && !run.errors.contains("()"), "\(run.errors)")
        return run.errors
    }

    @Test("files and folders are looked at before anything listens")
    func files() async throws {
        let stage = try CommandStage()
        let listen = ["--listen", "unix:\(stage.file("in"))"]
        let out = listen + ["--connect", "unix:\(stage.file("out"))"]
        let tcp = listen + ["--connect", "tcp:192.0.2.1:1"]
        let stored = stage.file("stored")
        try Data("kept".utf8).write(to: URL(fileURLWithPath: stored))
        let rows: [(arguments: [String], says: String)] = [
            (["receive"] + listen + ["--output", stage.file("nodir/g")], "nodir"),
            (["receive"] + listen + ["--output", stored], "--force"),
            (["receive"] + out + ["--dump", stage.file("nodir")], "nodir"),
            (["receive"] + out + ["--dump", stored], "no folder"),
            (["relay"] + out + ["--dump", stage.file("nodir")], "nodir"),
            (
                ["guest", "--from", stored, "--to", stage.file("in"), "--dump", stage.file("n")],
                stage.file("n")
            ),
            (["relay"] + tcp + Self.tls + ["--tls-authority", "/nothing/a"], "/nothing/"),
            (
                ["receive", "--listen", "tcp:127.0.0.1:0", "--output", stage.file("new")]
                    + Self.tls + ["--tls-authority", "/nothing/a"], "/nothing/"
            ),
            (["send", stored, "--connect", "unix:\(stage.file("in"))"], stored),
            (
                ["send", stage.file("no"), "--connect", "unix:\(stage.file("in"))"],
                stage.file("no")
            ),
        ]
        for row in rows {
            let said = try await refusal(stage, row.arguments)
            #expect(said.contains(row.says), "\(row.arguments): \(said)")
        }
        #expect(FileManager.default.contents(atPath: stored) == Data("kept".utf8))
        #expect(!FileManager.default.fileExists(atPath: stage.file("in")))
    }

    @Test("one monitor under two names is no move")
    func oneMonitor() async throws {
        let stage = try CommandStage()
        let (monitor, other) = (stage.file("a.qmp"), stage.file("b.qmp"))
        try Data().write(to: URL(fileURLWithPath: monitor))
        try FileManager.default.createSymbolicLink(atPath: other, withDestinationPath: monitor)
        let said = try await refusal(stage, ["guest", "--from", monitor, "--to", other])
        #expect(said.contains("one socket"), "\(said)")
    }

    @Test("a guest that the machine has no room for is refused at once, with what there is")
    func noRoom() async throws {
        let said = try await refusal(try CommandStage(), ["bench", "--memory", "4T"])
        #expect(said.contains(try Regex("[0-9.]+ [MGT]iB are available")), "\(said)")
    }

    @Test("without the guest's program the bench says where it looked and what makes it")
    func noGuest() async throws {
        let folder = try LabSupport.TemporaryFolder()
        let copy = folder.file("roost")
        try FileManager.default.copyItem(atPath: RoostProgram.locate(), toPath: copy)
        let program = try ChildProcess(copy, ["migrate", "bench", "--memory", "1M"])
        #expect(try await program.exit() == 1)
        #expect(
            program.text == "Error: the guest's program is not at \(folder.file("stamped-guest")): "
                + "build it beside roost (make build), or install both (make install)")
    }

    @Test("a guest that is given up in its first round gets no advice that was not measured")
    func firstRound() async throws {
        let said = try await refusal(
            try CommandStage(),
            ["bench", "--memory", "32M", "--max-bandwidth", "4M", "--timeout", "1", "--quiet"])
        #expect(said.contains("still in the first round"), "\(said)")
        #expect(said.contains("what the guest dirties is not known yet"), "\(said)")
        #expect(!said.contains("downtime"), "\(said)")
        #expect(said.contains("none lost, none repeated"), "\(said)")
    }

    @Test("the downtime that is advised is enough")
    func advice() async throws {
        let stage = try CommandStage()
        let bench = [
            "bench", "--memory", "8M", "--hot", "50", "--writes", "0", "--max-bandwidth", "16M",
            "--max-rounds", "6", "--quiet", "--downtime",
        ]
        let said = try await refusal(stage, bench + ["1"])
        let advised = try #require(
            said.firstMatch(of: /more downtime \(some ([0-9]+) ms\)/), "\(said)")
        let run = try await stage.run(["migrate"] + bench + [String(advised.1)])
        #expect(run.status == 0, "\(said)\n\(run.errors)")
    }

    @Test("progress is told on standard error, and not when quiet")
    func quiet() async throws {
        let stage = try CommandStage()
        let bench = [
            "migrate", "bench", "--memory", "32M", "--max-bandwidth", "10M", "--writes", "10",
        ]
        let told = try await stage.run(bench)
        #expect(told.status == 0)
        #expect(told.errors.contains("MiB/s") && told.errors.contains("round "), "\(told.errors)")
        #expect(!told.errors.contains("MB"), "\(told.errors)")
        let quiet = try await stage.run(bench + ["--quiet"])
        #expect(quiet.status == 0 && quiet.errors.isEmpty, "\(quiet.errors)")
    }
}
