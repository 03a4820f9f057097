import RoostSystem
import StreamSupport
import Testing

@testable import RoostMigration

/// A stored stream on its way to a QEMU.
@Suite(.timeLimit(.minutes(1))) struct RelaySenderTests {
    static let file = "7.2-q35-paused.stream"

    /// Sends a file to a destination that closes after some bytes.
    private func send(
        _ path: String, closesAfter limit: Int = .max
    ) async throws -> (outcome: Result<UInt64, MigrationError>, delivered: [UInt8]) {
        BrokenPipes.ignore()
        let (destination, socket) = try StreamSocket.pair()
        async let delivered = DedicatedThread.run(name: "rig") {
            var bytes: [UInt8] = []
            while bytes.count < limit,
                let more = RelayRig.read(destination, limit: min(65_536, limit - bytes.count))
            {
                bytes += more
            }
            RelayRig.close(destination)
            return bytes
        }
        let outcome: Result<UInt64, MigrationError>
        do throws(MigrationError) {
            outcome = .success(
                try await StreamSender.send(
                    path: path, to: socket, maximumRAMByteCount: 1 << 30
                ) { _ in })
        } catch {
            outcome = .failure(error)
        }
        socket.shutdown(.both)
        return (outcome, try await delivered)
    }

    @Test func `a stored stream arrives as it is`() async throws {
        let bytes = try StreamFixtures.bytes(Self.file)
        let sent = try await send("\(StreamFixtures.folder)/\(Self.file).gz")
        #expect(try sent.outcome.get() == UInt64(bytes.count))
        #expect(sent.delivered == bytes)
    }

    /// A destination that has all it needs closes, and bytes on their way would break that.
    @Test(arguments: [1, 65_536, 4 << 20])
    func `nothing behind the end of a stream is sent`(padding: Int) async throws {
        let bytes = try StreamFixtures.bytes(Self.file)
        let folder = try TemporaryFolder()
        let padded = bytes + [UInt8](repeating: 0, count: padding)
        let sent = try await send(try folder.file("padded", padded))
        #expect(try sent.outcome.get() == UInt64(bytes.count))
        #expect(sent.delivered == bytes)
    }

    @Test func `a file that is no stream is named`() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("passwd", Array("root:x:0:0:root:/root:/bin/sh\n".utf8))
        let sent = try await send(path)
        guard case .failure(let error) = sent.outcome else {
            Issue.record("text was sent")
            return
        }
        #expect(error.description.contains(path))
        #expect(sent.delivered.isEmpty)
    }

    /// The last piece fits into the socket, so that all was sent when the destination goes.
    @Test func `a destination that does not read everything is a failure`() async throws {
        let bytes = try StreamFixtures.bytes(Self.file)
        for limit in [0, 1, 300_000, bytes.count - 1000, bytes.count - 1] {
            let sent = try await send(
                "\(StreamFixtures.folder)/\(Self.file).gz", closesAfter: limit)
            guard case .failure(let error) = sent.outcome else {
                Issue.record("closed after \(limit) of \(bytes.count) bytes")
                continue
            }
            #expect(error.kind == .transfer)
            #expect(error.description.contains("the destination QEMU closed the connection"))
        }
    }

    @Test func `a stream that is cut short is broken off`() async throws {
        let bytes = try StreamFixtures.bytes(Self.file)
        let folder = try TemporaryFolder()
        let sent = try await send(try folder.file("cut", Array(bytes.dropLast(4000))))
        guard case .failure(let error) = sent.outcome else {
            Issue.record("a stream without an end was sent")
            return
        }
        #expect(error.kind == .truncated)
    }

    @Test func `a cancelled task ends the sending`() async throws {
        let (destination, socket) = try StreamSocket.pair()
        let task = Task {
            try await StreamSender.send(
                path: "\(StreamFixtures.folder)/\(Self.file).gz", to: socket,
                maximumRAMByteCount: 1 << 30
            ) { _ in }
        }
        // Something has come, and the rest does not fit.
        _ = try await DedicatedThread.run(name: "rig") { RelayRig.read(destination, limit: 8) }
        task.cancel()
        let error = await #expect(throws: MigrationError.self) { try await task.value }
        #expect(error?.kind == .cancelled)
    }
}
