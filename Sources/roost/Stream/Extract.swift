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

    @Option(help: ArgumentHelp("The file to write.", valueName: "file"))
    var output: String

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func run() throws {
        let (pages, named) = try input.reading("extracting") { observer throws(MigrationError) in
            try StreamTools.extract(
                path: input.file, block: block, output: output,
                maximumRAMByteCount: input.limit, observer)
        }
        print(
            "\(output): block \(block), \(Console.bytes(UInt64(pages) * 4096)), "
                + "\(named) of \(pages) pages were in the stream")
        if named < pages {
            Console.note(
                "warning: \(pages - named) pages were not in the stream and are left as zeros")
        }
    }
}
