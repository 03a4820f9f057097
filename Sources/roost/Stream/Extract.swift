import ArgumentParser
import RoostMigration

/// `roost stream extract`.
struct Extract: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the final content of a RAM block to a sparse file.",
        discussion: "Example: roost stream extract guest.stream --block pc.ram --output ram.bin")

    @OptionGroup var input: StreamFile

    @Option(help: "The RAM block, as `inspect` names it.")
    var block: String

    @OptionGroup var output: StreamOutput

    @Flag(help: "Print what it came to as JSON.")
    var json = false

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws { try output.check(json: json) }

    func run() throws {
        let report = try input.reading("extracting") { observer throws(MigrationError) in
            try StreamTools.extract(
                path: input.file, block: block, output: output.output, mayReplace: output.force,
                maximumRAMByteCount: input.limit, observer)
        }
        if json {
            try Console.printJSON(report, as: "stream.extract")
        } else {
            output.summarize(
                "\(output.output): block \(block), \(Console.bytes(report.byteCount)), "
                    + "\(report.pagesNamed) of \(report.pages) pages were in the stream")
        }
        if report.pagesNamed < report.pages {
            Console.warn(
                "\(report.pages - report.pagesNamed) pages were not in the stream and are zeros: the "
                    + "guest had given them back (balloon, virtio-mem), or they travelled on other "
                    + "connections (multifd)")
        }
    }
}
