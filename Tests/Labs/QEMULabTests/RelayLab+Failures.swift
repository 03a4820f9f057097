import Glibc
import LabSupport
import RoostMigration
import RoostSystem
import Testing

extension RelayLab {
    /// Expects that a source has kept its guest and that this works on.
    func expectToRunOn(_ source: LabQEMU) async throws {
        try await source.status("running")
        try await source.turn()
    }

    /// What a way of breaking a move must come to.
    struct Breakage: Sendable, CustomTestStringConvertible {
        enum Part: String {
            case destination, relay, receive
        }

        let part: Part
        let relay: String
        let receive: String

        var testDescription: String { part.rawValue }
    }

    @Test("MIG-9: A destination that is not there is told, and the source's guest runs on")
    func missingDestination() async throws {
        try await LabClock.measure("relay destination missing") {
            let source = try await tiny("source")
            let nowhere = try TemporaryFolder()
            let folder = try TemporaryFolder()
            let receive = try RoostProgram.start([
                "migrate", "receive", "--listen", "unix:\(folder.file("wire"))", "--connect",
                "unix:\(nowhere.file("qemu"))",
            ])
            try await receive.line { $0.hasPrefix("receive: waiting") }
            let relay = try RoostProgram.start([
                "migrate", "relay", "--listen", "unix:\(folder.file("relay"))", "--connect",
                "unix:\(folder.file("wire"))",
            ])
            try await relay.line { $0.hasPrefix("relay: waiting") }
            let migration = try await LabMigration(
                of: source, to: .unix(path: folder.file("relay")))
            #expect(try await migration.end() == "failed")
            #expect(try await relay.exit() == 1)
            #expect(try await receive.exit() == 1)
            let sentence = "no destination QEMU: cannot connect to unix:\(nowhere.file("qemu"))"
            #expect(receive.text.contains(sentence))
            #expect(relay.text.contains("the receiving side says: \(sentence)"))
            try await expectToRunOn(source)

            // And nobody at all behind the relay.
            let alone = try RoostProgram.start([
                "migrate", "relay", "--listen", "unix:\(folder.file("alone"))", "--connect",
                "unix:\(nowhere.file("receive"))",
            ])
            try await alone.line { $0.hasPrefix("relay: waiting") }
            let second = try await LabMigration(
                of: source, to: .unix(path: folder.file("alone")))
            #expect(try await second.end() == "failed")
            #expect(try await alone.exit() == 1)
            #expect(
                alone.text.contains("cannot connect to unix:\(nowhere.file("receive"))"),
                "\(alone.text)")
            try await expectToRunOn(source)
            try await source.close()
        }
    }

    @Test(
        "MIG-9: Whatever is killed on the way is told, and the source's guest runs on",
        arguments: [
            Breakage(
                part: .destination, relay: "the receiving side says: the destination QEMU",
                receive: "the destination QEMU"),
            Breakage(
                part: .relay, relay: "",
                receive: "the sending relay went away before the stream was whole"),
            Breakage(
                part: .receive, relay: "the receiving relay went away before the move was complete",
                receive: ""),
        ])
    func killed(_ breakage: Breakage) async throws {
        try await LabClock.measure("relay \(breakage.part) killed") {
            let source = try await tiny("source")
            let destination = try await tiny("destination", waits: true)
            let path = try await RelayPath(to: destination.listen())
            let migration = try await path.migrate(source)
            try await migration.reach(round: 2)
            switch breakage.part {
            case .destination: destination.child.signal(9)
            case .relay: path.relay.signal(9)
            case .receive: path.receive.signal(9)
            }
            #expect(try await migration.end() == "failed")
            let status = try await path.exit()
            #expect(status.relay == (breakage.part == .relay ? -9 : 1))
            #expect(status.receive == (breakage.part == .receive ? -9 : 1))
            #expect(path.relay.text.contains(breakage.relay), "\(path.relay.text)")
            #expect(path.receive.text.contains(breakage.receive), "\(path.receive.text)")
            // A QEMU that was to take the guest has not started it, and is gone.
            #expect(try await destination.child.exit() != 0)
            try await expectToRunOn(source)
            try await source.close()
            try await destination.close()
        }
    }

    @Test(
        "MIG-11: What is no stream ends a relay, which says where it is wrong",
        arguments: [
            ("coffee, black, no sugar", "offset 0"),
            ("QEVM\u{0}\u{0}\u{0}\u{3}\u{1}\u{0}\u{0}\u{0}\u{1}garbage", "offset"),
        ])
    func garbage(_ text: String, _ place: String) async throws {
        try await LabClock.measure("relay garbage") {
            let destination = try await tiny("destination", waits: true)
            let path = try await RelayPath(to: destination.listen())
            let socket = try StreamSocket.connect(to: path.entrance)
            let bytes = Array(text.utf8)
            try socket.send(unsafe bytes.span.bytes)
            socket.shutdown(.writing)
            #expect(try await path.exit() == (1, 1))
            #expect(path.relay.text.contains(place), "\(path.relay.text)")
            #expect(path.receive.text.contains("the sending side says"), "\(path.receive.text)")
            #expect(try await destination.child.exit() != 0)
        }
    }

    @Test(
        "MIG-9: a signal to roost migrate guest cancels the move, and the guest runs on",
        arguments: [SIGINT, SIGTERM, SIGHUP, SIGKILL])
    func interrupted(number: Int32) async throws {
        try await LabClock.measure("relay signal \(number)") {
            let source = try await tiny("source")
            let destination = try await tiny("destination", waits: true)
            let roost = try RoostProgram.start([
                "migrate", "guest", "--from", source.monitorPath, "--to", destination.monitorPath,
                "--max-bandwidth", "100K",
            ])
            try await roost.line { $0.hasPrefix("active") }
            roost.signal(number)
            let status = try await roost.exit()
            try await expectToRunOn(source)
            #expect(try await destination.child.exit() != 0)
            // Whoever is killed says nothing and puts nothing back.
            if number != SIGKILL {
                #expect(status == 1)
                #expect(roost.text.contains("the guest runs on at the source"), "\(roost.text)")
                let parameters = try await source.control.execute("query-migrate-parameters")
                #expect(parameters["max-bandwidth"] == 134_217_728)
            }
            try await source.close()
        }
    }
}
