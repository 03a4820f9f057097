import RoostSystem
import StreamSupport
import Testing

@testable import RoostMigration

/// Further connections of a source, such as multifd makes.
@Suite(.timeLimit(.minutes(1))) struct RelayChannelTests {
    /// Opens a further connection once a part of the stream was carried, and waits for what
    /// becomes of it.
    private func rig(_ file: String, saying bytes: [UInt8]) throws -> RelayRig {
        var rig = RelayRig(try StreamFixtures.bytes(file))
        rig.sourcePlace = 100
        rig.atSourcePlace = { relay, _ in
            guard let (channel, near) = try? StreamSocket.pair() else { return }
            try? channel.send(unsafe bytes.span.bytes)
            let looked = Task { await relay.look(at: near) }
            // The relay shuts the connection when it has seen enough.
            _ = RelayRig.read(channel)
            looked.cancel()
        }
        return rig
    }

    /// Before QEMU 8.1 the stream itself does not tell.
    @Test(
        arguments: ["7.2-q35-multifd-none", "7.2-q35-multifd-zstd", "10.0-q35-multifd-none"])
    func `a source with multifd is told so on both sides`(file: String) async throws {
        let magic: [UInt8] = [0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1]
        let outcome = try await rig("\(file).to-destination", saying: magic).run()
        for side in [outcome.relay, outcome.receiver] {
            let error = #expect(throws: MigrationError.self) { try side.get() }
            #expect(error?.description.contains("multifd") == true)
            #expect(error?.description.contains("off") == true)
            #expect(error?.description.contains("cut short") == false)
        }
        #expect(await outcome.leavesNothing)
    }

    @Test(arguments: [Array("GET / HTTP/1.1\r\n".utf8), [0x51, 0x45, 0x56, 0x4d]] as [[UInt8]])
    func `another connection does not end the move`(bytes: [UInt8]) async throws {
        let outcome = try await rig("7.2-q35-paused.stream", saying: bytes).run()
        _ = try outcome.relay.get()
        _ = try outcome.receiver.get()
    }
}
