import ArgumentParser
import RoostMigration
import RoostSystem
import SystemPackage

/// `roost stream inspect`.
struct Inspect: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell what a stream holds: machine, sections, RAM blocks, pages by kind.",
        discussion: "Example: roost stream inspect guest.stream --plot pages.svg")

    @OptionGroup var input: StreamFile

    @Flag(help: "Print everything as JSON.")
    var json = false

    @Flag(help: "List the sections with offsets and sizes.")
    var sections = false

    @Option(help: ArgumentHelp("Draw a map of the pages (default: none).", valueName: "out.svg"))
    var plot: String?

    @Flag(help: "Replace the file of --plot if there is one that is not empty.")
    var force = false

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws {
        guard !(json && (plot == "-" || plot == "/dev/stdout")) else {
            throw ValidationError("--json and --plot \(plot ?? "") both want the standard output")
        }
    }

    func run() throws {
        // Known before the stream is read, which can take long.
        if let plot { try OutputFile.check(plot, mayReplace: force) }
        let (report, map) = try input.reading("inspecting") { observer throws(MigrationError) in
            try StreamTools.inspect(
                path: input.file, maximumRAMByteCount: input.maximumMemory?.bytes ?? .max, observer)
        }
        if let plot {
            let name = FilePath(report.file).lastComponent?.string ?? report.file
            let title = "\(name): \(report.machineType ?? "unknown machine")"
            try writePicture(map.svg(title: title), to: plot)
        }
        guard plot != "-", plot != "/dev/stdout" else { return }
        guard !json else {
            try Console.printJSON(report, as: "stream.report")
            return
        }
        printSummary(report)
    }

    private func writePicture(_ text: String, to path: String) throws {
        let permissions: FilePermissions = [.ownerReadWrite, .groupRead, .otherRead]
        let file = try OutputFile(path: path, mayReplace: force, permissions: permissions)
        do {
            _ = try file.descriptor.writeAll(text.utf8)
        } catch {
            throw file.failure(error as? Errno ?? .ioError)
        }
        try file.commit()
    }

    private func printSummary(_ report: StreamReport) {
        let packing =
            (report.isLibvirtSave ? ", libvirt save" : "")
            + (report.packing == "none" ? "" : ", \(report.packing)")
        print(
            """
            \(report.file): QEMU stream version \(report.streamVersion), \
            \(Console.bytes(report.byteCount))\(packing)
            machine   \(Console.plain(report.machineType ?? "not told (machine type 2.3 or older)"))
            """)
        if !report.capabilities.isEmpty {
            print("needs     \(Console.plain(report.capabilities.joined(separator: ", ")))")
        }
        if let uuid = report.uuid { print("uuid      \(uuid)") }
        if !report.commands.isEmpty {
            print("commands  \(report.commands.joined(separator: ", "))")
        }
        let memory = report.memory
        guard !report.blocks.isEmpty else {
            print("memory    none in this file: it holds the state of devices")
            return printRest(report)
        }
        print(
            """
            memory    \(Console.bytes(memory.byteCount)) in \(report.blocks.count) blocks, \
            \(memory.rounds) round\(memory.rounds == 1 ? "" : "s"), \
            \(memory.pagesSentAgain) pages sent more than once
            """)
        if report.lacksPages, !report.usesMultifd {
            print(
                "          no page of this memory is here: it travelled elsewhere, or was left out")
        }
        if report.usesMultifd { print("          pages travelled on multifd channels, not here") }
        print()
        print(Console.table(blockRows(report)))
        printRest(report)
    }

    private func printRest(_ report: StreamReport) {
        print()
        if sections {
            print(Console.table(sectionRows(report)))
        } else {
            let devices = report.sections.filter { $0.kind == "full" }
            let bytes = devices.reduce(0) { $0 + $1.byteCount }
            print(
                "\(report.sections.count) sections, \(devices.count) of them devices "
                    + "(\(Console.bytes(bytes))); --sections lists them")
        }
        if report.devices == nil { print("the stream carries no description of its devices") }
        if report.trailingByteCount > 0 {
            print("\(report.trailingByteCount) bytes follow the end of the stream")
        }
        if report.ignoredByteCount > 0 {
            print("\(report.ignoredByteCount) bytes follow the \(report.packing) data")
        }
    }

    private func blockRows(_ report: StreamReport) -> [[String]] {
        func cell(_ tally: StreamInspection.Tally) -> String {
            tally.pages == 0 ? "-" : "\(tally.pages) (\(Console.bytes(tally.bytes)))"
        }
        var rows = [["block", "size", "zero", "plain", "xbzrle", "compressed", "sent again"]]
        for block in report.blocks {
            rows.append([
                block.name, Console.bytes(block.byteCount), cell(block.zero), cell(block.plain),
                cell(block.xbzrle), cell(block.compressed), "\(block.pagesSentAgain)",
            ])
        }
        let all = report.memory
        rows.append([
            "all", Console.bytes(all.byteCount), cell(all.zero), cell(all.plain), cell(all.xbzrle),
            cell(all.compressed), "\(all.pagesSentAgain)",
        ])
        return rows
    }

    private func sectionRows(_ report: StreamReport) -> [[String]] {
        [["section", "kind", "id", "instance", "version", "offset", "bytes"]]
            + report.sections.map {
                [
                    $0.name, $0.kind, "\($0.id)", "\($0.instance)", "\($0.version)",
                    "\($0.offset)", "\($0.byteCount)",
                ]
            }
    }
}
