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
            guard !error.description.contains(name) else { throw error }
            throw CommandFailure("\(name): \(error)")
        }
    }
}

/// A number of bytes on the command line: digits and an optional K, M, G or T.
struct ByteCount: ExpressibleByArgument {
    let bytes: UInt64

    init(_ bytes: UInt64) {
        self.bytes = bytes
    }

    init?(argument: String) {
        let units: [Character: UInt64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        let unit = argument.last.flatMap { units[Character($0.uppercased())] }
        let digits = unit == nil ? argument[...] : argument.dropLast()
        guard let number = UInt64(digits) else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit ?? 1)
        guard !overflow else { return nil }
        bytes = product
    }

    /// The number in the largest unit that it is a whole number of.
    var defaultValueDescription: String {
        for (unit, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] as [(String, UInt64)]
        where bytes > 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
}
