import ArgumentParser
import RoostMigration

/// `roost stream convert`.
struct Convert: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Rewrite a stream's memory with each page once; the result loads in QEMU.",
        discussion: """
            Example: roost stream convert old.stream --output new.stream --plain

            Without an option pages are written plain. --compress needs a QEMU up to 9.0 with its \
            compress capability on; --xbzrle and --plain load everywhere.
            """)

    @OptionGroup var input: StreamFile

    @OptionGroup var output: StreamOutput

    @Flag(help: "Write pages whole (the default).")
    var plain = false

    @Flag(help: "Write pages that are mostly zero as XBZRLE deltas.")
    var xbzrle = false

    @Option(
        help: ArgumentHelp(
            "Write pages as zlib streams of this level (default: plain).", valueName: "1-9"))
    var compress: Int?

    @Flag(help: "Print what it came to as JSON.")
    var json = false

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws {
        guard [plain, xbzrle, compress != nil].count(where: { $0 }) <= 1 else {
            throw ValidationError("give one of --plain, --xbzrle and --compress")
        }
        guard (1...9).contains(compress ?? 1) else {
            throw ValidationError("--compress takes a level from 1 to 9")
        }
        try output.check(json: json)
    }

    func run() throws {
        let encoding: PageEncoding =
            xbzrle ? .xbzrle : compress.map { .compressed(level: $0) } ?? .plain
        let report = try input.reading("converting") { observer throws(MigrationError) in
            try StreamTools.convert(
                path: input.file, output: output.output, mayReplace: output.force,
                encoding: encoding, maximumRAMByteCount: input.limit, observer)
        }
        guard !json else {
            try Console.printJSON(report, as: "stream.convert")
            return
        }
        output.summarize(
            "\(output.output): \(Console.bytes(report.bytesWritten)) from "
                + "\(Console.bytes(report.bytesRead)); \(report.recordsRead) records became "
                + "\(report.pagesWritten) pages")
    }
}
