import Foundation
import LabSupport
import RoostMigration
import RoostSystem
import TestSupport
import Testing

/// Programs that know nothing of Roost use its disks.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: DiskNeeds.clients.isEmpty, "\(DiskNeeds.clients)"))
struct DiskClientLab {
    /// The disk's length in MiB.
    private static let mebibytes = 64

    init() { BrokenPipes.ignore() }

    /// What a disk is made of.
    enum Medium: CaseIterable {
        case memory, file

        func image(_ stage: DiskStage) throws -> String {
            switch self {
            case .memory: "ram:\(mebibytes)M"
            case .file: try stage.makeImage("image", mebibytes: mebibytes)
            }
        }
    }

    /// A file as long as the disk: noise, with a hole in its middle.
    private func makeSource(_ stage: DiskStage, seed: UInt64) throws -> String {
        let path = try stage.makeImage("source", mebibytes: Self.mebibytes)
        guard let handle = FileHandle(forWritingAtPath: path) else { throw LabError(path) }
        var random = SeededRandom(seed: seed)
        let noise = (0..<5 << 17).map { _ in random.next() }
        let bytes = unsafe noise.withUnsafeBytes { unsafe Data($0) }
        for mebibyte in [0, 5, 40, Self.mebibytes - 5] {
            try handle.seek(toOffset: UInt64(mebibyte) << 20)
            try handle.write(contentsOf: bytes)
        }
        try handle.close()
        return path
    }

    @Test(
        "nbdinfo, nbdcopy, qemu-io and fio find on a disk what they wrote",
        arguments: Medium.allCases)
    func clients(medium: Medium) async throws {
        try await LabClock.measure("disk clients, \(medium)") {
            let stage = try DiskStage()
            let disk = try await stage.disk(medium.image(stage))
            let information = try await export(disk)
            #expect(information["export-size"]?.unsignedInteger == UInt64(Self.mebibytes) << 20)
            #expect(information["is_read_only"] == false)
            #expect(information["can_flush"] == true)
            #expect(information["can_trim"] == true)

            let source = try makeSource(stage, seed: 1)
            try await LabTool.run("nbdcopy", source, disk.uri)
            try await LabTool.run("nbdcopy", disk.uri, stage.file("back"))
            #expect(
                try await LabTool.sha256(of: source)
                    == LabTool.sha256(of: stage.path("back")))

            try await patterns(disk)
            let report = try await FioJob(
                .nbd(disk.uri), mebibytes: Self.mebibytes / 2, jobs: 2
            ).succeed()
            #expect(report.written == UInt64(Self.mebibytes) << 20)
            #expect(report.read == report.written)

            // What the image holds at the end is what the last client reads.
            try await LabTool.run("nbdcopy", disk.uri, stage.file("last"))
            try await disk.close()
            if medium == .file {
                try await LabTool.run("cmp", stage.path("image"), stage.path("last"))
            }
            try await stage.close()
        }
    }

    /// The first export, as nbdinfo tells of it.
    private func export(_ disk: NBDDisk) async throws -> JSONValue {
        let text = try await LabTool.run("nbdinfo", "--json", disk.uri)
        guard let export = try JSONValue(json: text.utf8)["exports"]?.array?.first else {
            throw LabError("nbdinfo tells of no export: \(text)")
        }
        return export
    }

    /// Writes patterns of odd lengths at odd places, several at once, discards, and compares.
    private func patterns(_ disk: NBDDisk) async throws {
        let last = Self.mebibytes << 20
        var commands = [
            "write -P 0x11 0 4M",
            // Within a sector, across sectors, across pages, across 11 segments, at the end.
            "write -P 0x22 100 7", "write -P 0x33 1000 600", "write -P 0x44 8000 500",
            "write -P 0x55 70001 200003", "write -P 0x66 \(last - 513) 513",
            "read -P 0x11 0 100", "read -P 0x22 100 7", "read -P 0x11 107 893",
            "read -P 0x33 1000 600", "read -P 0x11 1600 6400", "read -P 0x44 8000 500",
            "read -P 0x11 8500 61501", "read -P 0x55 70001 200003", "read -P 0x11 270004 1M",
            "read -P 0x66 \(last - 513) 513",
            "write -f -P 0x77 8M 64k", "flush", "read -P 0x77 8M 64k",
        ]
        commands += (0..<24).map { "aio_write -P \(128 + $0) \((16 << 20) + $0 * 90112) 90112" }
        commands.append("aio_flush")
        commands += (0..<24).map { "read -P \(128 + $0) \((16 << 20) + $0 * 90112) 90112" }
        commands += [
            "write -z 1M 1M", "read -P 0 1M 1M", "discard 2M 1M", "read -P 0 2M 1M",
            "read -P 0x11 3M 1M", "flush",
        ]
        let output = try await LabTool.io(disk.uri, commands)
        #expect(!output.contains("verification failed"), "\(output)")
        for (command, line) in [("write", "wrote "), ("read", "read ")] {
            let count = commands.count { $0.hasPrefix(command) || $0.hasPrefix("aio_" + command) }
            let done = output.split(separator: "\n").count { $0.hasPrefix(line) }
            #expect(done == count, "\(output)")
        }

        // Past the end nothing is written.
        let refusal = try await LabTool.refusal(
            of: "qemu-io", "-f", "raw", "-c", "write -P 1 \(last - 512) 1024", disk.uri)
        #expect(!refusal.contains("wrote"), "\(refusal)")
        let after = try await LabTool.io(disk.uri, ["read -P 0x66 \(last - 513) 513"])
        #expect(!after.contains("verification failed"), "\(after)")
    }

    @Test("A file copied to a disk and back is the same file", arguments: Medium.allCases)
    func copies(medium: Medium) async throws {
        try await LabClock.measure("disk copies, \(medium)") {
            let stage = try DiskStage()
            let source = try makeSource(stage, seed: 2)
            let backend = try await stage.serve(medium.image(stage), as: "copied")
            try await stage.run("disk", "connect", "copied", "--copy-from", source)
            try await stage.run("disk", "connect", "copied", "--copy-to", stage.file("back"))
            try await LabTool.run("cmp", source, stage.path("back"))
            backend.signal(SIGTERM)
            try await backend.succeed()
            if medium == .file { try await LabTool.run("cmp", source, stage.path("image")) }
            try await stage.close(waitsForIdleEnd: medium == .memory)
        }
    }

    @Test("A read-only disk is read, and refuses to be written", arguments: Medium.allCases)
    func readOnly(medium: Medium) async throws {
        try await LabClock.measure("disk read-only, \(medium)") {
            let stage = try DiskStage()
            let image = try medium.image(stage)
            if medium == .file {
                try await LabTool.run("qemu-io", "-f", "raw", "-c", "write -P 9 0 1M", image)
            }
            let disk = try await stage.disk(image, readOnly: true)
            #expect(try await export(disk)["is_read_only"] == true)
            let read = try await LabTool.io(
                disk.uri, ["read -P \(medium == .file ? 9 : 0) 0 1M"], readOnly: true)
            #expect(!read.contains("verification failed"), "\(read)")
            let source = try makeSource(stage, seed: 3)
            let copying = try await LabTool.refusal(of: "nbdcopy", source, disk.uri)
            #expect(copying.contains("read-only"), "\(copying)")
            let writing = try await LabTool.refusal(
                of: "qemu-io", "-f", "raw", "-c", "write -P 1 0 512", disk.uri)
            #expect(writing.contains("Permission denied"), "\(writing)")
            try await disk.close()
            try await stage.close()
        }
    }
}
