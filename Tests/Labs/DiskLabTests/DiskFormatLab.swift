import Foundation
import LabSupport
import RoostSystem
import Testing

/// What people have lost: images of other formats, and the files of copies.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: DiskNeeds.formats.isEmpty, "\(DiskNeeds.formats)"))
struct DiskFormatLab {
    init() { BrokenPipes.ignore() }

    /// Formats that qemu-img makes, and how.
    private static let formats = [
        ["qcow2"], ["qcow"], ["qed"], ["vmdk"], ["vmdk", "-o", "subformat=monolithicFlat"],
        ["vmdk", "-o", "subformat=streamOptimized"], ["vpc"],
        ["vpc", "-o", "subformat=fixed,force_size=on"], ["vhdx"], ["vdi"], ["parallels"],
    ]

    /// Runs `roost` where it is to be refused.
    private func refusal(_ stage: DiskStage, _ arguments: String...) async throws -> String {
        let child = try stage.start(arguments)
        #expect(try await child.exit() == 1, "\(child.text)")
        #expect(!child.text.contains("Usage"), "\(child.text)")
        return child.text
    }

    @Test("each format that qemu-img makes is refused untouched, and served when that is asked for")
    func formats() async throws {
        try await LabClock.measure("disk formats") {
            let stage = try DiskStage()
            for (number, format) in Self.formats.enumerated() {
                let image = stage.file("image\(number)")
                _ = stage.file("image\(number)-flat")
                try await LabTool.start(
                    "qemu-img", ["create", "-q", "-f"] + format + [image, "4M"]
                ).succeed()
                let sum = try await LabTool.sha256(of: image)
                let text = try await refusal(
                    stage, "disk", "serve", "--name", "web1", "--image", image)
                #expect(text.contains("qemu-nbd -f \(format[0]) "), "\(text)")
                #expect(try await LabTool.sha256(of: image) == sum)
            }
            // What is served as raw once is known for it.
            let image = stage.file("image2")
            let forced = try stage.start(
                ["disk", "serve", "--name", "web1", "--image", image, "--format", "raw"])
            try await forced.line { $0.hasPrefix("disk web1: serving ") }
            forced.signal(SIGTERM)
            try await forced.succeed()
            let again = try await stage.serve(image, as: "web1")
            again.signal(SIGTERM)
            try await again.succeed()
            try await stage.close()
        }
    }

    @Test("a copy harms neither the disk's image, nor another's, nor an older file")
    func copies() async throws {
        try await LabClock.measure("disk copies") {
            let stage = try DiskStage()
            let image = try stage.makeImage("image", mebibytes: 4)
            _ = try await LabTool.io(image, ["write -P 7 1M 1M"])
            let sum = try await LabTool.sha256(of: image)
            let backend = try await stage.serve(image, as: "web1.raw")
            let link = stage.file("link")
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: image)
            for target in [image, link] {
                let text = try await refusal(
                    stage, "disk", "connect", "web1.raw", "--copy-to", target, "--force")
                #expect(text.contains("the disk's own image"), "\(text)")
            }

            let used = try stage.makeImage("used", mebibytes: 4)
            let ready = stage.file("nbd.pid")
            let server = try LabTool.start(
                "qemu-nbd",
                ["-t", "-f", "raw", "-k", stage.file("nbd"), "--pid-file=\(ready)", used])
            _ = try await poll(.seconds(30), "qemu-nbd") {
                FileManager.default.fileExists(atPath: ready) ? true : nil
            }
            for options in [["--copy-to", used, "--force"], ["--copy-from", used, "--wait"]] {
                let text = try await refusal(
                    stage, "disk", "connect", "web1.raw", options[0], options[1], options[2])
                #expect(text.contains("qemu-nbd (process "), "\(text)")
            }
            try await server.stop()

            // A copy is whole, and takes an older file's place only when told to.
            let copy = stage.file("copy")
            try await stage.run("disk", "connect", "web1.raw", "--copy-to", copy)
            #expect(try await LabTool.sha256(of: copy) == sum)
            let text = try await refusal(
                stage, "disk", "connect", "web1.raw", "--copy-to", copy)
            #expect(text.contains("--force"), "\(text)")
            try await stage.run("disk", "connect", "web1.raw", "--copy-to", copy, "--force")
            // Nobody serves the other name: the file stays, and its name is suggested.
            let absent = try await refusal(
                stage, "disk", "connect", "web1", "--copy-to", copy, "--force")
            #expect(absent.contains("nobody serves") && absent.contains("web1.raw"), "\(absent)")
            #expect(try await LabTool.sha256(of: copy) == sum)
            #expect(try await LabTool.sha256(of: image) == sum)

            backend.signal(SIGTERM)
            try await backend.succeed()
            #expect(!backend.text.contains("error"), "\(backend.text)")
            try await stage.close()
        }
    }
}
