import Foundation
import LabSupport
import RoostMigration
import RoostSystem
import Testing

/// Real QEMUs, and between them the `roost` binary as people run it.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: LabAssets.missing.isEmpty, "\(LabAssets.missing)"))
struct RelayLab {
    let assets: LabAssets
    /// Of the firmware that the laboratory's quickest guest is.
    let tinyFolder: TemporaryFolder
    let firmware: String

    init() async throws {
        BrokenPipes.ignore()
        assets = try LabAssets.locate()
        tinyFolder = try TemporaryFolder()
        firmware = try await TinyGuest.build(in: tinyFolder)
    }

    /// A QEMU with the tiny guest, or one that waits for it.
    func tiny(
        _ name: String, waits: Bool = false, stopped: Bool = false, binary: String? = nil,
        machine: String = "q35", memoryKiB: Int = TinyGuest.memoryKiB
    ) async throws -> LabQEMU {
        var configuration = LabQEMU.Configuration(binary: binary ?? assets.qemu)
        configuration.machine = machine
        configuration.memoryKiB = memoryKiB
        configuration.firmware = firmware
        configuration.sharesMemory = true
        configuration.waits = waits
        configuration.stopped = stopped
        let qemu = try await LabQEMU(name, configuration)
        if !waits { try await qemu.go() }
        return qemu
    }

    /// Expects the stopped source's memory, as its QEMU sent it, to be the same at every place that
    /// knows it.
    ///
    /// - Parameters:
    ///   - source: Where the guest was.
    ///   - destination: Where it is.
    ///   - path: Between them, with what the source sent.
    ///   - reference: Starts a QEMU like the destination, should the source have lost pages.
    /// - Returns: The memory that was sent.
    /// - Throws: `LabError` when a QEMU does not do its part.
    func expectIdenticalMemory(
        _ source: LabQEMU, _ destination: LabQEMU, _ path: RelayPath,
        reference: () async throws -> LabQEMU
    ) async throws -> SentMemory {
        try await destination.status("paused")
        let sent = try await SentMemory(
            of: source, arrived: destination.memoryFile,
            recording: try #require(path.source).recording, reference: reference)
        for other in [destination.memoryFile, path.dump("relay"), path.dump("receive")] {
            let differing = try MemoryFiles.differingPages(sent.file, other)
            #expect(differing == [], "\(differing.count) pages differ: \(other)")
        }
        return sent
    }

    /// Expects that what a destination got has none of the source's dialects, and that what went
    /// over the wire is no QEMU stream.
    ///
    /// - Returns: What the destination got.
    @discardableResult
    func expectNoPipe(_ path: RelayPath) throws -> StreamReport {
        let stream = try #require(path.stream)
        let report = try StreamTools.inspect(path: stream.recording) { _ in }.report
        #expect(report.memory.xbzrle.pages == 0 && report.memory.compressed.pages == 0)
        #expect(report.memory.plain.pages > 0 && report.memory.zero.pages > 0)
        #expect(report.trailingByteCount == 0)
        let wire = try #require(path.wire)
        #expect(try !MemoryFiles.contains("QEVM", in: wire.recording))
        return report
    }

    // MARK: Moves

    @Test(
        "MIG-13: A Linux guest moves live through relay and receive, from XBZRLE to plain pages")
    func xbzrle() async throws {
        try await LabClock.measure("relay Linux, xbzrle") {
            var configuration = LabQEMU.Configuration(binary: assets.qemu)
            configuration.kernelWords = LabQEMU.busyGuest
            configuration.sharesMemory = true
            let source = try await LabQEMU("source", configuration)
            configuration.waits = true
            configuration.stopped = true
            let destination = try await LabQEMU("destination", configuration)
            let path = try await RelayPath(to: destination.listen(), recordsSource: true)
            try await source.counter()

            let migration = try await path.migrate(
                source, capabilities: ["xbzrle"],
                bandwidth: 40 << 20)
            // The second round fills QEMU's cache, from the third on deltas travel.
            try await migration.reach(round: 2)
            try await migration.narrow(to: 2 << 20)
            try await migration.reach(round: 6)
            try await migration.hurry()
            try await migration.complete()
            let moved = try await path.succeed()

            let waiting = configuration
            let sent = try await expectIdenticalMemory(source, destination, path) {
                try await LabQEMU("reference", waiting)
            }
            try await sent.close()
            let report = try expectNoPipe(path)
            #expect(report.memory.rounds >= 4)
            #expect(moved.relay.pages("delta") > 0 && moved.relay.pages("plain") > 0)
            #expect(moved.relay.pages("zero") > 0)
            #expect(moved.relay.pages("delta") == moved.receive.pages("delta"))
            let wire = try #require(path.wire)
            let wireByteCount = try MemoryFiles.byteCount(wire.recording)
            #expect(moved.relay["wireBytes"]?.unsignedInteger == wireByteCount)
            print("relay:", try String(decoding: moved.relay.json(), as: UTF8.self))

            let last = try #require(source.counted.last)
            try await destination.cont()
            let first = try await destination.counter()
            #expect(first > last)
            // Far enough for the guest to have looked at every page it keeps.
            try await destination.counter(atLeast: first + 50)
            #expect(source.corruptPages == [])
            // What QEMU itself did not send, the guest misses as well.
            #expect(destination.corruptPages == [] || !sent.lostPages.isEmpty)
            print("counter: \(last) at the source, then \(first) at the destination")
            try await source.close()
            try await destination.close()
        }
    }

    @Test("MIG-12: Compressed pages of a real QEMU arrive at another one as plain pages")
    func compressed() async throws {
        try await LabClock.measure("relay compress") {
            let moved = try await moveTinyGuest(capabilities: ["compress"])
            #expect(moved.relay.pages("compressed") > 0)
            #expect(moved.relay.pages("delta") == 0)
        }
    }

    @Test("MIG-13: roost migrate guest moves a Linux guest by both monitors, and reports it")
    func guest() async throws {
        try await LabClock.measure("relay migrate guest") {
            var configuration = LabQEMU.Configuration(binary: assets.qemu)
            let source = try await LabQEMU("source", configuration)
            configuration.waits = true
            let destination = try await LabQEMU("destination", configuration)
            try await source.counter()
            let roost = try RoostProgram.start([
                "migrate", "guest", "--from", source.monitorPath, "--to", destination.monitorPath,
                "--xbzrle-cache", "64M", "--max-bandwidth", "200M", "--downtime", "300",
                "--timeout", "120", "--json",
            ])
            try await roost.succeed(within: .seconds(150))
            let report = try roost.json()
            #expect(report["sourceStatus"] == "postmigrate")
            #expect(report["destinationStatus"] == "running")
            #expect((report["iterations"]?.unsignedInteger ?? 0) >= 2)
            let total = report["totalMilliseconds"]?.unsignedInteger ?? 0
            let downtime = report["downtimeMilliseconds"]?.unsignedInteger ?? .max
            #expect(total > 0 && downtime <= total)
            let relay = try #require(report["relay"])
            #expect((relay["memoryBytes"]?.unsignedInteger ?? 0) >= 262_208 << 10)
            #expect(relay.pages("plain") > 0 && relay.pages("zero") > 0)
            #expect(report["receiver"]?["wireBytes"] == relay["wireBytes"])
            #expect(try await source.status() == "postmigrate")
            let last = try #require(source.counted.last)
            let first = try await destination.counter(atLeast: last + 1)
            try await destination.counter(atLeast: first + 50)
            #expect(source.corruptPages == [] && destination.corruptPages == [])
            try await source.close()
            try await destination.close()
        }
    }

    @Test("MIG-12: A guest moves between QEMU 7.2 and 10.0 through a relay", arguments: Move.all)
    func versions(_ move: Move) async throws {
        try await LabClock.measure("relay \(move.testDescription)") {
            let moved = try await moveTinyGuest(
                from: move.source, to: move.destination, machine: move.machine,
                capabilities: move.capabilities, answers: move.answers)
            #expect((moved.relay.pages("delta") > 0) == move.capabilities.contains("xbzrle"))
            #expect(
                (moved.relay.pages("compressed") > 0) == move.capabilities.contains("compress"))
            #expect(moved.stream.machineType == move.machine)
            // QEMU 10.0 says when it switches over, for machines of its own version.
            #expect(
                moved.stream.commands.contains("SWITCHOVER_START")
                    == move.machine.hasSuffix("10.0"))
        }
    }

    /// A move of the tiny guest between two versions of QEMU.
    struct Move: Sendable, CustomTestStringConvertible {
        var source = "7.2"
        var destination = "7.2"
        var machine = "pc-q35-7.2"
        var capabilities = ["xbzrle"]
        /// Whether the return path is on.
        var answers = true

        var testDescription: String {
            let words = capabilities + (answers ? ["return-path"] : [])
            return "\(source) to \(destination), \(machine), \(words.joined(separator: "+"))"
        }

        /// A few; with ROOST_LAB_MATRIX=1 every dialect between every two versions.
        static var all: [Move] {
            let few = [
                Move(destination: "10.0"), Move(source: "10.0"),
                Move(source: "10.0", destination: "10.0", machine: "pc-q35-10.0"),
            ]
            guard ProcessInfo.processInfo.environment["ROOST_LAB_MATRIX"] == "1" else {
                return few
            }
            var all = few
            for source in ["7.2", "10.0"] {
                // The capability compress ended with QEMU 9.0.
                let dialects =
                    source == "7.2"
                    ? [[], ["xbzrle"], ["compress"], ["compress", "xbzrle"]] : [[], ["xbzrle"]]
                for capabilities in dialects {
                    for (destination, answers) in [
                        ("7.2", true), ("7.2", false), ("10.0", true), ("10.0", false),
                    ] {
                        all.append(
                            Move(
                                source: source, destination: destination,
                                capabilities: capabilities, answers: answers))
                    }
                }
            }
            return all
        }
    }

    /// Moves a tiny guest that writes all the time, and proves what every such move must hold.
    ///
    /// - Returns: What the relay says, and what the destination got.
    func moveTinyGuest(
        from sourceVersion: String = "7.2", to destinationVersion: String = "7.2",
        machine: String = "q35", capabilities: [String] = [], answers: Bool = true
    ) async throws -> (relay: JSONValue, stream: StreamReport) {
        func binary(_ version: String) -> String {
            version == "7.2" ? assets.qemu : assets.qemu10
        }
        func waiting(_ name: String) async throws -> LabQEMU {
            try await tiny(
                name, waits: true, stopped: true, binary: binary(destinationVersion),
                machine: machine)
        }
        let source = try await tiny("source", binary: binary(sourceVersion), machine: machine)
        let destination = try await waiting("destination")
        let path = try await RelayPath(to: destination.listen(), recordsSource: true)
        // A round has to last longer than the tenth of a second by which QEMU counts bytes, or the
        // guest has had no time to write when QEMU looks again. So small pages want a slow link.
        let bandwidth: UInt64 =
            switch (capabilities.contains("compress"), capabilities.contains("xbzrle")) {
            case (false, false): 700_000
            case (false, true): 150_000
            case (true, false): 20_000
            case (true, true): 100_000
            }
        let migration = try await path.migrate(
            source, capabilities: capabilities, answers: answers, bandwidth: bandwidth)
        try await migration.reach(round: 5)
        try await migration.hurry()
        try await migration.complete()
        let moved = try await path.succeed()

        let sent = try await expectIdenticalMemory(source, destination, path) {
            let reference = try await waiting("reference")
            if capabilities.contains("compress") {
                try await reference.control.execute(
                    "migrate-set-capabilities",
                    ["capabilities": [["capability": "compress", "state": true]]])
            }
            return reference
        }
        let report = try expectNoPipe(path)
        #expect(report.memory.rounds >= 3)
        let last = try source.lastTurn()
        #expect(try destination.lastTurn() == TinyGuest.turn(in: sent.file))
        try await sent.close()
        try await destination.cont()
        try await destination.turn(after: last)
        #expect(try source.lastTurn() == last)
        try await source.close()
        try await destination.close()
        return (moved.relay, report)
    }
}

extension JSONValue {
    /// How many pages of a kind a relay or a receiver counted.
    func pages(_ kind: String) -> UInt64 { self["\(kind)Pages"]?.unsignedInteger ?? 0 }
}
