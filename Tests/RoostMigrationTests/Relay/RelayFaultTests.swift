import RoostMemory
import RoostSystem
import StreamSupport
import SystemPackage
import Testing

@testable import RoostMigration

/// Moves that break at a place that is counted: both sides end with the cause, nothing is left
/// over, and a destination never holds a whole stream whose source was not told so.
@Suite(.serialized, .timeLimit(.minutes(5))) struct RelayFaultTests {
    static let plain = "7.2-q35-paused.stream"
    static let answered = "7.2-q35-return-path.to-destination"

    /// Counts that matter: none, one, around every kind of structure, and some between.
    static func places(_ file: String) throws -> [Int] {
        let edit = try StreamEdit(file)
        let map = edit.map
        var places = [0, 1, 7, 8, map.configuration.upperBound, edit.total, edit.total + 8]
        places += map.blocks.prefix(2).map(\.start)
        places += [edit.firstRecords, edit.body(of: edit.first(.plain), count: pageByteCount)]
        places += map.recordEnds.flatMap { [$0, $0 + 8] }
        places += map.sections.map(\.end)
        places += map.commands.map(\.start)
        places += [map.tail, map.tail + 1, edit.bytes.count - 1]
        places += stride(from: 65_537, to: edit.bytes.count, by: 99_991)
        return Set(places.filter { $0 < edit.bytes.count }).sorted()
    }

    /// Runs a move that must fail on both sides and leave nothing.
    private func fail(
        _ rig: RelayRig, _ what: String, location: SourceLocation = #_sourceLocation
    ) async throws -> (relay: MigrationError, receiver: MigrationError) {
        let outcome = try await rig.run()
        #expect(await outcome.leavesNothing, "\(what)", sourceLocation: location)
        let relay = try #require(outcome.relay.error, "\(what)", sourceLocation: location)
        let receiver = try #require(outcome.receiver.error, "\(what)", sourceLocation: location)
        #expect(
            (try? verify(outcome.delivered)) == nil, "\(what): a whole stream arrived",
            sourceLocation: location)
        return (relay, receiver)
    }

    @Test(arguments: [plain, answered])
    func `a source that closes early is named on both sides`(file: String) async throws {
        for place in try Self.places(file) {
            var rig = try RelayTests.rig(file)
            rig.sourceCloses = place
            let errors = try await fail(rig, "closed at \(place)")
            #expect(errors.relay.kind == .truncated)
            #expect(errors.relay.description.contains("the source QEMU closed the connection"))
            // One that asks for no answer may have let go of the guest when it wrote its last byte.
            let mayStand = try file == Self.plain && place > StreamMap(rig.stream).tail
            #expect(
                errors.relay.description.hasSuffix(
                    mayStand ? "if it stands still" : "the guest stays at the source"))
            #expect(errors.receiver.kind == .peer)
            #expect(
                errors.receiver.description.contains(
                    "the sending side says: the source QEMU closed the connection"),
                "closed at \(place)")
        }
    }

    @Test(arguments: [plain, answered])
    func `a destination that closes early is named on both sides`(file: String) async throws {
        // Before the mark: what follows that is another matter.
        let tail = try StreamMap(try StreamFixtures.bytes(file)).tail
        for place in try Self.places(file) where place <= tail + 1 {
            var rig = try RelayTests.rig(file)
            rig.destinationCloses = place
            let errors = try await fail(rig, "closed at \(place)")
            #expect(errors.receiver.description.contains("the destination QEMU"))
            #expect(errors.relay.kind == .peer)
            #expect(
                errors.relay.description.contains("the receiving side says: the destination QEMU"),
                "closed at \(place): \(errors.relay)")
        }
    }

    @Test func `a destination that refuses the guest is named on both sides`() async throws {
        var rig = try RelayTests.rig(Self.answered)
        rig.verdict = 1
        let outcome = try await rig.run()
        #expect(await outcome.leavesNothing)
        let said = "the destination QEMU did not take the guest"
        #expect(outcome.receiver.error?.description.contains(said) == true)
        #expect(outcome.relay.error?.description.contains(said) == true)
        // By then the source has let go.
        #expect(outcome.answered.suffix(8) == [0, 1, 0, 4, 0, 0, 0, 0])
        #expect(
            outcome.relay.error?.description.contains("stands still at the source, whole") == true)
    }

    @Test(arguments: [plain, answered])
    func `a wire that breaks ends both sides`(file: String) async throws {
        let whole = try await RelayTests.rig(file).run()
        _ = try whole.relay.get()
        var forward = [0, 1, 19, 20, 29, 30, 31, 50, 54, 100]
        forward += stride(from: 4099, to: whole.forward - 100_000, by: 49_999)
        let faults =
            forward.map { RelayRig.WireFault.cut(forward: $0) }
            + [1, 2, 20, 21].map { .cutBeforeEnd($0) }
        for fault in faults {
            var rig = try RelayTests.rig(file)
            rig.wireFault = fault
            let errors = try await fail(rig, "\(fault)")
            #expect([.peer, .transfer].contains(errors.relay.kind))
            #expect([.peer, .transfer].contains(errors.receiver.kind))
        }
        // HELLO and READY, and the first acknowledgement.
        for place in [0, 1, 20, 29, 30, 31, 49, 50, 51, 77] {
            var rig = try RelayTests.rig(file)
            rig.wireFault = .cut(back: place)
            let outcome = try await rig.run()
            #expect(await outcome.leavesNothing, "cut back at \(place)")
            #expect(outcome.relay.error != nil, "cut back at \(place)")
        }
    }

    @Test func `a wire that turns a bit over is refused`() async throws {
        let whole = try await RelayTests.rig(Self.answered).run()
        // Up to the devices: with its last bytes the destination has the guest.
        for place in stride(from: 0, to: whole.forward - 200_000, by: whole.forward / 40) {
            var rig = try RelayTests.rig(Self.answered)
            rig.wireFault = .flip(forward: place)
            let errors = try await fail(rig, "turned at \(place)")
            #expect(errors.receiver.kind == .peer)
            #expect(errors.receiver.description.contains("broke Roost's wire"))
        }
        for place in 0..<78 {
            var rig = try RelayTests.rig(Self.answered)
            rig.wireFault = .flip(back: place)
            let outcome = try await rig.run()
            #expect(await outcome.leavesNothing)
            let error = try #require(outcome.relay.error)
            // A longer piece of answers than was sent is waited for until the wire ends.
            let isRefused = ["broke Roost's wire", "went away"].contains {
                error.description.contains($0)
            }
            #expect(isRefused, "turned at \(place): \(error)")
        }
    }

    @Test func `a stream that cannot be stored is named on both sides`() async throws {
        var rig = try RelayTests.rig(Self.plain)
        rig.file = "/dev/full"
        let errors = try await fail(rig, "full")
        #expect(errors.receiver.errno == .noSpace)
        #expect(
            errors.relay.description.contains("the receiving side says: cannot write /dev/full"))
    }

    @Test(arguments: [plain, answered])
    func `a store that fails leaves no file`(file: String) async throws {
        for place in try Self.places(file) {
            let folder = try TemporaryFolder()
            var rig = try RelayTests.rig(file)
            rig.file = folder("guest")
            rig.sourceCloses = place
            _ = try await fail(rig, "closed at \(place)")
            #expect(folder.names.isEmpty)
            #expect(!ProcessState.openFiles().contains { $0.hasPrefix(folder.path) })
        }
        let folder = try TemporaryFolder()
        var rig = try RelayTests.rig(file)
        rig.file = folder("missing/guest")
        let errors = try await fail(rig, "no folder")
        #expect(errors.receiver.errno == .noSuchFileOrDirectory)
    }

    @Test func `memory above the limit of either side is refused`() async throws {
        var rig = try RelayTests.rig(Self.plain)
        rig.relayOptions.maximumRAMByteCount = 1 << 20
        #expect(try await fail(rig, "relay").relay.kind == .limit)
        rig.relayOptions.maximumRAMByteCount = 1 << 30
        rig.receiverOptions.maximumRAMByteCount = 1 << 20
        let errors = try await fail(rig, "receiver")
        #expect(errors.receiver.kind == .limit)
        #expect(errors.relay.description.contains("the guest's memory passes the limit"))
    }

    @Test(arguments: ["10.0-q35-multifd-none.to-destination", "7.2-q35-postcopy.to-destination"])
    func `a stream that a relay cannot carry is refused on both sides`(file: String) async throws {
        let errors = try await fail(try RelayTests.rig(file), file)
        #expect(errors.relay.kind == .unsupported)
        #expect(errors.receiver.description.contains("the sending side says"))
    }

    // MARK: Cancelling

    @Test(arguments: [plain, answered])
    func `either side can be cancelled at any page`(file: String) async throws {
        let map = try StreamMap(try StreamFixtures.bytes(file))
        let pages = stride(from: 0, to: map.pages.count, by: map.pages.count / 12).map {
            Int(map.pages[$0].streamOffset)
        }
        for place in [0, 8] + pages + [map.tail] {
            var rig = try RelayTests.rig(file)
            rig.sourcePlace = place
            rig.atSourcePlace = { relay, _ in relay.cancel() }
            let here = try await fail(rig, "relay cancelled at \(place)")
            #expect(here.relay.kind == .cancelled)
            #expect(here.relay.description.hasSuffix("the guest stays at the source"))
            #expect(here.receiver.description.contains("the move was cancelled"))

            rig.atSourcePlace = { _, receiver in receiver.cancel() }
            let there = try await fail(rig, "receiver cancelled at \(place)")
            #expect(there.receiver.kind == .cancelled)
            #expect(there.relay.description.contains("the receiving side was told to stop"))

            rig.atSourcePlace = { relay, receiver in
                receiver.cancel()
                relay.cancel()
            }
            _ = try await fail(rig, "both cancelled at \(place)")
        }
    }

    @Test func `a receiver that stores can be cancelled`() async throws {
        let folder = try TemporaryFolder()
        var rig = try RelayTests.rig(Self.plain)
        rig.file = folder("guest")
        rig.sourcePlace = 300_000
        rig.atSourcePlace = { _, receiver in receiver.cancel() }
        #expect(try await fail(rig, "receiver").receiver.kind == .cancelled)
        #expect(folder.names.isEmpty)
    }

    /// Everything is full and nobody reads: the threads of both sides are blocked.
    @Test func `a move whose destination stands still can be cancelled`() async throws {
        for cancelsReceiver in [false, true] {
            var rig = try RelayTests.rig("7.2-q35-rounds.stream")
            rig.isDirect = true
            rig.destinationStops = 100_000
            rig.destinationPlace = 50_000
            rig.atDestinationPlace = { relay, receiver in
                if cancelsReceiver { receiver.cancel() } else { relay.cancel() }
            }
            let errors = try await fail(rig, "stuck")
            #expect((cancelsReceiver ? errors.receiver : errors.relay).kind == .cancelled)
        }
    }

    @Test func `a cancellation before the start ends the move at once`() async throws {
        let (source, relaySource) = try StreamSocket.pair()
        let (relayWire, receiverWire) = try StreamSocket.pair()
        let options = RelayOptions(maximumRAMByteCount: 1 << 30)
        let relay = MigrationRelay(
            source: relaySource, wire: WireSocket(relayWire), options: options)
        let receiver = MigrationReceiver(
            wire: WireSocket(receiverWire), output: .file("-"), options: options)
        relay.cancel()
        receiver.cancel()
        async let relayed = #expect(throws: MigrationError.self) { try await relay.run() }
        async let received = #expect(throws: MigrationError.self) { try await receiver.run() }
        #expect(await relayed?.kind == .cancelled)
        #expect(await received?.kind == .cancelled)
        #expect(RelayRig.read(source) == nil)
    }

    @Test func `a cancellation after the end does nothing`() async throws {
        var rig = try RelayTests.rig(Self.answered)
        rig.destinationPlace = rig.stream.count
        let outcome = try await rig.run()
        _ = try outcome.relay.get()
        let (source, relaySource) = try StreamSocket.pair()
        let (relayWire, receiverWire) = try StreamSocket.pair()
        let folder = try TemporaryFolder()
        let options = RelayOptions(maximumRAMByteCount: 1 << 30)
        let relay = MigrationRelay(
            source: relaySource, wire: WireSocket(relayWire), options: options)
        let receiver = MigrationReceiver(
            wire: WireSocket(receiverWire), output: .file(folder("guest")), options: options)
        let bytes = try StreamFixtures.bytes("7.2-q35-stopped.stream")
        async let sent: Void = DedicatedThread.run(name: "rig") {
            try source.send(unsafe bytes.span.bytes)
            source.shutdown(.both)
        }
        async let relayed = relay.run()
        async let received = receiver.run()
        let moved = try await (relayed, received)
        try await sent
        relay.cancel()
        receiver.cancel()
        #expect(moved.0.streamBytes == UInt64(bytes.count))
        #expect(folder.names == ["guest"])
    }

    @Test func `cancelling the task cancels the move`() async throws {
        let (source, relaySource) = try StreamSocket.pair()
        let (relayWire, silent) = try StreamSocket.pair()
        let relay = MigrationRelay(
            source: relaySource, wire: WireSocket(relayWire),
            options: .quick)
        let task = Task { try await relay.run() }
        // The relay is at work once it has said HELLO.
        _ = RelayRig.read(silent)
        task.cancel()
        let error = await #expect(throws: MigrationError.self) { try await task.value }
        #expect(error?.kind == .cancelled)
        #expect(RelayRig.read(source) == nil)
    }

    // MARK: Descriptors

    @Test func `a move that fails closes as many descriptors as it opened`() async {
        // In a process of its own, where nobody else opens any.
        await #expect(processExitsWith: .success) {
            func once(_ place: Int) async throws {
                var rig = try RelayTests.rig("7.2-q35-stopped.stream")
                rig.sourceCloses = place
                _ = try await rig.run()
                rig.sourceCloses = nil
                rig.destinationCloses = place
                _ = try await rig.run()
            }
            func count() -> Int { ProcessState.openFiles().count }
            try await once(0)
            // Waits take descriptors of their own from the first on.
            try await Task.sleep(for: .milliseconds(1))
            let before = count()
            for place in stride(from: 0, to: 110_000, by: 9_973) { try await once(place) }
            #expect(ProcessState.soon { count() == before })
            #expect(ProcessState.soon { ProcessState.moveThreads().isEmpty })
        }
    }
}

extension Result {
    /// The error, where it is one.
    var error: Failure? {
        if case .failure(let failure) = self { failure } else { nil }
    }
}
