import LabSupport
import RoostMigration
import RoostSystem
import Synchronization
import SystemPackage
import Testing

extension Tag {
    /// Needs a real QEMU and the guest that `Tests/Labs/qemu/prepare.sh` makes.
    @Tag static var lab: Self
}

/// Two QEMUs, a guest that counts in the first, and monitors as a tool has them.
private struct Pair {
    let source: LabQEMU
    let destination: LabQEMU
    let here: QMPClient
    let there: QMPClient

    init(sourceBoots: Bool = true, destinationWaits: Bool = true) async throws {
        let assets = try LabAssets.locate()
        var configuration = LabQEMU.Configuration(binary: assets.qemu)
        configuration.boots = sourceBoots
        source = try await LabQEMU("source", configuration)
        configuration.waits = destinationWaits
        destination = try await LabQEMU("destination", configuration)
        here = try await source.connect()
        there = try await destination.connect()
    }

    func move(
        _ options: GuestMoveOptions,
        progress: @escaping @Sendable (GuestMoveProgress) -> Void = { _ in }
    ) async throws -> GuestMoveReport {
        let (near, far) = try StreamSocket.pair()
        return try await GuestMove(from: here, to: there, options: options)
            .run(sourceStream: near, destinationStream: far, progress: progress)
    }

    func close() async throws {
        await here.close()
        await there.close()
        try await source.close()
        try await destination.close()
    }
}

@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: LabAssets.missing.isEmpty, "\(LabAssets.missing)"))
struct MonitorLab {
    init() { BrokenPipes.ignore() }

    @Test("A real monitor greets, answers, and refuses what it does not know")
    func handshake() async throws {
        try await LabClock.measure("monitor handshake") {
            var configuration = LabQEMU.Configuration(binary: try LabAssets.locate().qemu)
            configuration.boots = false
            configuration.stopped = true
            let qemu = try await LabQEMU("qemu", configuration)
            #expect(qemu.control.version.hasPrefix("7.2"))
            #expect(try await qemu.status() == "prelaunch")
            let events = qemu.control.events()
            try await qemu.cont()
            var names: [String] = []
            for await event in events {
                names.append(event.name)
                if event.name == "RESUME" { break }
            }
            #expect(names.contains("RESUME"))
            let error = await #expect(throws: MigrationError.self) {
                try await qemu.control.execute("make-coffee")
            }
            #expect(error?.kind == .peer)
            #expect(error?.description.contains("CommandNotFound") == true)

            // A monitor serves one client at a time; the second is told so.
            let first = try await qemu.connect()
            let second = await #expect(throws: MigrationError.self) {
                try await QMPClient.connect(to: qemu.monitor, timeout: .milliseconds(200))
            }
            #expect(second?.kind == .timeout)
            await first.close()

            qemu.child.signal(9)
            try await qemu.child.exit()
            await #expect(throws: MigrationError.self) { try await qemu.status() }
        }
    }

    @Test("A guest moves from one QEMU to the other and counts on, every page as it was")
    func wholeMove() async throws {
        try await LabClock.measure("monitor whole move") {
            let pair = try await Pair()
            let before = try await pair.source.counter()
            let seen = Mutex<[GuestMoveProgress]>([])
            let report = try await pair.move(
                GuestMoveOptions(
                    maxBandwidth: 200 << 20, downtimeLimit: .milliseconds(300), autoConverge: true,
                    xbzrleCacheSize: 64 << 20, timeout: .seconds(120))
            ) { progress in seen.withLock { $0.append(progress) } }
            print("move:", report)
            #expect(report.sourceStatus == "postmigrate")
            #expect(report.destinationStatus == "running")
            #expect(report.iterations >= 2)
            #expect(report.totalByteCount >= 262_208 << 10)
            #expect(report.normalPages > 0 && report.duplicatePages > 0)
            #expect(report.totalTime > .zero && report.totalTime >= report.downtime)
            #expect(report.xbzrle?.cacheByteCount == 64 << 20)
            let after = try await pair.destination.counter(atLeast: before + 1)
            // Again, so that every stamped page was looked at after the move.
            try await pair.destination.counter(atLeast: after + 50)
            #expect(pair.destination.corruptPages.isEmpty)
            let progress = seen.withLock { $0 }
            #expect(progress.contains { $0.status == "active" && $0.remainingByteCount > 0 })
            #expect(progress.last?.status == "completed")

            // What was changed at the source is as it was.
            let capabilities = try await pair.here.execute("query-migrate-capabilities").array
            #expect(capabilities?.allSatisfy { $0["state"] == false } == true)
            let parameters = try await pair.here.execute("query-migrate-parameters")
            #expect(parameters["max-bandwidth"] == 134_217_728)

            // The source's guest is gone, which a second move is told.
            let error = await #expect(throws: MigrationError.self) {
                try await pair.move(GuestMoveOptions())
            }
            #expect(error?.kind == .peer)
            try await pair.close()
        }
    }

    @Test("A cancelled move leaves the source running and counting, and can be tried again")
    func cancelled() async throws {
        try await LabClock.measure("monitor cancel") {
            let pair = try await Pair()
            try await pair.source.counter()
            let (active, isActive) = AsyncStream<Void>.makeStream()
            let task = Task {
                try await pair.move(GuestMoveOptions(maxBandwidth: 1 << 20)) { progress in
                    if progress.transferredByteCount > 0 { isActive.yield() }
                }
            }
            for await _ in active { break }
            task.cancel()
            let result = await task.result
            let error = #expect(throws: MigrationError.self) { try result.get() }
            #expect(error?.kind == .cancelled)
            #expect(error?.description.contains("the guest runs on at the source") == true)
            #expect(try await pair.source.status() == "running")
            try await pair.source.counter()
            // A QEMU whose guest never came ends.
            #expect(try await pair.destination.child.exit() != 0)

            var waiting = LabQEMU.Configuration(binary: try LabAssets.locate().qemu)
            waiting.waits = true
            let other = try await LabQEMU("other destination", waiting)
            let (near, far) = try StreamSocket.pair()
            let there = try await other.connect()
            let report = try await GuestMove(
                from: pair.here, to: there, options: .init(maxBandwidth: 1 << 30)
            ).run(sourceStream: near, destinationStream: far)
            #expect(report.destinationStatus == "running")
            try await other.counter()
            #expect(other.corruptPages.isEmpty)
            await there.close()
            try await other.close()
            try await pair.close()
        }
    }

    @Test("A move that does not end in time is given up, and the source runs on")
    func timeout() async throws {
        try await LabClock.measure("monitor timeout") {
            let pair = try await Pair()
            try await pair.source.counter()
            let error = await #expect(throws: MigrationError.self) {
                try await pair.move(GuestMoveOptions(maxBandwidth: 1 << 20, timeout: .seconds(1)))
            }
            #expect(error?.kind == .timeout)
            #expect(error?.description.contains("the guest runs on at the source") == true)
            #expect(try await pair.source.status() == "running")
            try await pair.source.counter()
            try await pair.close()
        }
    }

    @Test("A destination that dies on the way is told, and the source runs on")
    func destinationDies() async throws {
        try await LabClock.measure("monitor destination dies") {
            let pair = try await Pair()
            try await pair.source.counter()
            let destination = pair.destination.child
            let error = await #expect(throws: MigrationError.self) {
                try await pair.move(GuestMoveOptions(maxBandwidth: 1 << 20)) { progress in
                    if progress.transferredByteCount > 0 { destination.signal(9) }
                }
            }
            #expect(error?.kind == .peer)
            #expect(error?.description.contains("the guest runs on at the source") == true)
            try await pair.source.counter()
            try await pair.close()
        }
    }

    @Test("A source that dies on the way is told, and nothing runs at the destination")
    func sourceDies() async throws {
        try await LabClock.measure("monitor source dies") {
            let pair = try await Pair()
            try await pair.source.counter()
            let source = pair.source.child
            let error = await #expect(throws: MigrationError.self) {
                try await pair.move(GuestMoveOptions(maxBandwidth: 1 << 20)) { progress in
                    if progress.transferredByteCount > 0 { source.signal(9) }
                }
            }
            #expect(error?.kind == .peer)
            #expect(error?.description.contains("the source cannot be asked about it") == true)
            #expect(try await pair.destination.child.exit() != 0)
            try await pair.close()
        }
    }

    @Test("What cannot work is refused before anything is touched")
    func refusals() async throws {
        try await LabClock.measure("monitor refusals") {
            let pair = try await Pair(sourceBoots: false, destinationWaits: false)
            let busy = await #expect(throws: MigrationError.self) {
                try await pair.move(GuestMoveOptions())
            }
            #expect(busy?.description.contains("start it with -incoming defer") == true)
            #expect(try await pair.source.status() == "running")

            let undriven = await #expect(throws: MigrationError.self) {
                try await pair.move(GuestMoveOptions(capabilities: ["postcopy-ram"]))
            }
            #expect(undriven?.kind == .unsupported)
            try await pair.close()

            // Another machine and other RAM.
            var waiting = LabQEMU.Configuration(binary: try LabAssets.locate().qemu)
            waiting.boots = false
            let source = try await LabQEMU("source", waiting)
            waiting.waits = true
            for (machine, memoryKiB, what) in [
                ("pc", 262_208, "machine type"), ("q35", 131_136, "RAM size"),
            ] {
                waiting.machine = machine
                waiting.memoryKiB = memoryKiB
                let other = try await LabQEMU("other", waiting)
                let (near, far) = try StreamSocket.pair()
                let differs = await #expect(throws: MigrationError.self) {
                    try await GuestMove(from: source.control, to: other.control)
                        .run(sourceStream: near, destinationStream: far)
                }
                #expect(differs?.kind == .mismatch)
                #expect(differs?.description.contains(what) == true)
                try await other.close()
            }

            // An unknown capability and a refused parameter leave the guest and settings alone.
            waiting.machine = "q35"
            waiting.memoryKiB = 262_208
            let other = try await LabQEMU("other", waiting)
            let bad = [
                GuestMoveOptions(capabilities: ["teleport"]),
                GuestMoveOptions(xbzrleCacheSize: 5000),
                GuestMoveOptions(downtimeLimit: .seconds(5000)),
            ]
            for options in bad {
                let (near, far) = try StreamSocket.pair()
                let error = await #expect(throws: MigrationError.self) {
                    try await GuestMove(from: source.control, to: other.control, options: options)
                        .run(sourceStream: near, destinationStream: far)
                }
                #expect(error?.description.contains("the guest was not touched") == true)
                let capabilities = try await source.control.execute("query-migrate-capabilities")
                #expect(capabilities.array?.allSatisfy { $0["state"] == false } == true)
            }
            #expect(try await source.status() == "running")
            #expect(try await other.status() == "inmigrate")
            try await source.close()
            try await other.close()
        }
    }
}
