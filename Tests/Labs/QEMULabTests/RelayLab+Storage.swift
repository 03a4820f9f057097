import Foundation
import LabSupport
import RoostMigration
import RoostSystem
import Testing

extension RelayLab {
    @Test("MIG-12: A guest is stored by a live move to a file, and goes on from it in a QEMU")
    func store() async throws {
        try await LabClock.measure("relay store and send") {
            let source = try await tiny("source")
            let folder = try TemporaryFolder()
            let file = folder.file("guest.stream")
            let path = try await RelayPath(to: nil, file: file, recordsSource: true)
            let migration = try await path.migrate(
                source, capabilities: ["xbzrle"])
            try await migration.reach(round: 2)
            // Whatever is there by now is not the file.
            #expect(!FileManager.default.fileExists(atPath: file))
            try await migration.hurry()
            try await migration.complete()
            // The source let go of the guest when all of it was on disk; then the file gets its name.
            _ = try await path.succeed()
            #expect(FileManager.default.fileExists(atPath: file))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 1)

            let verify = try RoostProgram.start(["stream", "verify", file])
            try await verify.succeed()
            #expect(verify.text.contains("sound"))
            let zstd = try ChildProcess("/usr/bin/zstd", ["-q", file])
            try await zstd.succeed()

            let last = try source.lastTurn()
            for stored in [file, file + ".zst"] {
                let destination = try await tiny("destination", waits: true, stopped: true)
                let incoming = try await destination.listen()
                let send = try RoostProgram.start([
                    "migrate", "send", stored, "--connect", "\(incoming)",
                ])
                try await send.succeed()
                try await destination.status("paused")
                let sent = try await SentMemory(
                    of: source, arrived: destination.memoryFile,
                    recording: try #require(path.source).recording
                ) { try await tiny("reference", waits: true, stopped: true) }
                let differing = try MemoryFiles.differingPages(sent.file, destination.memoryFile)
                #expect(differing == [])
                try await sent.close()
                try await destination.cont()
                try await destination.turn(after: last)
                try await destination.close()
            }
            try await source.close()

            // The tools on a stored stream clean up behind a full disk, too.
            let convert = try RoostProgram.start(
                ["stream", "convert", file, "--output", folder.file("converted.stream")],
                fileByteCountLimit: 300_000)
            #expect(try await convert.exit() == 1)
            #expect(convert.text.contains("File too large"), "\(convert.text)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 2)
        }
    }

    @Test("MIG-9: A disk that fills while a guest is stored leaves no file, and the guest runs on")
    func fullDisk() async throws {
        try await LabClock.measure("relay full disk") {
            let source = try await tiny("source")
            // A device that is always full, and a limit on the length of files, midway.
            let folder = try TemporaryFolder()
            let places: [(file: String, limit: Int?, reason: String)] = [
                ("/dev/full", nil, "No space left on device"),
                (folder.file("guest.stream"), 300_000, "File too large"),
            ]
            for place in places {
                let path = try await RelayPath(
                    to: nil, file: place.file, fileByteCountLimit: place.limit)
                let migration = try await path.migrate(source)
                #expect(try await migration.end() == "failed")
                #expect(try await path.exit() == (1, 1))
                let sentence = "cannot write \(place.file): \(place.reason)"
                #expect(path.receive.text.contains(sentence), "\(path.receive.text)")
                #expect(path.relay.text.contains("the receiving side says: \(sentence)"))
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
                try await expectToRunOn(source)
            }
            try await source.close()
        }
    }
}
