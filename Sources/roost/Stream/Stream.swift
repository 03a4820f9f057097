import ArgumentParser
import RoostMigration
import RoostSystem

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
            """
            The most memory the stream's guest may have, such as 8G (default: this machine's; none \
            for inspect, which loads nothing).
            """,
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
            // A failure to write has the name of what was to be written.
            guard error.kind != .transfer, !error.description.contains(name) else { throw error }
            throw CommandFailure("\(name): \(error)")
        }
    }
}

/// Where a command on a stored stream writes.
struct StreamOutput: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The file to write, a pipe, or - for the standard output.", valueName: "file"))
    var output: String

    @Flag(help: "Replace the file if there is one that is not empty.")
    var force = false

    /// Refuses a document where the bytes themselves go.
    func check(json: Bool) throws {
        guard !(json && (output == "-" || output == "/dev/stdout")) else {
            throw ValidationError("--json and --output \(output) both want the standard output")
        }
    }

    /// Prints what it came to, on standard error where the output may be what a pipe takes.
    func summarize(_ text: String) {
        let isDescriptor = output.hasPrefix("/dev/") || output.hasPrefix("/proc/")
        let isFile = FileFacts(at: output, followsLinks: true)?.kind == .file
        if isFile, !isDescriptor { print(text) } else { Console.note(text) }
    }
}

/// A number of bytes on the command line: digits and an optional unit of powers of 1,024.
struct ByteCount: ExpressibleByArgument {
    let bytes: UInt64

    init(_ bytes: UInt64) {
        self.bytes = bytes
    }

    init?(argument: String) {
        guard let bytes = ByteSize.bytes(argument) else { return nil }
        self.bytes = bytes
    }

    /// The number in the largest unit that it is a whole number of.
    var defaultValueDescription: String { ByteSize.text(bytes) }
}
