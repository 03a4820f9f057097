import Foundation
import LabSupport
import RoostMigration
import RoostSystem

/// The two QEMUs of the demonstration.
struct Stage {
    let source: LabQEMU
    let destination: LabQEMU

    /// Boots the guest, and starts the QEMU that it is to move to.
    static func prepare() async throws -> Stage {
        say("roost: \(try RoostProgram.locate())")
        var configuration = LabQEMU.Configuration(binary: try LabAssets.locateGuest().qemu)
        configuration.kernelWords = LabQEMU.busyGuest
        configuration.sharesMemory = true
        let source = try await LabQEMU("source", configuration)
        configuration.waits = true
        // It loads the guest and does not start it, so that memories can be compared.
        configuration.stopped = true
        let destination = try await LabQEMU("destination", configuration)
        say(
            "source and destination: QEMU \(source.control.version), q35, "
                + "\(configuration.memoryKiB) KiB, TCG; the guest's Linux boots")
        let turn = try await source.counter()
        say("the guest counts (\(turn)): each turn checks and rewrites 512 pages\n")
        return Stage(source: source, destination: destination)
    }

    func close() async throws {
        try await source.close()
        try await destination.close()
    }

    // MARK: The live move

    /// Moves the guest, shows how it goes, and proves that it arrived as it was.
    func move() async throws {
        say("live move: source QEMU → roost migrate relay ⇒ roost migrate receive → destination")
        let path = try await RelayPath(to: destination.listen(), records: false)
        let migration = try await path.migrate(
            source, capabilities: ["xbzrle"],
            bandwidth: 40 << 20)
        let watching = Task { await watch() }
        defer { watching.cancel() }
        // Held to a slow link until the sixth round, so that there are rounds to be seen.
        try await migration.reach(round: 2)
        try await migration.narrow(to: 2 << 20)
        try await migration.reach(round: 6)
        say("  the sixth round: now the rest may go at once")
        try await migration.hurry()
        try await migration.complete()
        watching.cancel()
        await watching.value
        let moved = try await path.succeed()
        try await destination.status("paused")
        let held = ContinuousClock.now
        try compareMemory("the destination QEMU's RAM", destination.memoryFile)
        try await destination.cont()
        let heldFor = held.duration(to: .now)
        try compareMemory("the relay's copy", path.dump("relay"))
        try compareMemory("receive's copy", path.dump("receive"))
        let report = try await source.control.execute("query-migrate")
        try await compareCounters()
        printTable(report, moved.relay, moved.receive, heldFor)
    }

    /// Prints a line of progress several times a second.
    private func watch() async {
        while !Task.isCancelled {
            if let now = try? await source.control.execute("query-migrate"),
                now["status"]?.string == "active"
            {
                func count(_ name: String) -> UInt64 { now["ram"]?[name]?.unsignedInteger ?? 0 }
                let elapsed = Duration.milliseconds(now["total-time"]?.signedInteger ?? 0)
                say(
                    "  \(decimal(elapsed, 1)) s  round \(count("dirty-sync-count"))  "
                        + "sent \(bytes(count("transferred")))  "
                        + "remaining \(bytes(count("remaining")))  "
                        + "the guest counts \(source.counted.last ?? 0)")
            }
            try? await Task.sleep(for: .milliseconds(500))
        }
    }

    private func compareMemory(_ name: String, _ file: String) throws {
        let byteCount = try MemoryFiles.byteCount(source.memoryFile)
        let differing = try MemoryFiles.differingPages(source.memoryFile, file)
        try prove(
            differing.isEmpty,
            "\(name) is identical to the stopped source's RAM, all \(byteCount) bytes compared"
                + (differing.isEmpty ? "" : " (\(differing.count) pages differ)"))
    }

    private func compareCounters() async throws {
        guard let last = source.counted.last else { throw Unproved("the guest counted") }
        let first = try await destination.counter()
        try prove(
            first > last,
            "the guest goes on: last at the source \(last), first at the "
                + "destination \(first)")
        // Each turn finds in every page the number of the turn before, or says CORRUPT.
        let end = try await destination.counter(atLeast: first + 100)
        let corrupt = source.corruptPages.count + destination.corruptPages.count
        try prove(
            corrupt == 0,
            "no number lost up to \(end): each turn found the one before it in all its pages")
    }

    private func printTable(
        _ report: JSONValue, _ relay: JSONValue, _ receive: JSONValue, _ held: Duration
    ) {
        func milliseconds(_ name: String) -> Int64 { report[name]?.signedInteger ?? 0 }
        func count(_ side: JSONValue, _ name: String) -> UInt64 {
            side[name]?.unsignedInteger ?? 0
        }
        let rows = [
            ("total time", "\(decimal(.milliseconds(milliseconds("total-time")), 2)) s"),
            ("downtime, as QEMU reports it", "\(milliseconds("downtime")) ms"),
            ("held by this demonstration to compare", "\(decimal(held * 1000, 0)) ms"),
            ("rounds", "\(report["ram"]?["dirty-sync-count"]?.unsignedInteger ?? 0)"),
            ("guest's memory", bytes(count(relay, "memoryBytes"))),
            ("bytes in, QEMU's stream", bytes(count(relay, "streamBytes"))),
            ("bytes on Roost's wire", bytes(count(relay, "wireBytes"))),
            ("bytes out, QEMU's stream", bytes(count(receive, "streamBytes"))),
            ("pages zero", "\(count(relay, "zeroPages"))"),
            ("pages plain", "\(count(relay, "plainPages"))"),
            ("pages xbzrle", "\(count(relay, "deltaPages"))"),
            ("pages compressed", "\(count(relay, "compressedPages"))"),
            ("pages unchanged, not sent", "\(count(relay, "unchangedPages"))"),
        ]
        say("")
        for (name, value) in rows {
            let name = name.padding(toLength: 40, withPad: " ", startingAt: 0)
            say("  \(name)\(String(repeating: " ", count: max(0, 12 - value.count)))\(value)")
        }
        say("")
    }

    // MARK: The stored stream

    /// Stores the running guest as a stream through Roost, verifies it and draws its map.
    func store(in output: String) async throws {
        say("live save: destination QEMU → roost migrate relay ⇒ roost migrate receive → file")
        let (name, picture) = ("live-guest.stream", "pages.svg")
        try FileManager.default.createDirectory(
            atPath: output, withIntermediateDirectories: true)
        // What an earlier demonstration left.
        for file in [name, picture] {
            let old = "\(output)/\(file)"
            if FileManager.default.fileExists(atPath: old) {
                try FileManager.default.removeItem(atPath: old)
            }
        }
        let path = try await RelayPath(
            to: nil, file: URL(fileURLWithPath: "\(output)/\(name)").path)
        let migration = try await path.migrate(
            destination, capabilities: ["xbzrle"],
            bandwidth: 40 << 20)
        try await migration.reach(round: 2)
        try await migration.narrow(to: 2 << 20)
        try await migration.reach(round: 5)
        try await migration.hurry()
        try await migration.complete()
        _ = try await path.succeed()
        let verify = try await stream(["verify", name], in: output)
        try prove(verify.contains("sound"), verify)
        say(try await stream(["inspect", name, "--plot", picture], in: output))
        say("the guest's stream: \(output)/\(name)")
        say("the map of its pages: \(output)/\(picture)")
    }

    /// Runs `roost stream` in a folder, so that files have short names.
    private func stream(_ words: [String], in folder: String) async throws -> String {
        let roost = try ChildProcess(
            "/usr/bin/env",
            ["--chdir=\(folder)", RoostProgram.locate(), "stream"] + words,
            name: "roost stream")
        try await roost.succeed()
        return roost.output
    }
}
