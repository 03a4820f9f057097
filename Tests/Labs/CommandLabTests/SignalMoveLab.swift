import Foundation
import LabSupport
import RoostSystem
import StreamSupport
import Testing

/// A relay and a receiver that are told to end while a guest is on its way between them.
@Suite(.serialized, .tags(.lab), .timeLimit(.minutes(5)))
struct SignalMoveLab {
    init() { BrokenPipes.ignore() }

    @Test(
        "A signal in the middle of a move ends both relays, and nothing of a guest is left",
        arguments: [SIGINT, SIGTERM, SIGHUP, SIGKILL])
    func moves(number: Int32) async throws {
        try await LabClock.measure("move, signal \(number)") {
            let stage = try CommandStage()
            for victim in ["relay", "receive"] {
                for delay in [Duration.zero, .milliseconds(100), .seconds(1)] {
                    let name =
                        "\(victim)-\(delay.components.attoseconds / 100_000_000_000_000_000)"
                        + "-\(delay.components.seconds)"
                    try await end(victim, name, by: number, after: delay, in: stage)
                }
            }
        }
    }

    private func end(
        _ victim: String, _ name: String, by number: Int32, after delay: Duration,
        in stage: CommandStage
    ) async throws {
        try stage.makeFolder(name)
        let folder = stage.file(name)
        let receive = try stage.start(
            [
                "migrate", "receive", "--listen", "unix:\(folder)/wire", "--output",
                "\(folder)/guest",
            ],
            mark: name)
        try await receive.line { $0.contains("waiting") }
        let relay = try stage.start(
            [
                "migrate", "relay", "--listen", "unix:\(folder)/in", "--connect",
                "unix:\(folder)/wire",
            ],
            mark: name)
        try await relay.line { $0.contains("waiting") }

        // Half a guest, whose source stays.
        let stream = try StreamFixtures.bytes("7.2-q35-paused.stream")
        let source = try StreamSocket.connect(to: .unix(path: "\(folder)/in"))
        try source.send(unsafe Array(stream[..<(stream.count / 2)]).span.bytes)
        // The moment is what is tested, not whether something has happened by then.
        try await Task.sleep(for: delay)
        (victim == "relay" ? relay : receive).signal(number)

        let statuses = try await (relay.exit(), receive.exit())
        #expect(statuses.0 != 0 && statuses.1 != 0, "\(name): \(relay.text)\n\(receive.text)")
        _ = try await poll(.seconds(30), "the end of what \(name) has started") {
            stage.processes(mark: name).isEmpty ? true : nil
        }
        // The source is let go of: it may run on.
        #expect(source.wait(for: .input, until: .now + .seconds(30)) == .this)
        // Whoever is killed leaves what it listened on, and a receiver the part of a file; no file
        // has the name of a whole guest.
        let left = SmallFile.names(in: folder)
        #expect(!left.contains("guest"), "\(name)")
        if number != SIGKILL { #expect(left == [], "\(name)") }
        withExtendedLifetime(source) {}
    }
}
