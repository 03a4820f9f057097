import RoostMemory
import RoostSystem
import StreamSupport
import SystemPackage
import Testing

@testable import RoostMigration

/// The other end of a wire, for what no relay and no receiver of ours does.
private final class WirePeer: Sendable {
    let socket: StreamSocket

    init(_ socket: StreamSocket) {
        self.socket = socket
    }

    /// Says frames; HELLO is among them, since their sequence begins with it.
    func say(_ body: (inout FrameWriter) -> Void) throws {
        try socket.send(unsafe WireFrame.bytes(body).span.bytes)
    }

    /// Every frame up to the end of the input.
    func hearAll() throws -> [WireFrame] {
        var bytes: [UInt8] = []
        while let more = RelayRig.read(socket) { bytes += more }
        return try WireFrame.read(bytes)
    }
}

/// A relay or a receiver alone, with a wire whose other end follows a script.
@Suite(.timeLimit(.minutes(1))) struct RelayPeerTests {
    static let options = RelayOptions.quick

    private static func answer(_ type: UInt16, _ value: UInt32) -> [UInt8] {
        [UInt8](copying: ReturnPath.message(type, value).bytes)
    }

    // MARK: A receiver that does not behave

    /// What a relay made of a receiver, and what either of its peers saw.
    private struct Relayed {
        let outcome: Result<RelayStatistics, MigrationError>
        let frames: [WireFrame]
        let answered: [UInt8]

        var error: MigrationError? {
            if case .failure(let error) = outcome { error } else { nil }
        }
    }

    /// Runs a relay with a whole stream against frames that are there from the start.
    private func relay(
        _ file: String = "7.2-q35-return-path.to-destination", sends bytes: Int = .max,
        reads: Bool = true, _ frames: @escaping @Sendable (inout FrameWriter) -> Void
    ) async throws -> Relayed {
        BrokenPipes.ignore()
        let (source, relaySource) = try StreamSocket.pair()
        let (relayWire, far) = try StreamSocket.pair()
        let peer = WirePeer(far)
        let stream = try StreamFixtures.bytes(file)
        let relay = MigrationRelay(
            source: relaySource, wire: WireSocket(relayWire), options: Self.options)
        async let heard = DedicatedThread.run(name: "rig") {
            try peer.say(frames)
            let heard = try peer.hearAll()
            peer.socket.shutdown(.both)
            return heard
        }
        async let answered = DedicatedThread.run(name: "rig") {
            try? source.send(
                unsafe stream.span.bytes.extracting(0..<min(bytes, stream.count)))
            var answers: [UInt8] = []
            while reads, let more = RelayRig.read(source) { answers += more }
            return answers
        }
        let outcome: Result<RelayStatistics, MigrationError>
        do throws(MigrationError) {
            outcome = .success(try await relay.run())
        } catch {
            outcome = .failure(error)
        }
        return Relayed(outcome: outcome, frames: try await heard, answered: try await answered)
    }

    @Test(arguments: [WireFormat.Kind.started, .unknown, .prepared])
    func `a receiver that answers before it was asked is not believed`(
        kind: WireFormat.Kind
    ) async throws {
        let relayed = try await relay("7.2-q35-rounds.stream", sends: 400_000) { writer in
            writer.hello()
            writer.frame(.ready)
            if kind == .prepared {
                writer.frame(kind, length: 400_000)
            } else {
                writer.frame(kind)
            }
        }
        #expect(relayed.error?.description.contains("(\(kind)) that is damaged or out") == true)
        #expect(relayed.frames.last?.kind == .failed)
        #expect(!relayed.frames.contains { $0.kind == .end || $0.kind == .commit })
    }

    /// Whatever the destination says, the source lets go by the receiver's word alone.
    @Test func `a destination's last word does not reach the source`() async throws {
        let relayed = try await relay { writer in
            writer.hello()
            writer.frame(.ready)
            writer.frame(.answer, unsafe (Self.answer(2, 1) + Self.answer(1, 0)).span.bytes)
        }
        #expect(relayed.error?.kind == .peer)
        #expect(relayed.answered.isEmpty)
    }

    @Test func `a destination that has the guest before its memory is not believed`() async throws {
        let relayed = try await relay(sends: 100_000) { writer in
            writer.hello()
            writer.frame(.ready)
            writer.frame(.answer, unsafe Self.answer(1, 0).span.bytes)
        }
        #expect(relayed.error?.kind == .peer)
        #expect(relayed.answered.isEmpty)
    }

    @Test(arguments: [
        WireFrame(.ready), WireFrame(.begin, [0, 0, 0, 3]), WireFrame(.pages),
        WireFrame(.end, [UInt8](repeating: 0, count: 24)),
        WireFrame(.acknowledge, [0, 0, 1, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8)),
        WireFrame(.acknowledge, [UInt8](repeating: 0, count: 8) + [0, 0, 1, 0, 0, 0, 0, 0]),
        WireFrame(.answer, [0, 1, 0xff, 0xff]),
    ])
    func `a frame out of place ends the move`(frame: WireFrame) async throws {
        let relayed = try await relay { writer in
            writer.hello()
            writer.frame(.ready)
            writer.frame(frame.kind, unsafe frame.payload.span.bytes)
        }
        #expect(relayed.error?.description.contains("(\(frame.kind)) that is damaged") == true)
        #expect(relayed.error?.description.hasSuffix("the guest stays at the source") == true)
    }

    @Test func `answers that nobody asked for are refused`() async throws {
        let relayed = try await relay("7.2-q35-paused.stream", sends: 100_000) { writer in
            writer.hello()
            writer.frame(.ready)
            writer.frame(.answer, unsafe Self.answer(2, 1).span.bytes)
        }
        #expect(relayed.error?.description.contains("(answer) that is damaged") == true)
        #expect(relayed.answered.isEmpty)
    }

    @Test func `a receiver that fails says why, also before READY`() async throws {
        for isReady in [false, true] {
            let relayed = try await relay { writer in
                writer.hello()
                if isReady { writer.frame(.ready) }
                writer.failed("the disk is full")
            }
            #expect(
                relayed.error?.description
                    == "the receiving side says: the disk is full; the guest stays at the source")
            // It knows already.
            #expect(!relayed.frames.contains { $0.kind == .failed })
        }
        let relayed = try await relay { $0.failed("no room for a guest") }
        #expect(relayed.error?.description.contains("no room for a guest") == true)
    }

    @Test func `a receiver of another version is named`() async throws {
        let relayed = try await relay { writer in
            writer.frame(.hello, unsafe (Array("ROOSTMIG".utf8) + [0, 9]).span.bytes)
        }
        #expect(relayed.error?.description.contains("speaks version 9") == true)
        #expect(relayed.frames.map(\.kind) == [.hello, .open, .failed])
    }

    /// The source reads nothing back while the receiver answers without end: neither direction
    /// may wait for the other.
    @Test func `a source that reads no answers cannot stop the wire`() async throws {
        let answer = Self.answer(2, 1)
        let many = [UInt8]((0..<WireFormat.answerLimit / 8).flatMap { _ in answer })
        let (source, relaySource) = try StreamSocket.pair()
        let (relayWire, far) = try StreamSocket.pair()
        let relay = MigrationRelay(
            source: relaySource, wire: WireSocket(relayWire), options: Self.options)
        let stream = try StreamFixtures.bytes("7.2-q35-return-path.to-destination")
        let isAsked = StopLatch()
        async let forward: Int = DedicatedThread.run(name: "rig") {
            var count = 0
            while let more = RelayRig.read(far) {
                count += more.count
                // OPEN_RETURN_PATH is among the first bytes.
                if count > 10_000 { isAsked.open() }
            }
            isAsked.open()
            return count
        }
        async let backward: Void = DedicatedThread.run(name: "rig") {
            var writer = FrameWriter()
            writer.hello()
            writer.frame(.ready)
            try far.send(writer.output.bytes)
            writer.output.removeAll()
            try source.send(unsafe stream.span.bytes.extracting(0..<300_000))
            isAsked.wait()
            while true {
                guard (try? far.send(writer.output.bytes)) != nil else { break }
                writer.output.removeAll()
                writer.frame(.answer, unsafe many.span.bytes)
            }
        }
        let error = await #expect(throws: MigrationError.self) { try await relay.run() }
        #expect(try await forward > 0)
        try await backward
        #expect(
            error?.description.contains("does not read what the destination answers") == true)
    }

    // MARK: A relay that does not behave

    /// Runs a receiver for a destination that takes what comes, against frames.
    private func receive(
        _ frames: @escaping @Sendable (inout FrameWriter) -> Void
    ) async throws -> (error: MigrationError?, frames: [WireFrame], delivered: [UInt8]) {
        BrokenPipes.ignore()
        let (destination, output) = try StreamSocket.pair()
        let (receiverWire, far) = try StreamSocket.pair()
        let peer = WirePeer(far)
        let receiver = MigrationReceiver(
            wire: WireSocket(receiverWire), output: .socket(output), options: Self.options)
        async let heard = DedicatedThread.run(name: "rig") {
            try peer.say(frames)
            peer.socket.shutdown(.writing)
            return try peer.hearAll()
        }
        async let delivered = DedicatedThread.run(name: "rig") {
            var bytes: [UInt8] = []
            while let more = RelayRig.read(destination) { bytes += more }
            RelayRig.close(destination)
            return bytes
        }
        var failure: MigrationError?
        do throws(MigrationError) {
            _ = try await receiver.run()
        } catch {
            failure = error
        }
        return (failure, try await heard, try await delivered)
    }

    @Test func `a relay that goes away before the end is named`() async throws {
        let received = try await receive { writer in
            writer.hello()
            writer.open(.begin, MoveSession(), MoveSession())
            writer.begin(streamVersion: 3)
        }
        #expect(received.error?.description.contains("the sending relay went away") == true)
        #expect(received.frames.map(\.kind) == [.hello, .ready, .acknowledge, .failed])
        #expect(received.delivered.count == 8)
    }

    @Test func `whoever says nothing is named`() async throws {
        let received = try await receive { _ in }
        #expect(received.error?.description.contains("went away without a word") == true)
        #expect(received.delivered.isEmpty)
    }

    @Test func `a relay that fails says why, also after the end`() async throws {
        for isWhole in [false, true] {
            let received = try await receive { writer in
                writer.hello()
                writer.open(.begin, MoveSession(), MoveSession())
                if isWhole { WireTests.stream(&writer) }
                writer.failed("the source is gone")
            }
            #expect(
                received.error?.description == "the sending side says: the source is gone")
            #expect(!received.frames.contains { $0.kind == .failed || $0.kind == .started })
        }
    }

    @Test func `frames that damage the stream are refused and nothing is complete`() async throws {
        let received = try await receive { writer in
            writer.hello()
            writer.open(.begin, MoveSession(), MoveSession())
            writer.begin(streamVersion: 3)
            writer.frame(.endOfRecords)
        }
        #expect(received.error?.kind == .peer)
        #expect(received.frames.last?.kind == .failed)
    }

    @Test func `a dump that cannot be written does not undo the move`() async throws {
        var rig = try RelayTests.rig("7.2-q35-return-path.to-destination")
        rig.relayOptions.dumpFolder = "/nonexistent"
        rig.receiverOptions.dumpFolder = "/nonexistent"
        let outcome = try await rig.run()
        for result in [outcome.relay, outcome.receiver] {
            guard case .failure(let error) = result else {
                Issue.record("a dump to a folder that is not there")
                continue
            }
            #expect(error.kind == .transfer)
            #expect(error.description.contains("could not be written to the dump folder"))
        }
        #expect(outcome.answered.suffix(8) == [0, 1, 0, 4, 0, 0, 0, 0])
    }

    @Test func `a relay that has run cannot run again`() async {
        await #expect(processExitsWith: .failure) {
            let (_, source) = try StreamSocket.pair()
            let (_, wire) = try StreamSocket.pair()
            let relay = MigrationRelay(
                source: source, wire: WireSocket(wire), options: RelayPeerTests.options)
            _ = try? await relay.run()
            _ = try? await relay.run()
        }
        await #expect(processExitsWith: .failure) {
            let (_, wire) = try StreamSocket.pair()
            let receiver = MigrationReceiver(
                wire: WireSocket(wire), output: .file("-"), options: RelayPeerTests.options)
            _ = try? await receiver.run()
            _ = try? await receiver.run()
        }
    }
}
