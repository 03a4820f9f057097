import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import RoostMigration

/// What is sent of a page, how it is counted, and what changes that while it runs.
extension SourceStepTests {
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
