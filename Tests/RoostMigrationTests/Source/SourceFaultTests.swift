import Logging
import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import RoostMigration

/// Migrations that break at a place that is counted (MIG-9): the source's guest runs on as if
/// nobody had tried, nothing is left over, and it can be moved again.
@Suite(.serialized, .timeLimit(.minutes(5))) struct SourceFaultTests {
    init() { BrokenPipes.ignore() }

    /// A guest in two blocks that writes for three rounds, to be moved by every means.
    private static func rig(
        _ name: String, throttle: RecordingThrottle? = nil,
        onCall: @escaping @Sendable (ScriptedGuest.Call) -> MigrationError? = { _ in nil }
    ) throws -> MigrationRig {
        let guest = ScriptedGuest(
            [
                try ScriptedGuest.Block("\(name)-a", pages: 130),
                try ScriptedGuest.Block("\(name)-b", pages: 64, usedPages: 40),
            ], seed: 7, writes: 3, onCall: onCall)
        guest.fill()
        var rig = try MigrationRig(guest)
        rig.throttle = throttle
        rig.parameters.downtimeLimit = .zero
        rig.parameters.xbzrleCacheByteCount = 64 << 10
        rig.parameters.compression = MigrationParameters.Compression(threads: 2)
        rig.parameters.sendsDigests = true
        rig.options.decompressionThreads = 2
        return rig
    }

    /// Runs a migration, after which nothing of it may be left.
    private func run(
        _ rig: MigrationRig, _ name: String, _ what: String,
        location: SourceLocation = #_sourceLocation
    ) async throws -> MigrationRig.Outcome {
        let before = ProcessState.memoryFiles(name)
        var rig = rig
        rig.looksForRemains = true
        let outcome = try await rig.run()
        #expect(outcome.leavesNothing, "\(what)", sourceLocation: location)
        // A thread on its way out lets go a little later.
        let isFreed = await ProcessState.settles { ProcessState.memoryFiles(name) == before }
        #expect(
            isFreed, "\(what): \(before), then \(ProcessState.memoryFiles(name))",
            sourceLocation: location)
        return outcome
    }

    /// Expects that a migration failed, that its guest runs on and that it can be moved again.
    @discardableResult
    private func expectFailure(
        _ outcome: MigrationRig.Outcome, of rig: MigrationRig, _ kinds: [MigrationError.Kind],
        _ what: String, isMovable: Bool = true, location: SourceLocation = #_sourceLocation
    ) async throws -> MigrationError {
        let error = try #require(outcome.source.error, "\(what)", sourceLocation: location)
        #expect(kinds.contains(error.kind), "\(what): \(error)", sourceLocation: location)
        #expect(
            outcome.destination.error != nil, "\(what): it has the guest too",
            sourceLocation: location)
        #expect(rig.guest.runsOn, "\(what)", sourceLocation: location)
        let expected: MigrationStatistics.Status = error.kind == .cancelled ? .cancelled : .failed
        #expect(outcome.statistics.status == expected, "\(what)", sourceLocation: location)
        #expect(
            outcome.statistics.errorDescription == error.description, "\(what)",
            sourceLocation: location)
        guard isMovable else { return error }
        var again = try MigrationRig(rig.guest)
        again.parameters = rig.parameters
        let second = try await again.run()
        #expect(
            (try? second.source.get()) != nil, "\(what): \(second.source)",
            sourceLocation: location)
        #expect(again.difference == nil, "\(what)", sourceLocation: location)
        return error
    }

    /// Expects that a migration did all it should.
    private func expectSuccess(
        _ outcome: MigrationRig.Outcome, of rig: MigrationRig,
        location: SourceLocation = #_sourceLocation
    ) throws {
        _ = try outcome.source.get()
        #expect(try outcome.destination.get().isVerified, sourceLocation: location)
        #expect(rig.difference == nil, sourceLocation: location)
        #expect(rig.guest.state.withLock { $0.hasLeft && $0.isPaused && !$0.isTracked })
    }

    /// Threads are counted at the end of a test: one that was left would not go away.
    private func expectNoThreads(location: SourceLocation = #_sourceLocation) async {
        for name in ["roost-source", "roost-load", "compress", "decompress"] {
            let isQuiet = await ProcessState.settles { ProcessState.threads(name).isEmpty }
            #expect(isQuiet, "\(name)", sourceLocation: location)
        }
    }

    // MARK: The connection

    @Test func `MIG-9 the n-th send fails`() async throws {
        for number in 0..<100 {
            let name = "send\(number)"
            var rig = try Self.rig(name)
            rig.wrap = { inner in
                RecordingConnection(
                    inner, .init(onSend: { $0 == number ? RecordingConnection.broken : nil }))
            }
            let outcome = try await run(rig, name, "send \(number)")
            guard outcome.source.error != nil else {
                try expectSuccess(outcome, of: rig)
                #expect(number > 3)
                return await expectNoThreads()
            }
            try await expectFailure(outcome, of: rig, [.transfer], "send \(number)")
        }
        Issue.record("it never succeeded")
    }

    @Test func `MIG-9 the peer closes after so many bytes`() async throws {
        // How many bytes a stream has at least.
        let whole = try await Self.rig("closes").run()
        let total = Int(try whole.source.get().ram.transferred)
        let places = [0, 1, 8, 30, 100] + stride(from: 4000, to: total, by: total / 11)
        for place in places {
            let name = "close\(place)"
            var rig = try Self.rig(name)
            rig.peer = { socket in
                var count = 0
                while count < place,
                    let more = RelayRig.read(socket, limit: min(65_536, place - count))
                {
                    count += more.count
                }
            }
            let what = "closed after \(place)"
            let outcome = try await run(rig, name, what)
            let error = try await expectFailure(outcome, of: rig, [.transfer, .peer], what)
            #expect(error.description.contains("see what"), "\(error)")
        }
        await expectNoThreads()
    }

    @Test(
        arguments: [
            ([0, 1, 0, 4, 0, 0, 0, 1], "could not load the guest (it answered 1)"),
            ([0, 1, 0, 3, 0, 0, 0], "is no return path"),
            ([0xff, 0xff, 0xff, 0xff], "is no return path"),
            ([0, 2, 0, 4, 0, 0, 0, 1], "without saying that it has loaded everything"),
            ([0, 1, 0, 4, 0, 0], "without saying that it has loaded everything"),
            ([], "without saying that it has loaded everything"),
        ] as [([UInt8], String)])
    func `MIG-9 the peer answers something else than that it has the guest`(
        answer: [UInt8], words: String
    ) async throws {
        let name = "answer\(answer.count)"
        var rig = try Self.rig(name)
        rig.peer = { socket in
            var reader = StreamReader()
            var counter = EventLog()
            while !reader.isWhole() || !reader.hasDescription, let more = RelayRig.read(socket) {
                guard (try? reader.consume(unsafe more.span.bytes, into: &counter)) != nil else {
                    return
                }
            }
            _ = try? socket.send(unsafe answer.span.bytes)
        }
        let outcome = try await run(rig, name, words)
        let error = try await expectFailure(outcome, of: rig, [.peer], words)
        #expect(error.description.contains(words), "\(error)")
        await expectNoThreads()
    }

    // MARK: The destination

    @Test func `MIG-9 the destination has too little room`() async throws {
        var rig = try Self.rig("room")
        rig.options.maximumRAMByteCount = UInt64(100 * pageByteCount)
        let outcome = try await run(rig, "room", "limit")
        try await expectFailure(outcome, of: rig, [.transfer, .peer], "limit")
        #expect(outcome.destination.error?.kind == .limit)

        // A memory file that is shorter than its block.
        rig = try Self.rig("short")
        rig.destination[0] = try ScriptedGuest.Block("short-a", pages: 130, filePages: 100)
        let cut = try await run(rig, "short", "a short file")
        try await expectFailure(cut, of: rig, [.transfer, .peer], "a short file")
        let error = try #require(cut.destination.error)
        #expect(error.kind == .transfer)
        #expect(error.block == "short-a")
        await expectNoThreads()
    }

    @Test func `MIG-9 the destination holds something else at the end and refuses`() async throws {
        let loading = Watch<MigrationDestination>()
        let wire = Watch<RecordingConnection>()
        let target = Watch<ScriptedGuest.Block>()
        var rig = try Self.rig("digest") { call in
            guard call == .pause, let block = target.object else { return nil }
            // All that was sent has arrived; then somebody else writes there.
            let sent = UInt64(wire.object?.recorded.bytes.count ?? 0)
            let isThere = ProcessState.soon {
                loading.object?.statistics.streamBytes == sent
            }
            #expect(isThere)
            var page = block.page(99)
            page[17] ^= 1
            block.write(page: 99, page)
            return nil
        }
        rig.guest.state.withLock { $0.writes = 0 }
        target.object = rig.destination[0]
        rig.onBegin = { loading.object = $1 }
        rig.wrap = { inner in
            let recording = RecordingConnection(inner)
            wire.object = recording
            return recording
        }
        let outcome = try await run(rig, "digest", "digest")
        #expect(outcome.destination.error?.kind == .mismatch)
        #expect(outcome.destination.error?.block == "digest-a")
        let error = try await expectFailure(
            outcome, of: rig, [.peer], "digest", isMovable: false)
        #expect(error.description.contains("could not load the guest"))
        target.object = nil
        var again = try MigrationRig(rig.guest)
        again.parameters = rig.parameters
        #expect(try await again.run().destination.get().isVerified)
        await expectNoThreads()
    }

    // MARK: Cancelling

    @Test func `MIG-9 cancelling before the n-th send, and after the last byte`() async throws {
        var number = 0
        while number < 100 {
            let name = "cancel\(number)"
            var rig = try Self.rig(name)
            let (source, wanted) = (Watch<MigrationSource>(), number)
            rig.onBegin = { began, _ in source.object = began }
            let counter = SendCounter()
            rig.wrap = { inner in
                RecordingConnection(
                    inner,
                    .init(onSend: { send in
                        counter.reach(send + 1)
                        if send == wanted { source.object?.cancel() }
                        return nil
                    }))
            }
            let outcome = try await run(rig, name, "cancelled at send \(number)")
            if outcome.source.error == nil {
                try expectSuccess(outcome, of: rig)
                // Only the last send is too late: it holds the last byte.
                #expect(counter.count == number + 1)
                #expect(number > 3)
                return await expectNoThreads()
            }
            try await expectFailure(outcome, of: rig, [.cancelled], "send \(number)")
            number += 1
        }
        Issue.record("it never succeeded")
    }

    @Test func `MIG-9 cancelling at the n-th look`() async throws {
        for number in 1..<100 {
            let name = "look\(number)"
            let source = Watch<MigrationSource>()
            var rig = try Self.rig(name) { call in
                if call == .collect(number) { source.object?.cancel() }
                return nil
            }
            rig.onBegin = { began, _ in source.object = began }
            let outcome = try await run(rig, name, "look \(number)")
            guard outcome.source.error != nil else {
                try expectSuccess(outcome, of: rig)
                #expect(number > 3)
                return await expectNoThreads()
            }
            try await expectFailure(outcome, of: rig, [.cancelled], "look \(number)")
        }
        Issue.record("it never succeeded")
    }

    @Test func `MIG-9 cancelling before anything began, and again and again`() async throws {
        var rig = try Self.rig("early")
        rig.onBegin = { source, _ in
            source.cancel()
            source.cancel()
        }
        let outcome = try await run(rig, "early", "early")
        try await expectFailure(outcome, of: rig, [.cancelled], "early")
        await expectNoThreads()
    }

    @Test(arguments: ["cancelled", "closed"])
    func `MIG-9 a sleep for the bandwidth's sake ends at once`(how: String) async throws {
        var rig = try Self.rig("sleep")
        rig.parameters.maximumBytesPerSecond = 200_000
        let (source, loading) = (Watch<MigrationSource>(), Watch<MigrationDestination>())
        rig.onBegin = { began, destination in
            source.object = began
            loading.object = destination
        }
        rig.wrap = { inner in
            RecordingConnection(
                inner,
                .init(onSleep: { _, signal, inner in
                    let failure = DedicatedThread.start(name: "rig") {
                        if how == "cancelled" {
                            source.object?.cancel()
                        } else {
                            loading.object?.cancel()
                        }
                    }
                    #expect(failure == nil)
                    // An hour, which the test does not have.
                    inner.sleep(until: .now + .seconds(3600), unless: signal)
                }))
        }
        let outcome = try await run(rig, "sleep", how)
        let kinds: [MigrationError.Kind] = how == "cancelled" ? [.cancelled] : [.transfer, .peer]
        rig.parameters.maximumBytesPerSecond = 0
        try await expectFailure(outcome, of: rig, kinds, how)
        await expectNoThreads()
    }

    // MARK: The guest

    @Test func `MIG-9 the guest is gone at the n-th look`() async throws {
        let gone = MigrationError(.guest, "the guest is gone: start it again")
        for number in 1..<100 {
            let name = "gone\(number)"
            let rig = try Self.rig(name) { $0 == .collect(number) ? gone : nil }
            let outcome = try await run(rig, name, "look \(number)")
            guard outcome.source.error != nil else {
                try expectSuccess(outcome, of: rig)
                #expect(number > 3)
                return await expectNoThreads()
            }
            let error = try await expectFailure(outcome, of: rig, [.guest], "look \(number)")
            #expect(error == gone)
        }
        Issue.record("it never succeeded")
    }

    @Test(arguments: [ScriptedGuest.Call.start, .pause])
    func `MIG-9 the guest cannot be tracked or stopped`(call: ScriptedGuest.Call) async throws {
        let refusal = MigrationError(.guest, "no: start it again")
        let shared = SharedFlag()
        let rig = try Self.rig("refuse") { $0 == call && shared.isSet ? refusal : nil }
        let outcome = try await run(rig, "refuse", "\(call)")
        shared.isSet = false
        #expect(try await expectFailure(outcome, of: rig, [.guest], "\(call)") == refusal)
        await expectNoThreads()
    }

    @Test func `MIG-9 a cancelled migration whose guest is gone says so`() async throws {
        let source = Watch<MigrationSource>()
        let gone = MigrationError(.guest, "the guest is gone: start it again")
        var rig = try Self.rig("both") { call in
            guard call == .collect(2) else { return nil }
            source.object?.cancel()
            return gone
        }
        rig.onBegin = { began, _ in source.object = began }
        let outcome = try await run(rig, "both", "both")
        try await expectFailure(outcome, of: rig, [.guest], "both")
    }

    // MARK: What cannot begin

    @Test func `MIG-9 blocks that cannot be moved are refused before anything begins`() throws {
        let good = try ScriptedGuest.Block("block", pages: 1)
        func make(_ blocks: [MigratedBlock]) -> MigrationError? {
            migrationError {
                let (near, _) = try StreamSocket.pair()
                let guest = ScriptedGuest([])
                _ = try MigrationSource(
                    blocks: blocks, tracker: guest, guest: guest, throttle: nil,
                    connection: SocketConnection(near), parameters: MigrationParameters(),
                    logger: .quiet)
            }
        }
        let page = UInt64(pageByteCount)
        func block(_ name: String, _ used: UInt64, _ maximum: UInt64) -> MigratedBlock {
            MigratedBlock(
                RAMBlock(name: name, usedByteCount: used, maximumByteCount: maximum),
                memory: good.file)
        }
        #expect(make([good.migrated]) == nil)
        #expect(make([good.migrated, good.migrated])?.kind == .malformed)
        #expect(make([block("", page, page)])?.kind == .malformed)
        #expect(make([block(String(repeating: "n", count: 255), page, page)]) == nil)
        #expect(make([block(String(repeating: "n", count: 256), page, page)])?.kind == .malformed)
        #expect(make([block("b", page + 1, page * 2)])?.kind == .malformed)
        #expect(make([block("b", 0, 0)])?.kind == .malformed)
        #expect(make([block("b", 0, page)]) == nil)
        #expect(make([block("b", page * 2, page)])?.kind == .malformed)
        #expect(make([block("b", page, .max - 4095)])?.kind == .malformed)
        // Longer than its file.
        let long = try #require(make([block("b", page, page * 2)]))
        #expect(long.kind == .transfer && long.block == "b")
    }
}

/// How far something has come.
private final class SendCounter: Sendable {
    private let reached = Mutex(0)
    var count: Int { reached.withLock { $0 } }
    func reach(_ number: Int) { reached.withLock { $0 = max($0, number) } }
}

/// A flag that a test lowers.
private final class SharedFlag: Sendable {
    private let value = Mutex(true)
    var isSet: Bool {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}
