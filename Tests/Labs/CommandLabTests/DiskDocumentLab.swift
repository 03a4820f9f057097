import Glibc
import LabSupport
import RoostMigration
import RoostSystem
import Testing

/// What the commands of disks print as JSON while a disk is served and used.
@Suite(.serialized, .tags(.lab), .timeLimit(.minutes(5)))
struct DiskDocumentLab {
    init() { BrokenPipes.ignore() }

    @Test("the commands of disks print documents as their schemas say")
    func documents() async throws {
        try await LabClock.measure("documents of disks") {
            let stage = try CommandStage()
            let server = try stage.start(
                ["disk", "serve", "--image", "ram:1M", "--name", "web1", "--json"], mark: "-")
            try await server.line { $0.contains("\"serving\"") }
            // A writable disk has one guest at a time.
            var documents: [(name: String, text: String)] = []
            let copy = try await stage.run(
                ["disk", "connect", "web1", "--copy-to", stage.file("copy"), "--json"])
            #expect(copy.status == 0, "\(copy.errors)")
            documents.append(("copy", copy.output))
            let guest = try stage.start(
                ["disk", "connect", "web1", "--nbdkit", stage.file("nbd"), "--json"], mark: "-")
            try await guest.line { $0.contains("disk.connect") }
            try await LabTool.run("nbdinfo", "nbd+unix:///?socket=\(stage.file("nbd"))")
            func take(_ arguments: String...) async throws -> JSONValue {
                let run = try await stage.run(arguments + ["--json"])
                #expect(run.status == 0, "\(arguments): \(run.errors)")
                documents.append((arguments.joined(separator: " "), run.output))
                return try JSONValue(json: run.output.utf8)
            }
            _ = try await take("disk", "list")
            _ = try await take("disk", "doctor", "web1")
            let domains = try await take("disk", "list", "--domains")["domains"]?.array ?? []
            let nbdkit = domains.first { $0["name"]?.string?.contains("nbdkit") == true }
            let number = try #require(
                (nbdkit?["domain"])?.unsignedInteger)
            let device = ["web1", "--domain", "\(number)", "--device", "xvdc"]
            // No driver of that domain takes the device, so it is not asked to let it go.
            for (command, options) in [("attach", []), ("detach", ["--force"])] {
                let run = try await stage.run(["disk", command] + device + options + ["--json"])
                #expect(run.status == 0, "\(command): \(run.errors)")
                documents.append((command, run.output))
            }
            for child in [guest, server] {
                child.signal(SIGTERM)
                try await child.succeed()
                documents += child.output.split(separator: "\n").map { (child.name, String($0)) }
            }
            #expect(documents.count >= 9)
            #expect(try await DocumentSchemas.faults(in: documents) == [])
            try await stage.close()
        }
    }
}
