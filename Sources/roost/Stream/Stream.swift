import ArgumentParser
import RoostMigration

/// `roost stream`.
struct Stream: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look into, check, unpack and rewrite a QEMU migration stream.",
        discussion: """
            FILE is a stream that QEMU wrote (migrate "exec:cat > FILE"), plain or packed with gzip \
            or zstd, a libvirt save file, or - for the standard input.
            """,
        subcommands: [Inspect.self, Verify.self, Extract.self, Convert.self])
}

/// What every command on a stored stream takes.
struct StreamFile: ParsableArguments {
    @Argument(help: "The stream: a file, gzip or zstd packed, a libvirt save, or -.")
    var file: String

    @Option(
        help: ArgumentHelp(
            "The most memory the stream's guest may have, such as 8G (default: this machine's).",
            valueName: "size"))
    var maximumMemory: ByteCount?

    /// The bound in bytes.
    var limit: UInt64 { maximumMemory?.bytes ?? Console.physicalMemory }

    /// Runs a tool with a line of progress; a failure names the file.
    func reading<Result>(
        _ title: String, _ tool: (@escaping StreamTools.Observer) throws(MigrationError) -> Result
    ) throws -> Result {
        let line = ProgressReporter(title)
        defer { line.end() }
        do throws(MigrationError) {
            return try tool { line.show($0) }
        } catch {
            let name = file == "-" ? "standard input" : file
            guard !error.description.contains(name) else { throw error }
            throw CommandFailure("\(name): \(error)")
        }
    }
}
