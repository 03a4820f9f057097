import Foundation
import LabSupport
import RoostMigration
import RoostSystem
import Testing

/// A disk whose backend and hypervisor die: its client sees a delay.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: DiskNeeds.recovery.isEmpty, "\(DiskNeeds.recovery)"))
struct DiskRecoveryLab {
    init() { BrokenPipes.ignore() }

    /// The client's part of the disk in MiB, from its start; behind it are the checker's.
    private static let clientMebibytes = 96
    /// What the backend that is next to die must have moved first.
    private static let bytesBetweenDeaths: UInt64 = 12 << 20

    /// What the checker wrote, each a MiB of one pattern.
    private struct Checker {
        var acknowledged = 0

        private static func words(_ number: Int) -> String {
            "-P \(number + 1) \(clientMebibytes + number)M 1M"
        }

        var nextWrite: String { "write " + Self.words(acknowledged) }

        /// Reads all that was acknowledged.
        func check(_ disk: String) async throws {
            let commands = (0..<acknowledged).map { "read " + Self.words($0) }
            let output = try await LabTool.io(disk, commands, readOnly: true)
            #expect(!output.contains("verification failed"), "\(disk): \(output)")
            #expect(output.contains("read 1048576/1048576 bytes"), "\(disk): \(output)")
        }
    }

    /// Waits until a backend has moved enough since it had moved `start` bytes, or since it came.
    private func progress(
        _ stage: DiskStage, from start: UInt64 = 0, _ client: FioJob
    ) async throws {
        _ = try await poll(.seconds(60), "progress of the client") {
            try #require(!client.isOver, "the client was over too soon")
            let now = try await stage.moved("disk")
            return now >= (now < start ? 0 : start) + Self.bytesBetweenDeaths ? true : nil
        }
    }

    @Test(
        "BLK-11: a client sees a delay when the backend is killed, and no acknowledged write is lost"
    )
    func backendKilled() async throws {
        try await LabClock.measure("disk recovery, backend") {
            let stage = try DiskStage()
            let image = try stage.makeImage("image", mebibytes: Self.clientMebibytes + 16)
            var backend = try await stage.serve(image, as: "disk")
            let disk = try await stage.connect("disk")
            let client = try FioJob(
                .nbd(disk.uri), mebibytes: Self.clientMebibytes, options: ["--rate=32m,32m"])
            var checker = Checker()
            for _ in 0..<4 {
                try await progress(stage, client)
                _ = try await LabTool.io(disk.uri, [checker.nextWrite])
                checker.acknowledged += 1
                try await backend.stop()

                // Nobody has the image now; what was acknowledged is in it.
                try await checker.check(image)
                // Who comes meanwhile waits.
                let waiting = try LabTool.start(
                    "qemu-io", ["-f", "raw", "-c", checker.nextWrite, disk.uri])
                backend = try await stage.serve(image, as: "disk")
                try await waiting.succeed()
                #expect(waiting.output.contains("wrote 1048576/1048576"), "\(waiting.text)")
                checker.acknowledged += 1
            }
            try await finish(client, checker, disk, backend, image)
            try await stage.close()
        }
    }

    @Test("BLK-11: a client sees a delay when the hypervisor is killed, and nothing is lost")
    func hypervisorKilled() async throws {
        try await LabClock.measure("disk recovery, hypervisor") {
            let stage = try DiskStage()
            let image = try stage.makeImage("image", mebibytes: Self.clientMebibytes + 16)
            let backend = try await stage.serve(image, as: "disk")
            let disk = try await stage.connect("disk")
            let client = try FioJob(
                .nbd(disk.uri), mebibytes: Self.clientMebibytes, options: ["--rate=32m,32m"])
            var checker = Checker()
            var start: UInt64 = 0
            for _ in 0..<3 {
                try await progress(stage, from: start, client)
                _ = try await LabTool.io(disk.uri, [checker.nextWrite])
                checker.acknowledged += 1
                start = try await stage.moved("disk")
                try await stage.killHypervisor()
                try await checker.check(image)
                let waiting = try LabTool.start(
                    "qemu-io", ["-f", "raw", "-c", checker.nextWrite, disk.uri])
                // The backend starts another.
                let status = try await waiting.exit()
                try #require(status == 0, "\(waiting.text)\n\(disk.programs[0].text)")
                checker.acknowledged += 1
            }
            try await finish(client, checker, disk, backend, image)
            try await stage.close()
        }
    }

    /// Has the client end, and looks at all that was written: over NBD, and in the image.
    private func finish(
        _ client: FioJob, _ checker: Checker, _ disk: NBDDisk, _ backend: ChildProcess,
        _ image: String
    ) async throws {
        let report = try await client.succeed()
        #expect(report.written == UInt64(Self.clientMebibytes) << 20)
        #expect(report.read == report.written)
        print("lab disk recovery: the client's longest wait was \(report.longest)")
        try await checker.check(disk.uri)
        try await disk.close()
        backend.signal(SIGTERM)
        try await backend.succeed()
        try await checker.check(image)
        let again = try FioJob(
            .file(image), mebibytes: Self.clientMebibytes, options: ["--verify_only=1"])
        #expect(try await again.succeed().read == report.written)
    }
}
