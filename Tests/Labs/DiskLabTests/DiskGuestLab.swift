import Foundation
import LabSupport
import RoostSystem
import TestSupport
import Testing

/// A guest in QEMU has its filesystem on a disk that is served.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: DiskNeeds.guest.isEmpty, "\(DiskNeeds.guest)"))
struct DiskGuestLab {
    init() { BrokenPipes.ignore() }

    /// An image with an ext4 filesystem, and in it one file `host` of noise.
    private func makeFilesystem(_ stage: DiskStage) async throws -> String {
        let folder = stage.file("files")
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false)
        var random = SeededRandom(seed: 3)
        let noise = (0..<600_000).map { _ in random.next() }
        let bytes = unsafe noise.withUnsafeBytes { unsafe Data($0) }
        try bytes.write(to: URL(fileURLWithPath: "\(folder)/host"))
        let image = stage.file("image")
        try await LabTool.run("mke2fs", "-q", "-t", "ext4", "-d", folder, image, "64M")
        return image
    }

    @Test(
        "A guest's filesystem on a disk is in order when the guest is off, and holds what it wrote")
    func filesystem() async throws {
        try await LabClock.measure("disk of a guest") {
            let stage = try DiskStage()
            let image = try await makeFilesystem(stage)
            let disk = try await stage.disk(image)
            var configuration = LabQEMU.Configuration(binary: try LabAssets.locate().qemu)
            configuration.kernelWords = ["panic=-1", "disk.test=1"]
            configuration.extraArguments = [
                "-no-reboot", "-blockdev",
                "driver=nbd,node-name=disk,server.type=unix,server.path=\(disk.socket),"
                    + "discard=unmap",
                "-device", "virtio-blk-pci,drive=disk",
            ]
            let qemu = try await LabQEMU("guest", configuration)
            try await qemu.child.line { line in
                line == "DISK DONE" || line.hasPrefix("DISK FAILED") || line.contains("panic")
            }
            try await qemu.child.succeed()
            let said = qemu.child.lines.map(\.text)
            try #require(said.contains("DISK DONE"), "\(said.suffix(20))")
            #expect(said.contains { $0.hasPrefix("DISK TRIM /disk: ") })
            #expect(!said.contains { $0.contains("I/O error") }, "\(said)")
            try await disk.close()

            try await LabTool.run("e2fsck", "-f", "-n", image)
            for name in ["copy", "noise"] {
                try await LabTool.run(
                    "debugfs", "-R", "dump /\(name) \(stage.file(name))", image)
                let sum = try await LabTool.sha256(of: stage.path(name))
                #expect(said.contains("DISK SUM \(name) \(sum)"), "\(said)")
            }
            let listing = try await LabTool.run("debugfs", "-R", "ls -p /after", image)
            let names = listing.split(separator: "\n").compactMap { line in
                line.split(separator: "/", omittingEmptySubsequences: false).dropFirst(5).first
            }
            #expect(names.filter { $0.hasPrefix("1") }.count == 100, "\(listing)")
            try await LabTool.run(
                "debugfs", "-R", "dump /after/1198 \(stage.file("short"))", image)
            #expect(
                try String(contentsOfFile: stage.path("short"), encoding: .utf8)
                    == "file 198 of the guest\n")
            try await stage.close()
        }
    }
}
