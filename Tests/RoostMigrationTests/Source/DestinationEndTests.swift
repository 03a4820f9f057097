import RoostMemory
import RoostSystem
import StreamSupport
import Testing

@testable import RoostMigration

/// The end of a stream whose source waits for an answer, at the destination.
@Suite(.timeLimit(.minutes(1))) struct DestinationEndTests {
    /// Sends a stream up to its mark, hears the answer, and only then sends what lies behind.
    private static func load(
        behindTheMark rest: [UInt8]
    ) async throws -> (outcome: Result<DestinationStatistics, MigrationError>, answer: [UInt8]?) {
        var stream = PlainStream()
        stream.opensReturnPath = true
        let bytes = stream.untilMark
        let block = try ScriptedGuest.Block(PlainStream.block, pages: 4)
        let (near, far) = try StreamSocket.pair()
        let destination = MigrationDestination(
            blocks: [block.migrated], socket: far,
            options: DestinationOptions(maximumRAMByteCount: 1 << 30, decompressionThreads: 0))
        async let outcome = MigrationRig.outcome { () throws(MigrationError) in
            try await destination.run()
        }
        try near.send(unsafe bytes.span.bytes)
        let answer = try await DedicatedThread.run(name: "rig") { RelayRig.read(near, limit: 8) }
        if !rest.isEmpty { try near.send(unsafe rest.span.bytes) }
        RelayRig.close(near)
        return (await outcome, answer)
    }

    private static let loaded = [UInt8](
        copying: ReturnPath.message(ReturnPath.Message.shut, 0).bytes)

    @Test func `a stream without a description is answered at its mark`() async throws {
        let (outcome, answer) = try await Self.load(behindTheMark: [])
        #expect(answer == Self.loaded)
        #expect(try outcome.get().zeroPages == 4)
    }

    @Test func `a description may come as late as it likes`() async throws {
        let (outcome, answer) = try await Self.load(behindTheMark: PlainStream().end)
        #expect(answer == Self.loaded)
        var stream = PlainStream()
        stream.opensReturnPath = true
        #expect(try outcome.get().streamBytes == UInt64(stream.bytes.count))
    }

    @Test func `a guest is not started when its source breaks off behind the answer`() async throws
    {
        let (outcome, _) = try await Self.load(behindTheMark: PlainStream().end.dropLast(3))
        guard case .failure(let error) = outcome else {
            Issue.record("a stream that was cut short was taken")
            return
        }
        #expect(error.kind == .truncated)
        #expect(error.description.contains("the source was told"))
    }
}
