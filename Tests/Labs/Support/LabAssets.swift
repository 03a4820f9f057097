import Foundation

/// What the laboratories need besides installed packages: `Tests/Labs/qemu/prepare.sh` makes it.
package struct LabAssets: Sendable {
    package let kernel: String
    package let initramfs: String
    /// QEMU 10, unpacked.
    package let qemu10: String
    /// The installed QEMU; 7.2 in Debian 12.
    package let qemu = "/usr/bin/qemu-system-x86_64"

    /// The folder `.build-lab` beside `Package.swift`, or what ROOST_LAB_CACHE names.
    package static var folder: String {
        if let named = ProcessInfo.processInfo.environment["ROOST_LAB_CACHE"] { return named }
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        return root.appendingPathComponent(".build-lab").path
    }

    private static func all() -> LabAssets {
        LabAssets(
            kernel: "\(folder)/vmlinuz", initramfs: "\(folder)/initramfs.cpio.gz",
            qemu10: "\(folder)/qemu10/qemu-system-x86_64")
    }

    /// What is missing, for a suite that skips itself; empty when all is there.
    package static let missing = missing([\.kernel, \.initramfs, \.qemu10, \.qemu])

    private static func missing(_ files: [KeyPath<LabAssets, String>]) -> String {
        let assets = all()
        let absent = files.map { assets[keyPath: $0] }
            .filter { !FileManager.default.isReadableFile(atPath: $0) }
        return absent.isEmpty
            ? "" : "missing \(absent.joined(separator: ", ")): run Tests/Labs/qemu/prepare.sh"
    }

    /// Finds everything.
    ///
    /// - Throws: `LabError` that says what is missing.
    package static func locate() throws -> LabAssets {
        guard missing.isEmpty else { throw LabError(missing) }
        return all()
    }

    /// Finds a guest and the installed QEMU, whether QEMU 10 is there or not.
    ///
    /// - Throws: `LabError` that says what is missing.
    package static func locateGuest() throws -> LabAssets {
        let missing = missing([\.kernel, \.initramfs, \.qemu])
        guard missing.isEmpty else { throw LabError(missing) }
        return all()
    }
}
