import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import RoostMigration

/// A migration that an embedder drives step by step (MIG-9): blocks that come while it runs
/// (MIG-1), what a page travels as (MIG-3, MIG-6), and what is counted (MIG-10).
@Suite(.timeLimit(.minutes(2))) struct SourceStepTests {
    init() { BrokenPipes.ignore() }

    static func noise(_ seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return PageContents.random(using: &random)
    }

    static func text(_ seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return PageContents.text(using: &random)
    }

    /// A page with one byte changed.
    static func touched(_ page: [UInt8], _ byte: UInt8) -> [UInt8] {
        var page = page
        page[100] = byte
        return page
    }

    /// A guest of one block of text.
    static func guest(_ name: String, pages: Int) throws -> ScriptedGuest {
        let block = try ScriptedGuest.Block(name, pages: pages)
        for page in 0..<pages { block.write(page: page, text(UInt64(page))) }
        return ScriptedGuest([block])
    }

    /// Sends until nothing is dirty.
    static func drain(_ source: MigrationSource) throws(MigrationError) {
        while try !source.iterate() {}
    }

    /// Runs a migration that is driven, and returns what went over the wire.
    func record(
        _ rig: MigrationRig,
        _ drive: @escaping @Sendable (MigrationSource) throws -> Void
    ) async throws -> (stream: RecordCounter, outcome: MigrationRig.Outcome, bytes: Int) {
        var rig = rig
        let held = Holder()
        rig.drive = drive
        rig.wrap = { inner in held.keep(RecordingConnection(inner)) }
        let outcome = try await rig.run()
        _ = try outcome.source.get()
        _ = try outcome.destination.get()
        #expect(rig.difference == nil)
        let bytes = held.bytes
        return (try RecordCounter(bytes), outcome, bytes.count)
    }

    // MARK: Steps

    @Test func `MIG-9 an embedder carries a migration by its steps`() async throws {
        let guest = try Self.guest("steps", pages: 40)
        var rig = try MigrationRig(guest)
        rig.parameters.machineType = "a-machine"
        let (stream, outcome, _) = try await record(rig) { source in
            #expect(source.statistics.status == .none)
            try source.setUp()
            #expect(source.statistics.status == .active)
            #expect(try source.pending(isExact: false) == 40 * 4096)
            try Self.drain(source)
            #expect(try source.pending(isExact: false) == 0)
            guest.write(page: 3, Self.noise(1))
            // What was written shows when it is looked for.
            #expect(try source.pending(isExact: false) == 0)
            #expect(try source.pending(isExact: true) == 4096)
            #expect(source.statistics.ram.dirtySyncCount == 2)
            guest.write(page: 4, Self.noise(2))
            let last = try source.complete()
            #expect(last.status == .completed)
            #expect(last.downtime != nil)
            source.cancel()
            #expect(source.statistics.status == .completed)
            do throws(MigrationError) {
                _ = try source.iterate()
                Issue.record("it went on")
            } catch {
                #expect(error.kind == .cancelled)
                #expect(error.description.contains("make another source"))
            }
        }
        #expect(stream.machineType == "a-machine")
        #expect(stream.records.count == 42)
        #expect(stream.commands == [.openReturnPath, .ping])
        #expect(outcome.statistics.ram.dirtySyncCount == 3)
        #expect(guest.state.withLock { $0.isPaused && $0.hasLeft && !$0.isTracked })
    }

    @Test func `MIG-8 a guest that is sent before the first slice ends tells the link`()
        async throws
    {
        let guest = try Self.guest("small", pages: 40)
        let clock = HandClock()
        var rig = try MigrationRig(guest)
        rig.now = {
            // Time goes on whenever it is asked for.
            clock.advance(by: .milliseconds(2))
            return clock.now
        }
        rig.drive = { source in
            try source.setUp()
            #expect(source.statistics.ram.mbps == 0)
            #expect(try source.iterate())
            #expect(clock.now < RateLimiter.slice)
            #expect(source.statistics.ram.mbps > 0)
            _ = try source.complete()
        }
        let outcome = try await rig.run()
        _ = try outcome.source.get()
        #expect(rig.difference == nil)
    }

    @Test func `MIG-8 an embedder is told how long to wait for its bandwidth`() async throws {
        let guest = try Self.guest("paced", pages: 40)
        for page in 0..<40 { guest.write(page: page, Self.noise(UInt64(page))) }
        let clock = HandClock()
        var rig = try MigrationRig(guest)
        rig.now = { clock.now }
        rig.parameters.maximumBytesPerSecond = 100_000
        rig.drive = { source in
            try source.setUp()
            #expect(try source.delay() == .zero)
            #expect(try source.iterate() == false)
            #expect(try source.delay() == .milliseconds(100))
            clock.advance(by: .milliseconds(60))
            #expect(try source.delay() == .milliseconds(40))
            clock.advance(by: .milliseconds(40))
            #expect(try source.delay() == .zero)
            #expect(try source.iterate() == false)
            _ = try source.complete()
        }
        let outcome = try await rig.run()
        _ = try outcome.source.get()
        #expect(rig.difference == nil)
    }

    @Test func `MIG-9 a step after a cancellation ends the migration`() async throws {
        let guest = try Self.guest("cancelled", pages: 4)
        var rig = try MigrationRig(guest)
        rig.drive = { source in
            try source.setUp()
            _ = try source.iterate()
            source.cancel()
            _ = try source.complete()
        }
        let outcome = try await rig.run()
        #expect(outcome.source.error?.kind == .cancelled)
        #expect(outcome.destination.error != nil)
        #expect(outcome.statistics.status == .cancelled)
        #expect(guest.runsOn)
        #expect(guest.state.withLock { $0.pauses } == 0)
    }

    // MARK: Blocks that come later

    @Test(arguments: MigrationDialect.allCases)
    func `MIG-1 a block that is added while the guest moves goes along`(
        dialect: MigrationDialect
    ) async throws {
        let guest = try Self.guest("added-a", pages: 30)
        let new = try ScriptedGuest.Block("added-b", pages: 20, usedPages: 11)
        for page in 0..<20 { new.write(page: page, Self.text(UInt64(1000 + page))) }
        var rig = try MigrationRig(guest)
        let target = try ScriptedGuest.Block("added-b", pages: 20, usedPages: 11)
        rig.added = [target]
        rig.parameters.dialect = dialect
        rig.parameters.xbzrleCacheByteCount = 1 << 20
        rig.parameters.sendsDigests = true
        let page = Self.text(3)
        let (stream, outcome, _) = try await record(rig) { source in
            try source.setUp()
            try Self.drain(source)
            /// Changes a byte of page 3 and sends the round.
            func touch(_ byte: UInt8) throws(MigrationError) {
                guest.write(page: 3, Self.touched(page, byte))
                _ = try source.pending(isExact: true)
                try Self.drain(source)
            }
            // Whole, since the first round keeps no copy; then as a delta.
            try touch(1)
            try touch(2)
            guest.add(new)
            source.add([new.migrated])
            // A first round again: whole, and what was kept is forgotten.
            try touch(3)
            #expect(source.statistics.ram.total == 41 * 4096)
            try touch(4)
            try touch(5)
            try source.complete()
        }
        #expect(stream.lists == 2)
        #expect(stream.names == ["added-a", "added-b"])
        let third = stream.records.filter { $0.block == 0 && $0.offset == 3 * 4096 }
        #expect(third.map(\.kind) == [.plain, .plain, .delta, .plain, .plain, .delta])
        let added = stream.records.filter { $0.block == 1 }
        #expect(added.map(\.offset) == (0..<11).map { $0 * 4096 })
        #expect(new.difference(from: target) == nil)
        #expect(try outcome.destination.get().isVerified)
        #expect(try outcome.destination.get().memoryBytes == 41 * 4096)
    }

    @Test func `MIG-1 a block that the destination has not ends the migration`() async throws {
        let guest = try Self.guest("missing-a", pages: 3)
        let new = try ScriptedGuest.Block("missing-b", pages: 2)
        var rig = try MigrationRig(guest)
        rig.drive = { source in
            try source.setUp()
            try Self.drain(source)
            source.add([new.migrated])
            try source.complete()
        }
        let outcome = try await rig.run()
        #expect(outcome.destination.error?.kind == .mismatch)
        #expect(outcome.destination.error?.block == "missing-b")
        #expect(outcome.source.error != nil)
        #expect(guest.runsOn)
    }

    @Test func `MIG-1 a block that cannot be added ends the migration`() async throws {
        let guest = try Self.guest("refused-a", pages: 3)
        let new = try ScriptedGuest.Block("refused-b", pages: 3, filePages: 2)
        var rig = try MigrationRig(guest)
        rig.drive = { source in
            try source.setUp()
            source.add([new.migrated])
            _ = try source.iterate()
        }
        let outcome = try await rig.run()
        #expect(outcome.source.error?.kind == .transfer)
        #expect(outcome.source.error?.block == "refused-b")
        #expect(guest.runsOn)
    }

    /// Pages that wait in a worker when the blocks change must not overtake newer ones.
    @Test func `MIG-1 a block that is added overtakes no page that is being compressed`()
        async throws
    {
        let guest = try Self.guest("overtake-a", pages: 200)
        let new = try ScriptedGuest.Block("overtake-b", pages: 2)
        new.write(page: 1, Self.text(1))
        var rig = try MigrationRig(guest)
        rig.added = [try ScriptedGuest.Block("overtake-b", pages: 2)]
        rig.parameters.compression = MigrationParameters.Compression(threads: 1)
        // A quota of 20,000 bytes: it pauses in the middle of the first round.
        rig.parameters.maximumBytesPerSecond = 200_000
        let (stream, _, _) = try await record(rig) { source in
            try source.setUp()
            let isDone = try source.iterate()
            #expect(!isDone)
            for page in 0..<200 { guest.write(page: page, PageContents.zero) }
            _ = try source.pending(isExact: true)
            guest.add(new)
            source.add([new.migrated])
            try source.update { $0.maximumBytesPerSecond = 0 }
            try Self.drain(source)
            try source.complete()
        }
        #expect(stream.count(.compressed) > 0)
        #expect(stream.count(.zero) >= 200)
    }

    @Test func `MIG-1 pages between the used and the maximum length stay behind`() async throws {
        let block = try ScriptedGuest.Block("used", pages: 100, usedPages: 37)
        for page in 0..<100 { block.write(page: page, Self.text(UInt64(page))) }
        let guest = ScriptedGuest([block])
        let rig = try MigrationRig(guest)
        let (stream, outcome, _) = try await record(rig) { source in
            try source.setUp()
            try Self.drain(source)
            guest.write(page: 36, Self.noise(1))
            guest.write(page: 37, Self.noise(2))
            guest.write(page: 99, Self.noise(3))
            #expect(try source.pending(isExact: true) == 4096)
            try source.complete()
        }
        #expect(stream.records.map(\.offset) == (Array(0..<37) + [36]).map { $0 * 4096 })
        #expect(outcome.statistics.ram.total == 37 * 4096)
        #expect(rig.destination[0].page(37) == PageContents.zero)
    }
}

/// Keeps what a connection recorded when the connection is gone.
final class Holder: Sendable {
    private let held = Mutex<RecordingConnection?>(nil)

    func keep(_ connection: RecordingConnection) -> RecordingConnection {
        held.withLock { $0 = connection }
        return connection
    }

    /// What went by; the connection is let go.
    var bytes: [UInt8] {
        held.withLock { held in
            defer { held = nil }
            return held?.recorded.bytes ?? []
        }
    }
}
