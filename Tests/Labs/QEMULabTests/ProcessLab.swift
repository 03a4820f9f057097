import Foundation
import LabSupport
import RoostMigration
import Testing
import TestSupport

/// Guests that are plain processes, moved by the `roost` binary: every page of them proves that no
/// write was lost and none was done twice.
@Suite(.serialized, .tags(.lab), .timeLimit(.minutes(5)))
struct ProcessLab {
    /// Where the runs of a test have their guests' sockets.
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    /// Starts the bench, with its guests' sockets in the test's folder.
    private func start(_ arguments: [String]) throws -> ChildProcess {
        try ChildProcess(
            "/usr/bin/env",
            ["TMPDIR=\(folder.path)", RoostProgram.locate(), "migrate", "bench"] + arguments,
            name: "roost migrate bench")
    }

    /// Runs the bench and expects its guest to be right at the end.
    private func bench(_ arguments: [String]) async throws -> JSONValue {
        let program = try start(["--json"] + arguments)
        try await program.succeed()
        let report = try program.json()
        let found = try #require(report["verification"])
        #expect(found["ok"] == true && found["lost"] == 0 && found["repeated"] == 0)
        return report
    }

    /// Expects that nothing of a run is left: no guest, no file and no control group of a guest that
    /// has ended; other runs of this machine may have theirs.
    private func expectNothingLeft() throws {
        let files = FileManager.default
        let root = "/sys/fs/cgroup"
        let groups = try files.contentsOfDirectory(atPath: root).flatMap { name in
            (try? files.contentsOfDirectory(atPath: "\(root)/\(name)")) ?? []
        }
        let left = groups.filter { $0.hasPrefix("roost-") }.filter { name in
            !files.fileExists(atPath: "/proc/\(name.dropFirst("roost-".count))")
        }
        #expect(left == [])
        #expect(try files.contentsOfDirectory(atPath: folder.path) == [])
        let guests = try files.contentsOfDirectory(atPath: "/proc").filter { name in
            let line = files.contents(atPath: "/proc/\(name)/cmdline") ?? Data()
            return String(decoding: line, as: UTF8.self).contains("\(folder.path)/")
        }
        #expect(guests == [])
    }

    @Test(
        "MIG-2 MIG-9 a busy process is moved twice, whichever tracker finds its writes",
        arguments: ["wp-async", "wp-sync", "shadow"])
    func trackers(tracker: String) async throws {
        try await LabClock.measure("process by \(tracker)") {
            let report = try await bench([
                "--memory", "32M", "--writes", "0", "--moves", "2", "--digests", "--tracker",
                tracker,
            ])
            let moves = try #require(report["moves"]?.array)
            #expect(moves.count == 2)
            for move in moves {
                #expect(move["tracker"]?.string == tracker)
                #expect(move["destination"]?["isVerified"] == true)
            }
        }
    }

    @Test(
        "MIG-2 to MIG-9 whatever a process writes and however it is sent, its memory arrives",
        arguments: UInt64(0)..<12)
    func anyWay(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        func pick<Value>(_ values: Value...) -> Value {
            values[Int.random(in: 0..<values.count, using: &random)]
        }
        var arguments = [
            "--memory", pick("1M", "3M", "16M", "40M"), "--hot", pick("1", "20", "100"),
            "--writes", pick("0", "3000", "40000"), "--bytes", pick("1", "64", "4096"),
            "--content", pick("random", "text", "sparse"), "--tracker",
            pick("wp-async", "wp-sync", "shadow"), "--downtime", pick("20", "300"), "--dialect",
            pick("qemu72", "qemu2015"), "--max-rounds", "30", "--digests",
        ]
        arguments += pick([], ["--xbzrle-cache", pick("4K", "1M", "64M")])
        arguments += pick(
            [],
            [
                "--compress-threads", pick("1", "3"), "--compress-level", pick("0", "1", "9"),
                "--decompress-threads", pick("0", "2"),
            ])
        arguments += pick([], ["--max-bandwidth", "64M"])
        let program = try start(arguments)
        let status = try await program.exit()
        // A guest that dirties too fast stays where it was, as sound as one that moved.
        #expect(status == 0 || program.text.contains("does not converge"), "\(arguments)")
        #expect(program.text.contains("none lost, none repeated"), "\(program.text)")
        #expect(status != 0 || program.text.contains("equal"))
        try expectNothingLeft()
    }

    @Test("MIG-4 MIG-6 MIG-10 deltas follow a compressed first round")
    func dialects() async throws {
        try await LabClock.measure("process by xbzrle and zlib") {
            let report = try await bench([
                "--memory", "32M", "--content", "text", "--bytes", "16", "--writes", "5000",
                "--max-bandwidth", "16M", "--downtime", "2", "--xbzrle-cache", "16M",
                "--compress-threads", "2", "--digests",
            ])
            let move = try #require(report["moves"]?.array?.first)
            let (source, loaded) = (move["qemu"], move["destination"])
            #expect(try #require(source?["ram"]?["dirty-sync-count"]?.unsignedInteger) > 2)
            #expect(try #require(source?["xbzrle-cache"]?["pages"]?.unsignedInteger) > 0)
            #expect(try #require(source?["compression"]?["pages"]?.unsignedInteger) > 0)
            #expect(
                source?["ram"]?["transferred"]?.unsignedInteger
                    == loaded?["streamBytes"]?.unsignedInteger)
        }
    }

    @Test("MIG-8 a guest that does not converge is given up with both rates, and runs on")
    func verdict() async throws {
        try await LabClock.measure("process that does not converge") {
            let program = try start([
                "--memory", "16M", "--hot", "50", "--writes", "0",
                "--max-bandwidth", "16M", "--downtime", "1", "--max-rounds", "3",
            ])
            #expect(try await program.exit() == 1)
            #expect(program.text.contains("does not converge after 3 rounds: dirties "))
            #expect(program.text.contains("link carries "))
            #expect(program.text.contains("none lost, none repeated"))
            try expectNothingLeft()
        }
    }

    @Test(
        "MIG-7 auto-converge takes processor time, and gives it back",
        arguments: ["stop-cycle", "cgroup-v1"])
    func autoConverge(throttle: String) async throws {
        guard
            throttle != "cgroup-v1"
                || FileManager.default.isWritableFile(
                    atPath: "/sys/fs/cgroup/cpu/cgroup.procs")
        else { return }
        try await LabClock.measure("process slowed down by \(throttle)") {
            let program = try start([
                "--memory", "16M", "--hot", "50", "--writes", "0",
                "--max-bandwidth", "16M", "--downtime", "1", "--timeout", "5",
                "--auto-converge", "--throttle", throttle,
            ])
            #expect(try await program.exit() == 1)
            #expect(program.text.contains("more time (auto-converge takes "))
            #expect(program.text.contains("none lost, none repeated"))
            try expectNothingLeft()
        }
    }

    @Test("MIG-9 Ctrl-C ends the bench and its guests")
    func interrupted() async throws {
        try await LabClock.measure("process interrupted") {
            let program = try start([
                "--memory", "64M", "--max-bandwidth", "4M",
            ])
            try await program.line { $0.contains("active") }
            program.signal(SIGINT)
            #expect(try await program.exit() == 1)
            #expect(program.text.contains("the bench was stopped"))
            try expectNothingLeft()
        }
    }
}
