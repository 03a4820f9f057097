import LabSupport
import RoostMigration
import RoostSystem
import Testing

extension RelayLab {
    @Test("MIG-13: A guest moves over TLS, where a client without a certificate is refused")
    func transportSecurity() async throws {
        try await LabClock.measure("relay TLS") {
            let certificates = try await Certificates(["relay", "receive"])
            let source = try await tiny("source")
            let destination = try await tiny("destination", waits: true, stopped: true)
            let folder = try TemporaryFolder()
            let incoming = try await destination.listen()
            let receive = try RoostProgram.start(
                [
                    "migrate", "receive", "--json", "--listen", "tcp:127.0.0.1:0", "--connect",
                    "\(incoming)",
                ] + certificates.options("receive"))
            let words = "receive: waiting for a relay on "
            let waiting = try await receive.line { $0.hasPrefix(words) }
            let real = try Endpoint(String(waiting.text.dropFirst(words.count)))
            guard case .tcp(let host, let port) = real else { throw LabError("\(real)") }

            let stranger = try ChildProcess(
                "/usr/bin/openssl",
                [
                    "s_client", "-connect", "\(host):\(port)", "-CAfile", certificates.authority,
                    "-verify_return_error", "-ign_eof",
                ])
            #expect(try await stranger.exit() != 0)
            #expect(
                stranger.text.contains("certificate required")
                    || stranger.text.contains("handshake failure"), "\(stranger.text)")

            // Which has not ended the wait for the right one.
            let wire = try RecordingProxy(
                at: .tcp(host: "127.0.0.1", port: 0), to: real,
                recording: folder.file("wire.recorded"))
            let relay = try RoostProgram.start(
                [
                    "migrate", "relay", "--json", "--listen", "unix:\(folder.file("relay"))",
                    "--connect", "\(wire.endpoint)",
                ] + certificates.options("relay"))
            try await relay.line { $0.hasPrefix("relay: waiting") }
            let before = try RecordingProxy(
                at: .unix(path: folder.file("source")), to: .unix(path: folder.file("relay")),
                recording: folder.file("source.recorded"))
            let migration = try await LabMigration(
                of: source, to: before.endpoint, capabilities: ["return-path"])
            try await migration.reach(round: 2)
            try await migration.hurry()
            try await migration.complete()
            try await relay.succeed()
            try await receive.succeed()
            try await before.end()
            try await wire.end()
            #expect(receive.text.contains("sent no certificate"), "\(receive.text)")

            try await destination.status("paused")
            let sent = try await SentMemory(
                of: source, arrived: destination.memoryFile, recording: before.recording
            ) { try await tiny("reference", waits: true, stopped: true) }
            let differing = try MemoryFiles.differingPages(sent.file, destination.memoryFile)
            #expect(differing == [])
            try await sent.close()
            // The wire without TLS begins with its name, and holds the guest's text.
            for text in ["ROOSTMIG", "QEVM", "pc.ram"] {
                #expect(try !MemoryFiles.contains(text, in: wire.recording))
            }
            try await source.close()
            try await destination.close()
        }
    }

    @Test("A guest's memory goes over TCP only with TLS, or where --insecure allows it")
    func unprotected() async throws {
        try await LabClock.measure("relay tcp: refused") {
            let commands = [
                ["relay", "--listen", "unix:/nowhere", "--connect", "tcp:127.0.0.1:1"],
                ["receive", "--listen", "tcp:127.0.0.1:0", "--connect", "unix:/nowhere"],
                ["relay", "--listen", "tcp:127.0.0.1:0", "--connect", "unix:/nowhere"],
                ["receive", "--listen", "unix:/nowhere", "--connect", "tcp:127.0.0.1:1"],
                ["send", "/dev/null", "--connect", "tcp:127.0.0.1:1"],
            ]
            for command in commands {
                let roost = try RoostProgram.start(["migrate"] + command)
                #expect(try await roost.exit() != 0)
                let isClear =
                    roost.text.contains("would carry the guest's memory unprotected")
                    || roost.text.contains("is not encrypted")
                #expect(isClear && roost.text.contains("--insecure"), "\(roost.text)")
            }
        }
    }
}
