import RoostMemory
import Synchronization
import TestSupport
import Testing

@testable import RoostMigration

/// MIG-1, MIG-3 to MIG-6, MIG-8 and MIG-9 together: whatever is written and however it is sent, the
/// memory at the switch-over is the same.
@Suite struct MigrationPropertyTests {
    @Test(arguments: UInt64(0)..<96)
    func memoryAtTheSwitchOverIsIdentical(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        var blocks: [ScriptedGuest.Block] = []
        for index in 0..<Int.random(in: 1...4, using: &random) {
            let pages = [1, 2, 63, 64, 65, 200].randomElement(using: &random) ?? 1
            let used = Int.random(in: 0..<4, using: &random) == 0 ? (pages + 1) / 2 : pages
            blocks.append(
                try ScriptedGuest.Block("block\(index)", pages: pages, usedPages: used))
        }
        let guest = ScriptedGuest(
            blocks, seed: seed, writes: Int.random(in: 0...12, using: &random))
        guest.fill()
        var rig = try MigrationRig(guest)
        rig.parameters.dialect = Bool.random(using: &random) ? .qemu72 : .qemu2015
        rig.parameters.sendsDigests = Bool.random(using: &random)
        rig.parameters.downtimeLimit = .zero
        if Bool.random(using: &random) {
            rig.parameters.xbzrleCacheByteCount =
                [4096, 5000, 64 << 10, 1 << 20].randomElement(using: &random)
        }
        if Bool.random(using: &random) {
            rig.parameters.compression = MigrationParameters.Compression(
                threads: Int.random(in: 1...3, using: &random),
                level: Int.random(in: 0...9, using: &random),
                waitsForThread: Bool.random(using: &random))
            rig.options.decompressionThreads = Int.random(in: 0...3, using: &random)
        }
        // Every other seed goes in slices, with looks in the middle of the first round.
        let clock = HandClock()
        if Bool.random(using: &random) {
            rig.parameters.maximumBytesPerSecond = UInt64.random(
                in: 5_000...2_000_000, using: &random)
            rig.parameters.downtimeLimit = .milliseconds(Int.random(in: 0...2000, using: &random))
            rig.parameters.maximumRounds = nil
            rig.now = { clock.now }
            rig.wrap = { inner in
                RecordingConnection(
                    inner, .init(onSleep: { _, _, _ in clock.advance(by: RateLimiter.slice) }))
            }
        }
        let outcome = try await rig.run()
        let (statistics, loaded) = (try outcome.source.get(), try outcome.destination.get())
        #expect(rig.difference == nil)
        #expect(loaded.isVerified == rig.parameters.sendsDigests)
        #expect(statistics.status == .completed)
        #expect(statistics.ram.remaining == 0)
        #expect(statistics.ram.transferred == loaded.streamBytes)
        #expect(guest.state.withLock { !$0.isTracked && $0.isPaused })
        // All pages in use were sent at least once.
        let pages = blocks.reduce(0) { $0 + $1.block.usedByteCount } / UInt64(pageByteCount)
        let sent =
            loaded.zeroPages + loaded.plainPages + loaded.deltaPages + loaded.compressedPages
        #expect(sent >= pages)
        if rig.parameters.xbzrleCacheByteCount == nil { #expect(loaded.deltaPages == 0) }
        if rig.parameters.compression == nil { #expect(loaded.compressedPages == 0) }
    }
}
