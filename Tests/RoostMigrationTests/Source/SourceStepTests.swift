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

    private static func noise(_ seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return PageContents.random(using: &random)
    }

    private static func text(_ seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return PageContents.text(using: &random)
    }

    /// A page with one byte changed.
    private static func touched(_ page: [UInt8], _ byte: UInt8) -> [UInt8] {
        var page = page
        page[100] = byte
        return page
    }

    /// A guest of one block of text.
    private static func guest(_ name: String, pages: Int) throws -> ScriptedGuest {
        let block = try ScriptedGuest.Block(name, pages: pages)
        for page in 0..<pages { block.write(page: page, text(UInt64(page))) }
        return ScriptedGuest([block])
    }

    /// Sends until nothing is dirty.
    private static func drain(_ source: MigrationSource) throws(MigrationError) {
        while try !source.iterate() {}
    }

    /// Runs a migration that is driven, and returns what went over the wire.
    private func record(
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

    // MARK: Zero pages and holes

    @Test func `MIG-3 a page of zeros travels as nine bytes, and a hole stays one`() async throws {
        let block = try ScriptedGuest.Block("holes", pages: 300)
        for page in [0, 7, 8, 150, 299] { block.write(page: page, Self.noise(UInt64(page))) }
        // Zeros that take memory.
        block.write(page: 20, PageContents.zero)
        let before = block.populatedPageCount
        let guest = ScriptedGuest([block])
        var rig = try MigrationRig(guest)
        let target = rig.destination[0]
        let held = Holder()
        rig.wrap = { inner in held.keep(RecordingConnection(inner)) }
        let outcome = try await rig.run()
        _ = try outcome.destination.get()
        // Before anything looks at the pages, which gives them memory.
        #expect(before == 6)
        #expect(block.populatedPageCount == 6)
        #expect(target.populatedPageCount == 5)
        let stream = try RecordCounter(held.bytes)
        #expect(stream.count(.zero) == 295)
        // 8 bytes of word and one of zero, but for the block's name where a block begins.
        #expect(stream.records.filter { $0.kind == .zero }.allSatisfy { $0.byteCount == 9 })
        #expect(outcome.statistics.ram.duplicate == 295)
        #expect(outcome.statistics.ram.normal == 5)
        #expect(rig.difference == nil)
    }

    @Test func `MIG-3 what the destination held is overwritten by zeros`() async throws {
        let block = try ScriptedGuest.Block("overwritten", pages: 70)
        block.write(page: 5, Self.text(5))
        let rig = try MigrationRig(ScriptedGuest([block]))
        for page in 0..<70 { rig.destination[0].write(page: page, Self.noise(UInt64(page))) }
        let outcome = try await rig.run()
        _ = try outcome.destination.get()
        #expect(rig.difference == nil)
    }

    /// A hole is known for a stretch of pages; what is written there meanwhile must be seen.
    @Test func `MIG-3 a page that is written in a known hole is sent as it is`() async throws {
        let block = try ScriptedGuest.Block("hole", pages: 100)
        block.write(page: 0, Self.noise(0))
        let guest = ScriptedGuest([block])
        var rig = try MigrationRig(guest)
        // A quota of 4,500 bytes: a whole page and some zeros.
        rig.parameters.maximumBytesPerSecond = 45_000
        let (stream, _, _) = try await record(rig) { source in
            try source.setUp()
            let isDone = try source.iterate()
            #expect(!isDone)
            guest.write(page: 60, Self.noise(60))
            try source.complete()
        }
        #expect(stream.count(.plain) == 2)
    }

    @Test(arguments: [false, true])
    func `MIG-3 a page filled with another byte is refused where that is asked for`(
        isStrict: Bool
    ) throws {
        var options = DestinationOptions(maximumRAMByteCount: 1 << 20)
        options.refusesFilledPages = isStrict
        let block = RAMBlock(name: "filled", usedByteCount: 8192)
        var loader = DestinationLoader(
            try GuestMemory(blocks: [block], maximumByteCount: 1 << 20), options)
        let list = [RAMBlockDescription(name: "filled", usedByteCount: 8192)]
        try loader.blocksListed(list)
        func apply(_ fill: UInt8) -> MigrationError? {
            let record = PageRecord(
                kind: .zero, block: 0, offset: 4096, streamOffset: 77, byteCount: 9)
            let body = [fill]
            do throws(MigrationError) {
                try loader.page(record, unsafe body.span.bytes)
                return nil
            } catch {
                return error
            }
        }
        #expect(apply(0) == nil)
        let error = apply(0x5a)
        guard isStrict else {
            #expect(error == nil)
            let page = loader.memory.withPage(block: 0, offset: 4096) { [UInt8](copying: $0) }
            #expect(page == [UInt8](repeating: 0x5a, count: 4096))
            return
        }
        #expect(error?.kind == .malformed)
        #expect(error?.block == "filled" && error?.blockOffset == 4096)
        #expect(error?.description.contains("0x5a") == true)
        let isZero = loader.memory.withPage(block: 0, offset: 4096) { $0.isZero }
        #expect(isZero)
    }

    // MARK: XBZRLE and compression

    @Test(arguments: MigrationDialect.allCases, [false, true])
    func `MIG-6 with XBZRLE on nothing is compressed after the first round`(
        dialect: MigrationDialect, hasDeltas: Bool
    ) async throws {
        let guest = try Self.guest("both", pages: 100)
        var rig = try MigrationRig(guest)
        rig.parameters.dialect = dialect
        rig.parameters.compression = MigrationParameters.Compression(threads: 2)
        if hasDeltas { rig.parameters.xbzrleCacheByteCount = 1 << 20 }
        let (stream, outcome, _) = try await record(rig) { source in
            try source.setUp()
            for byte in 0..<4 {
                try Self.drain(source)
                for page in 10..<30 {
                    guest.write(
                        page: page, Self.touched(Self.text(UInt64(page)), UInt8(byte)))
                }
                _ = try source.pending(isExact: true)
            }
            try source.complete()
        }
        let second = stream.secondRound
        #expect(second == 100)
        let (first, later) = (stream.records[..<second], stream.records[second...])
        #expect(first.filter { $0.kind == .compressed }.count >= 99)
        #expect(later.contains { $0.kind == .compressed } == !hasDeltas)
        #expect(later.contains { $0.kind == .delta } == hasDeltas)
        #expect(first.allSatisfy { $0.kind != .delta })
        #expect((outcome.statistics.xbzrleCache != nil) == hasDeltas)
    }

    // MARK: What is counted

    @Test(arguments: MigrationDialect.allCases)
    func `MIG-10 statistics count what the stream holds`(dialect: MigrationDialect) async throws {
        let guest = try Self.guest("counted", pages: 60)
        guest.state.withLock { state in
            for page in 50..<60 { state.blocks[0].write(page: page, PageContents.zero) }
        }
        var rig = try MigrationRig(guest)
        rig.parameters.dialect = dialect
        rig.parameters.xbzrleCacheByteCount = 1 << 20
        let (stream, outcome, byteCount) = try await record(rig) { source in
            try source.setUp()
            for byte in 1...4 {
                try Self.drain(source)
                for page in 10..<30 {
                    guest.write(
                        page: page, Self.touched(Self.text(UInt64(page)), UInt8(byte)))
                }
                // Noise every time, whose delta would be longer than the page; and what does not
                // change though it is written.
                guest.write(page: 40, Self.noise(UInt64(byte)))
                guest.write(page: 41, Self.text(41))
                guest.write(page: 55, PageContents.zero)
                _ = try source.pending(isExact: true)
            }
            try source.complete()
        }
        let statistics = outcome.statistics
        let cache = try #require(statistics.xbzrleCache)
        #expect(statistics.ram.transferred == UInt64(byteCount))
        #expect(
            statistics.ram.precopyBytes + statistics.ram.downtimeBytes
                == statistics.ram.transferred)
        #expect(statistics.ram.downtimeBytes > 0)
        #expect(statistics.ram.duplicate == stream.count(.zero))
        #expect(statistics.ram.duplicate == 14)
        #expect(statistics.ram.normal == stream.count(.plain))
        #expect(statistics.ram.normalBytes == stream.count(.plain) * 4096)
        #expect(statistics.ram.dirtySyncCount == 6)
        #expect(statistics.ram.remaining == 0)
        // Written four times: the first fills the cache.
        #expect(cache.cacheMiss == 22)
        #expect(cache.overflow == 3)
        #expect(statistics.ram.skipped == 3)
        let deltas = stream.count(.delta)
        #expect(deltas == 60)
        switch dialect {
        case .qemu72:
            #expect(cache.pages == deltas + cache.overflow + statistics.ram.skipped)
            #expect(cache.bytes == stream.bodyByteCount(.delta) + 4096 * cache.overflow)
        case .qemu2015:
            #expect(cache.pages == deltas)
            #expect(cache.bytes == stream.bodyByteCount(.delta) + 8 * deltas)
        }
        let loaded = try outcome.destination.get()
        #expect(loaded.streamBytes == UInt64(byteCount))
        #expect(loaded.deltaPages == deltas && loaded.zeroPages == 14)
        #expect(loaded.plainPages == stream.count(.plain))
    }

    @Test func `MIG-10 zlib's statistics count what the stream holds`() async throws {
        let guest = try Self.guest("zlib", pages: 90)
        guest.state.withLock { $0.blocks[0].write(page: 70, Self.noise(70)) }
        var rig = try MigrationRig(guest)
        rig.parameters.compression = MigrationParameters.Compression(threads: 2)
        let (stream, outcome, byteCount) = try await record(rig) { source in
            try source.setUp()
            try Self.drain(source)
            try source.complete()
        }
        let compression = try #require(outcome.statistics.compression)
        #expect(outcome.statistics.ram.transferred == UInt64(byteCount))
        // The first page of the block goes whole; one of noise comes back as it was.
        #expect(stream.count(.compressed) == 88)
        #expect(stream.count(.plain) == 2)
        #expect(outcome.statistics.ram.normal == 2)
        #expect(compression.pages == 89)
        #expect(compression.compressedSize == stream.bodyByteCount(.compressed) + 4096)
        #expect(compression.busy == 0)
    }

    // MARK: Changes while it runs

    @Test func `MIG-10 bandwidth, downtime and the cache change while it runs`() async throws {
        let guest = try Self.guest("live", pages: 10)
        var rig = try MigrationRig(guest)
        rig.parameters.xbzrleCacheByteCount = 64 << 10
        rig.parameters.maximumBytesPerSecond = 100_000
        _ = try await record(rig) { source in
            try source.setUp()
            // 10,000 bytes a slice: not ten pages of 4,096.
            #expect(try !source.iterate())
            #expect(source.statistics.xbzrleCache?.cacheSize == 64 << 10)
            try source.update {
                $0.maximumBytesPerSecond = 0
                $0.xbzrleCacheByteCount = (1 << 20) + 5
                $0.downtimeLimit = .seconds(1)
                // What cannot change is passed over.
                $0.machineType = "another"
                $0.sendsDigests = true
            }
            try Self.drain(source)
            for change: @Sendable (inout MigrationParameters) -> Void in [
                { $0.xbzrleCacheByteCount = 4095 }, { $0.downtimeLimit = .seconds(2001) },
                { $0.downtimeLimit = .seconds(-1) },
                { $0.autoConverge = .init(threshold: 0) }, { $0.machineType = "" },
            ] {
                do throws(MigrationError) {
                    try source.update(change)
                    Issue.record("it was taken")
                } catch {
                    #expect(error.kind == .limit)
                    #expect(error.description.contains("give"))
                }
            }
            try Self.drain(source)
            #expect(try source.complete().xbzrleCache?.cacheSize == 1 << 20)
        }
    }
}

/// Keeps what a connection recorded when the connection is gone.
private final class Holder: Sendable {
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
