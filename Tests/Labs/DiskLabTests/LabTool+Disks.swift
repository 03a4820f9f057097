import LabSupport

extension LabTool {
    /// The SHA-256 of a file, in hexadecimal.
    static func sha256(of path: String) async throws -> String {
        String(try await run("sha256sum", "--", path).prefix(64))
    }

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
    static let formats = LabTool.missing("qemu-img", "qemu-io", "qemu-nbd", "sha256sum")
    static let recovery = LabTool.missing("fio", "nbdkit", "qemu-io")
}
