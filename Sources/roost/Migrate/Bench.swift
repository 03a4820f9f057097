import ArgumentParser
import RoostHost
import RoostMigration

/// `roost migrate bench`.
struct Bench: AsyncParsableCommand, ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Move a guest that is a plain process, and show what it took.",
        discussion: """
            Example: roost migrate bench --memory 1G --hot 5 --writes 20000 --xbzrle-cache 64M
            Starts a process that stamps every page it writes, moves its memory live into another \
            process, as often as --moves says, and has the last one check that no write was lost \
            and none was done twice. Needs no hypervisor.
            """)

    @OptionGroup(title: "The guest") var guest: BenchGuest
    @OptionGroup(title: "The move") var move: BenchMove

    @Option(help: ArgumentHelp("How many times to move it.", valueName: "n"))
    var moves = 1

    @Flag(help: "Print the moves and the guest's verification as JSON (migrate.bench).")
    var json = false

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws {
        try Checked.number("--moves", moves, 1...1_000_000)
    }

    func run() async throws {
        let (workload, options, moves) = (guest.workload, move.options, moves)
        let filling = ProgressReporter("filling the guest's memory")
        let line = ProgressReporter("moving")
        defer { line.end() }
        let report = try await BenchRun(workload, options).run(moves: moves) { filled in
            filling.show(filled, of: workload.byteCount)
        } moving: { progress in
            if progress.status != .none { line.show { "moving: " + progress.progress } }
        }
        line.end()
        if json {
            try Console.printJSON(JSONReport(report), as: "migrate.bench")
        } else {
            print(Console.table(Self.rows(report)))
            print("verified: \(report.verification.summary)")
        }
        if !report.verification.ok { throw ExitCode.failure }
    }

    private static func rows(_ report: BenchRun.Report) -> [[String]] {
        let columns = report.moves.map(column)
        guard let first = columns.first else { return [] }
        var rows = [["move"] + report.moves.indices.map { "\($0 + 1)" }]
        for (index, entry) in first.enumerated() {
            rows.append([entry.0] + columns.map { $0[index].1 })
        }
        return rows
    }

    private static func column(_ move: BenchRun.Move) -> [(String, String)] {
        let (source, ram) = (move.report.source, move.report.source.ram)
        var entries = [
            ("dirty pages found by", move.report.tracker),
            ("total time", "\(Console.decimal(source.totalTime.seconds, 2)) s"),
            ("downtime", "\(milliseconds(source.downtime)) ms"),
            ("rounds", "\(ram.dirtySyncCount)"),
            ("guest's memory", Console.bytes(ram.total)),
            ("bytes sent", Console.bytes(ram.transferred)),
            ("of them while stopped", Console.bytes(ram.downtimeBytes)),
            ("pages zero", "\(ram.duplicate)"),
            ("pages whole", "\(ram.normal)"),
        ]
        if let cache = source.xbzrleCache {
            entries += [
                ("pages xbzrle", "\(cache.pages)"), ("xbzrle bytes", Console.bytes(cache.bytes)),
                ("pages unchanged", "\(ram.skipped)"),
                ("cache misses", "\(cache.cacheMiss)"), ("overflows", "\(cache.overflow)"),
            ]
        }
        if let compression = source.compression {
            entries += [
                ("pages compressed", "\(compression.pages)"),
                ("compressed to", Console.bytes(compression.compressedSize)),
            ]
        }
        if let throttle = move.report.throttle {
            entries += [
                ("throttle", throttle), ("throttled up to", "\(move.throttlePercentage) %"),
            ]
        }
        entries.append(("digests compared", move.report.destination.isVerified ? "equal" : "no"))
        return entries
    }

    private static func milliseconds(_ time: Duration?) -> String {
        time.map { Console.decimal($0.seconds * 1000, 1) } ?? "?"
    }

    /// The report's shape in JSON.
    private struct JSONReport: Encodable {
        /// What QEMU counts as well stands under QEMU's names, in an object of that name.
        struct Move: Encodable {
            let tracker: String
            let throttle: String?
            let downtimeMicroseconds: Int
            let throttlePercentage: Int
            let qemu: MigrationStatistics
            let destination: DestinationStatistics
        }

        let moves: [Move]
        let verification: StampedGuestProgram.Verification

        init(_ report: BenchRun.Report) {
            moves = report.moves.map { move in
                Move(
                    tracker: move.report.tracker, throttle: move.report.throttle,
                    downtimeMicroseconds: Int(
                        ((move.report.source.downtime?.seconds ?? 0) * 1e6).rounded()),
                    throttlePercentage: move.throttlePercentage,
                    qemu: move.report.source, destination: move.report.destination)
            }
            verification = report.verification
        }
    }
}

/// What the guest of `roost migrate bench` does.
struct BenchGuest: ParsableArguments {
    @Option(help: ArgumentHelp("The guest's memory.", valueName: "size"))
    var memory = ByteCount(256 << 20)

    @Option(help: ArgumentHelp("The share it writes again and again, in percent.", valueName: "%"))
    var hot = 10

    @Option(help: ArgumentHelp("Writes per second, 0 for as many as possible.", valueName: "n"))
    var writes = 20_000

    @Option(help: ArgumentHelp("Bytes that each write changes, up to 4096.", valueName: "n"))
    var bytes = 4096

    @Option(help: "What pages are filled with.")
    var content = Content.random

    enum Content: String, ExpressibleByArgument, CaseIterable {
        case random, text, sparse
    }

    /// The most memory that the guest's own count of its pages allows.
    private static let memoryLimit = UInt64(4) << 40

    func validate() throws {
        guard (1 << 20...Self.memoryLimit).contains(memory.bytes), memory.bytes % 4096 == 0 else {
            throw ValidationError(
                "--memory is \(memory.defaultValueDescription): give whole pages of 4 KiB, from 1M "
                    + "to 4T")
        }
        try Checked.number("--hot", hot, 1...100)
        try Checked.number("--writes", writes, 0...1_000_000_000)
        try Checked.number("--bytes", bytes, 1...4096)
    }

    var workload: StampedGuestProgram.Workload {
        var workload = StampedGuestProgram.Workload()
        workload.byteCount = memory.bytes
        workload.hotPercentage = hot
        workload.writesPerSecond = writes
        workload.bytesPerWrite = bytes
        workload.content = content.rawValue
        return workload
    }
}

/// How `roost migrate bench` moves its guest.
struct BenchMove: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How written pages are found."))
    var tracker = TrackerKind.automatic

    @Option(
        help: ArgumentHelp(
            "Send deltas (XBZRLE), with a cache of this size (default: none are sent).",
            valueName: "size"))
    var xbzrleCache: ByteCount?

    @Option(
        help: ArgumentHelp(
            "Compress pages with so many threads (default: not at all).", valueName: "n"))
    var compressThreads: Int?

    @Option(help: ArgumentHelp("zlib's level, 0 to 9.", valueName: "n"))
    var compressLevel = 1

    @Option(help: ArgumentHelp("Decode compressed pages with so many threads.", valueName: "n"))
    var decompressThreads = 2

    @Option(
        help: ArgumentHelp("Bytes per second while the guest runs, 0: no limit.", valueName: "size")
    )
    var maxBandwidth = ByteCount(0)

    @Option(
        help: ArgumentHelp(
            "How long the guest may stand still, in milliseconds.", valueName: "ms"))
    var downtime = 300

    @Flag(help: "Slow a guest down that writes faster than is sent.")
    var autoConverge = false

    @Option(
        help: ArgumentHelp("How it is slowed down."))
    var throttle = ThrottleKind.automatic

    @Flag(help: "Compare digests of both sides' memory before the guest goes on.")
    var digests = false

    @Option(
        help: ArgumentHelp(
            "Whose rules hold where QEMU's versions differ."))
    var dialect = MigrationDialect.standard

    @Option(help: ArgumentHelp("Give up after so many rounds.", valueName: "n"))
    var maxRounds: UInt64 = 500

    @Option(help: ArgumentHelp("Give up after so many seconds (default: never).", valueName: "s"))
    var timeout: Int?

    /// What no machine has.
    private static let cacheLimit = UInt64(1) << 47

    func validate() throws {
        if let size = xbzrleCache {
            guard (4096...Self.cacheLimit).contains(size.bytes) else {
                throw ValidationError(
                    "--xbzrle-cache is \(size.defaultValueDescription): give at least a page, 4K")
            }
        }
        try Checked.number("--compress-threads", compressThreads, 1...255)
        try Checked.number("--compress-level", compressLevel, 0...9)
        try Checked.number("--decompress-threads", decompressThreads, 0...255)
        try Checked.number("--downtime", downtime, 0...2_000_000)
        try Checked.number("--max-rounds", Int(clamping: maxRounds), 1...1_000_000_000)
        try Checked.number("--timeout", timeout, 1...31_536_000)
    }

    var options: ProcessMove.Options {
        var options = ProcessMove.Options()
        options.tracker = tracker
        options.throttle = throttle
        options.decompressionThreads = decompressThreads
        options.parameters.dialect = dialect
        options.parameters.xbzrleCacheByteCount = xbzrleCache.map { Int(clamping: $0.bytes) }
        options.parameters.compression = compressThreads.map {
            MigrationParameters.Compression(threads: $0, level: compressLevel)
        }
        options.parameters.maximumBytesPerSecond = maxBandwidth.bytes
        options.parameters.downtimeLimit = .milliseconds(downtime)
        options.parameters.autoConverge = autoConverge ? MigrationParameters.AutoConverge() : nil
        options.parameters.maximumRounds = maxRounds
        options.parameters.maximumTime = timeout.map { .seconds($0) }
        options.parameters.sendsDigests = digests
        return options
    }
}
