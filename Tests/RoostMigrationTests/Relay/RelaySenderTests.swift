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

    /// At the end-of-file mark QEMU would start what it has.
    @Test(arguments: [1, 2, 20, 200, 4000])
    func `of a stream that is cut short no mark is handed on`(missing: Int) async throws {
        let bytes = try StreamFixtures.bytes(Self.file)
        let folder = try TemporaryFolder()
        let sent = try await send(try folder.file("cut", Array(bytes.dropLast(missing))))
        guard case .failure(let error) = sent.outcome else {
            Issue.record("a stream without an end was sent")
            return
        }
        #expect(error.kind == .truncated)
        #expect(sent.delivered == Array(bytes[..<(try StreamMap(bytes).tail)]))
    }

    @Test(arguments: [0, 1, 65_536, 40 << 20])
    func `nothing behind a stream without a description is sent`(padding: Int) async throws {
        let bytes = PlainStream(isDescribed: false).bytes
        let folder = try TemporaryFolder()
        let padded = bytes + [UInt8](repeating: 0, count: padding)
        let sent = try await send(try folder.file("padded", padded))
        #expect(try sent.outcome.get() == UInt64(bytes.count))
        #expect(sent.delivered == bytes)
    }

    @Test func `a stream without its pages is not sent`() async throws {
        let folder = try TemporaryFolder()
        let bytes = PlainStream(hasPages: false).bytes
        let sent = try await send(try folder.file("multifd", bytes))
        guard case .failure(let error) = sent.outcome else {
            Issue.record("memory without pages was sent")
            return
        }
        #expect(error.kind == .unsupported)
        #expect(try bytes[..<StreamMap(bytes).tail].starts(with: sent.delivered))
    }

    /// More devices than are held: what may be the mark is.
    @Test func `the mark behind very many devices is held too`() throws {
        var holder = TailHolder()
        var passed = 0
        let memory = [UInt8](repeating: 7, count: 1000)
        try holder.take(unsafe memory.span.bytes, memoryEnd: 600) { passed += $0.byteCount }
        #expect(passed == 600)
        let devices = [UInt8](repeating: 0, count: 1 << 20)
        for _ in 0..<TailHolder.limit >> 20 {
            try holder.take(unsafe devices.span.bytes, memoryEnd: 600) { passed += $0.byteCount }
        }
        #expect(passed == 1000 + TailHolder.limit - 1)
        var released: [UInt8] = []
        try holder.release(upTo: .max) { released += [UInt8](copying: $0) }
        #expect(released == [0])
    }

    @Test func `a cancelled task ends the sending, and nothing was started`() async throws {
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
        #expect(error?.description.contains("nothing was started") == true)
    }

    @Test func `who cancels behind the mark is told that it was handed on`() async throws {
        let bytes = PlainStream().bytes
        let folder = try TemporaryFolder()
        let path = try folder.file("stream", bytes)
        let (destination, socket) = try StreamSocket.pair()
        let task = Task {
            try await StreamSender.send(path: path, to: socket, maximumRAMByteCount: 1 << 30) { _ in
            }
        }
        let delivered = try await DedicatedThread.run(name: "rig") {
            var delivered: [UInt8] = []
            while delivered.count < bytes.count, let more = RelayRig.read(destination) {
                delivered += more
            }
            return delivered
        }
        #expect(delivered == bytes)
        task.cancel()
        let error = await #expect(throws: MigrationError.self) { try await task.value }
        #expect(error?.kind == .cancelled)
        #expect(error?.description.contains("it starts the guest") == true)
        RelayRig.close(destination)
    }
}
