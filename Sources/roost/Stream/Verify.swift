import ArgumentParser
import RoostMigration

/// `roost stream verify`.
struct Verify: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a whole stream: grammar, deltas, compressed pages, devices.",
        discussion: """
            Example: roost stream verify guest.stream

            The exit code is 0 only when the whole stream is sound; else the first fault is told \
            with its offset.
            """)

    @OptionGroup var input: StreamFile

    @Flag(help: "Print what was found as JSON.")
    var json = false

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func run() throws {
        let report = try input.reading("verifying") { observer throws(MigrationError) in
            try StreamTools.verify(
                path: input.file, maximumRAMByteCount: input.limit, observer)
        }
        guard !json else {
            try Console.printJSON(report, as: "stream.report")
            return
        }
        let memory = report.memory
        let pages = memory.zero.pages + memory.plain.pages + memory.xbzrle.pages
        let content =
            report.blocks.isEmpty
            ? "no memory, only the state of devices"
            : "\(pages + memory.compressed.pages) page records in \(report.blocks.count) blocks"
        print(
            """
            \(report.file): sound. \(Console.bytes(report.byteCount)), \(report.sections.count) \
            sections, \(content)
            """)
        let rest = UInt64(report.trailingByteCount) + report.ignoredByteCount
        if rest > 0 {
            Console.note("note: \(rest) bytes follow the stream in the file, and are no part of it")
        }
    }
}
