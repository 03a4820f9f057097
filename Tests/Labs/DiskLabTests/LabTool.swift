import Foundation
import LabSupport

/// The programs of the system that laboratories of disks run.
enum LabTool {
    /// Where a program lies: along PATH, and where the system keeps its own.
    private static func path(of name: String) -> String? {
        let words = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return (words.map(String.init) + ["/usr/bin", "/usr/sbin", "/bin", "/sbin"])
            .map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// What is missing of some programs, for a suite that skips itself; empty when all are there.
    static func missing(_ names: String...) -> String {
        let absent = names.filter { path(of: $0) == nil }
        return absent.isEmpty
            ? "" : "missing \(absent.joined(separator: ", ")): run make packages"
    }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - arguments: Its arguments.
    /// - Returns: The program as it runs.
    /// - Throws: `LabError` when there is none.
    static func start(_ name: String, _ arguments: [String]) throws -> ChildProcess {
        guard let path = path(of: name) else { throw LabError(missing(name)) }
        return try ChildProcess(path, arguments, name: name)
    }

    /// Runs a program to its end, which must be a success.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - arguments: Its arguments.
    /// - Returns: What it wrote to its standard output.
    /// - Throws: `LabError` with what it wrote.
    @discardableResult
    static func run(_ name: String, _ arguments: String...) async throws -> String {
        let child = try start(name, arguments)
        try await child.succeed()
        return child.output
    }

    /// Runs a program that is to be refused.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - arguments: Its arguments.
    /// - Returns: What it wrote.
    /// - Throws: `LabError` when it succeeds.
    static func refusal(of name: String, _ arguments: String...) async throws -> String {
        let child = try start(name, arguments)
        guard try await child.exit() != 0 else {
            throw LabError("\(name) \(arguments) was not refused:\n\(child.text)")
        }
        return child.text
    }

    /// The SHA-256 of a file, in hexadecimal.
    static func sha256(of path: String) async throws -> String {
        String(try await run("sha256sum", "--", path).prefix(64))
    }
}

extension LabTool {
    /// Runs commands of qemu-io(1) on a disk or an image.
    ///
    /// - Parameters:
    ///   - disk: A path or an NBD disk's name.
    ///   - commands: What to do. That a pattern differs is only printed.
    ///   - readOnly: Whether to open it for reading.
    /// - Returns: What it printed.
    /// - Throws: `LabError` when one of them fails.
    static func io(
        _ disk: String, _ commands: [String], readOnly: Bool = false
    ) async throws -> String {
        let child = try start(
            "qemu-io",
            (readOnly ? ["-r"] : []) + ["-f", "raw"] + commands.flatMap { ["-c", $0] } + [disk])
        try await child.succeed()
        return child.output
    }
}

/// What each laboratory lacks on this machine, for it to skip itself; empty when nothing is missing.
enum DiskNeeds {
    static let clients = LabTool.missing(
        "cmp", "fio", "nbdcopy", "nbdinfo", "nbdkit", "qemu-io", "sha256sum")
    static let guest =
        LabAssets.missing + LabTool.missing("debugfs", "e2fsck", "mke2fs", "nbdkit", "sha256sum")
    static let locks =
        LabAssets.missing + LabTool.missing("nbdkit", "qemu-img", "qemu-io", "qemu-nbd")
    static let doctor = LabTool.missing("nbdkit", "qemu-io", "xenstore-chmod", "xenstore-rm")
    static let recovery = LabTool.missing("fio", "nbdkit", "qemu-io")
}
