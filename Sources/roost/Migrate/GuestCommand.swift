import ArgumentParser
import RoostMigration
import RoostSystem

/// `roost migrate guest`.
struct GuestCommand: AsyncParsableCommand, ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "guest",
        abstract: "Move a running guest from one QEMU to another on this host, through Roost.",
        discussion: """
            Example: roost migrate guest --from src.qmp --to dst.qmp --max-bandwidth 100M
            Start both QEMUs alike, each with -qmp unix:NAME.qmp,server=on,wait=off, the \
            destination also with -incoming defer.

            Ctrl-C or a failure cancels the move, and the guest runs on at the source. A monitor \
            socket that libvirt owns takes no second client: use virsh migrate there.
            """)

    @Option(help: ArgumentHelp("The source's QMP socket.", valueName: "src.qmp"))
    var from: String

    @Option(help: ArgumentHelp("The destination's QMP socket.", valueName: "dst.qmp"))
    var to: String

    @Option(
        help: ArgumentHelp(
            "Bytes per second while the guest runs (default: as QEMU is set).", valueName: "size"))
    var maxBandwidth: ByteCount?

    @Option(
        help: ArgumentHelp(
            "How long the guest may stand still, in milliseconds (default: as QEMU is set).",
            valueName: "ms"))
    var downtime: Int?

    @Flag(help: "Slow a guest down that writes faster than the link carries.")
    var autoConverge = false

    @Option(
        help: ArgumentHelp(
            "Send deltas (XBZRLE), with a cache of this size, a power of two (default: none are sent).",
            valueName: "size"))
    var xbzrleCache: ByteCount?

    @Flag(help: "Send zlib compressed pages (QEMU 7.2 to 9.0).")
    var compress = false

    @Option(help: ArgumentHelp("Give up after so many seconds (default: never).", valueName: "s"))
    var timeout: Int?

    @OptionGroup var relay: RelayArguments

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws {
        try Checked.number("--downtime", downtime, 1...2_000_000)
        try Checked.number("--timeout", timeout, 1...31_536_000)
        if let size = xbzrleCache {
            guard size.bytes >= 4096, size.bytes.nonzeroBitCount == 1 else {
                throw ValidationError(
                    "--xbzrle-cache is \(size.defaultValueDescription): give a power of two, at "
                        + "least a page, 4K")
            }
        }
        guard from != to else {
            throw ValidationError(
                "--from and --to are both \(from): a guest is moved from one QEMU to another")
        }
    }

    func run() async throws {
        let options = GuestMoveOptions(
            maxBandwidth: maxBandwidth?.bytes,
            downtimeLimit: downtime.map { .milliseconds($0) }, autoConverge: autoConverge,
            xbzrleCacheSize: xbzrleCache?.bytes, timeout: timeout.map { .seconds($0) },
            capabilities: compress ? ["compress"] : [])
        if let here = FileFacts(at: from, followsLinks: true),
            let there = FileFacts(at: to, followsLinks: true), here.isSameFile(as: there)
        {
            throw CommandFailure(
                "\(from) and \(to) are one socket: a guest is moved from one QEMU to another, each "
                    + "with a monitor of its own")
        }
        try relay.check()
        let (from, to, relayOptions) = (from, to, relay.options)
        let line = ProgressReporter("moving")
        let source = try await QMPClient.connect(to: .unix(path: from))
        let destination = try await QMPClient.connect(to: .unix(path: to))
        let outcome: Result<RelayedMove.Report, any Error>
        do {
            outcome = .success(
                try await RelayedMove(
                    from: source, to: destination, options: options,
                    relayOptions: relayOptions
                ).run { progress, relay in line.show { progress.line(relay) } })
        } catch {
            outcome = .failure(error)
        }
        line.end()
        await source.close()
        await destination.close()
        let report = try outcome.get()
        if relay.json {
            try Console.printJSON(JSONReport(report), as: "migrate.guest")
        } else {
            print(Console.table(Self.rows(report)))
        }
    }

    private static func rows(_ report: RelayedMove.Report) -> [[String]] {
        let move = report.move
        var rows = [
            ["what", "amount"],
            ["total time", "\(Console.decimal(move.totalTime.seconds, 2)) s"],
            ["downtime, as QEMU reports it", "\(Int(move.downtime.seconds * 1000)) ms"],
            ["rounds", "\(move.iterations)"],
            ["guest's memory", Console.bytes(report.relay.memoryBytes)],
            ["bytes in, QEMU's stream", Console.bytes(report.relay.streamBytes)],
            ["bytes on Roost's wire", Console.bytes(report.relay.wireBytes)],
            ["bytes out, QEMU's stream", Console.bytes(report.receiver.streamBytes)],
        ]
        rows += RelayArguments.rows(report.relay).dropFirst(3)
        rows.append(["source", move.sourceStatus])
        rows.append(["destination", move.destinationStatus])
        return rows
    }

    /// The report's shape in JSON.
    private struct JSONReport: Encodable {
        let totalMilliseconds: Int
        let downtimeMilliseconds: Int
        let setupMilliseconds: Int
        let iterations: UInt64
        let sourceStatus: String
        let destinationStatus: String
        let relay: RelayStatistics
        let receiver: RelayStatistics

        init(_ report: RelayedMove.Report) {
            totalMilliseconds = Int(report.move.totalTime.seconds * 1000)
            downtimeMilliseconds = Int(report.move.downtime.seconds * 1000)
            setupMilliseconds = Int(report.move.setupTime.seconds * 1000)
            iterations = report.move.iterations
            sourceStatus = report.move.sourceStatus
            destinationStatus = report.move.destinationStatus
            relay = report.relay
            receiver = report.receiver
        }
    }
}

extension GuestMoveProgress {
    /// One line for a person.
    fileprivate func line(_ relay: RelayStatistics) -> String {
        let left = timeLeft.map { "\(Console.decimal($0.seconds, 0)) s left" }
        return [
            "\(status) \(Console.decimal(elapsed.seconds, 1)) s",
            "round \(iteration)",
            "\(Console.bytes(bytesPerSecond))/s",
            "remaining \(Console.bytes(remainingByteCount))",
            "dirtied \(Console.bytes(dirtyPagesPerSecond * 4096))/s",
            "wire \(Console.bytes(relay.wireBytes))",
            throttlePercentage > 0 ? "throttled \(throttlePercentage) %" : "",
            left ?? "",
        ].filter { !$0.isEmpty }.joined(separator: ", ")
    }
}
