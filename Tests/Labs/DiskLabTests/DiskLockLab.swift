import Foundation
import LabSupport
import RoostSystem
import Testing

/// An image has one who writes, or some who read, whoever they are.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: DiskNeeds.locks.isEmpty, "\(DiskNeeds.locks)"))
struct DiskLockLab {
    init() { BrokenPipes.ignore() }

    /// What QEMU says of an image that another has.
    private static let refused = "Is another process using the image"

    /// The words for a QEMU whose guest has an image as its disk.
    private static func machine(_ image: String, readOnly: Bool = false) -> [String] {
        let access = "read-only=\(readOnly ? "on" : "off")"
        return [
            "-blockdev",
            "driver=raw,node-name=disk,\(access),file.driver=file,"
                + "file.filename=\(image)", "-device", "virtio-blk-pci,drive=disk",
        ]
    }

    /// Starts such a QEMU, which has locked the image then.
    private func hold(_ image: String, readOnly: Bool = false) async throws -> LabQEMU {
        var configuration = LabQEMU.Configuration(binary: try LabAssets.locate().qemu)
        configuration.boots = false
        configuration.stopped = true
        configuration.extraArguments = Self.machine(image, readOnly: readOnly)
        return try await LabQEMU("holder", configuration)
    }

    /// That QEMU's programs do not write to an image.
    private func expectQEMURefused(_ image: String, _ stage: DiskStage) async throws {
        let attempts = [
            ("qemu-img", ["resize", "-f", "raw", image, "8M"]),
            ("qemu-io", ["-f", "raw", "-c", "write 0 512", image]),
            ("qemu-nbd", ["-f", "raw", "-k", stage.file("nbd"), image]),
            (
                "qemu-system-x86_64",
                ["-machine", "q35", "-nodefaults", "-display", "none"] + Self.machine(image)
            ),
        ]
        for (program, arguments) in attempts {
            let child = try LabTool.start(program, arguments)
            #expect(try await child.exit() == 1, "\(program): \(child.text)")
            #expect(child.text.contains(Self.refused), "\(program): \(child.text)")
        }
    }

    /// That Roost does not serve an image, and says who has it.
    private func expectRoostRefused(
        _ image: String, _ stage: DiskStage, holder: String, readOnly: Bool = false
    ) async throws {
        let child = try stage.start(
            ["disk", "serve", "--image", image, "--name", "refused"]
                + (readOnly ? ["--read-only"] : []))
        #expect(try await child.exit() == 1, "\(child.text)")
        #expect(child.text.contains("cannot lock \(image): \(holder) (process "), "\(child.text)")
    }

    @Test("BLK-20: an image that Roost serves is refused to QEMU's programs and to a second Roost")
    func served() async throws {
        try await LabClock.measure("disk lock, Roost first") {
            let stage = try DiskStage()
            let image = try stage.makeImage("image", mebibytes: 4)
            let backend = try await stage.serve(image, as: "first")
            try await expectQEMURefused(image, stage)
            try await expectRoostRefused(image, stage, holder: "roost")
            try await expectRoostRefused(image, stage, holder: "roost", readOnly: true)

            // Once it is no longer served, they may.
            backend.signal(SIGTERM)
            try await backend.succeed()
            _ = try await LabTool.io(image, ["write 0 512"])

            // Nor does a lock outlive a backend that was killed.
            let killed = try await stage.serve(image, as: "first")
            try await killed.stop()
            _ = try await LabTool.io(image, ["write 0 512"])
            let last = try await stage.serve(image, as: "first")
            last.signal(SIGTERM)
            try await last.succeed()
            try await stage.close()
        }
    }

    @Test("BLK-20: an image that QEMU has is refused to Roost, which says who has it")
    func held() async throws {
        try await LabClock.measure("disk lock, QEMU first") {
            let stage = try DiskStage()
            let image = try stage.makeImage("image", mebibytes: 4)
            let machine = try await hold(image)
            try await expectRoostRefused(image, stage, holder: "qemu-system-x86_64")
            try await expectRoostRefused(
                image, stage, holder: "qemu-system-x86_64", readOnly: true)
            try await machine.close()

            let ready = stage.file("nbd.pid")
            let server = try LabTool.start(
                "qemu-nbd",
                ["-t", "-f", "raw", "-k", stage.file("nbd"), "--pid-file=\(ready)", image])
            _ = try await poll(.seconds(30), "qemu-nbd") {
                FileManager.default.fileExists(atPath: ready) ? true : nil
            }
            try await expectRoostRefused(image, stage, holder: "qemu-nbd")
            try await server.stop()

            let backend = try await stage.serve(image, as: "first")
            backend.signal(SIGTERM)
            try await backend.succeed()
            try await stage.close()
        }
    }

    @Test("BLK-20: readers share an image, and nobody writes to it meanwhile")
    func shared() async throws {
        try await LabClock.measure("disk lock, readers") {
            let stage = try DiskStage()
            let image = try stage.makeImage("image", mebibytes: 4)
            let readers = [
                try await stage.serve(image, as: "first", readOnly: true),
                try await stage.serve(image, as: "second", readOnly: true),
            ]
            let machine = try await hold(image, readOnly: true)
            _ = try await LabTool.io(image, ["read -P 0 0 4M"], readOnly: true)
            try await expectQEMURefused(image, stage)
            try await expectRoostRefused(image, stage, holder: "roost")
            for reader in readers {
                reader.signal(SIGTERM)
                try await reader.succeed()
            }

            // The guest that is left lets nobody write either.
            try await expectRoostRefused(image, stage, holder: "qemu-system-x86_64")
            try await machine.close()
            try await stage.close()
        }
    }
}
