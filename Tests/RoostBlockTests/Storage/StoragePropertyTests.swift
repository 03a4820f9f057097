import Logging
import TestSupport
import Testing

@testable import RoostBlock

/// Both storages beside an array that says what the disk must hold.
@Suite("Storage: every byte as it was written")
struct StoragePropertyTests {
    /// Runs random requests, several under way at once, and reads the whole disk at the end.
    private static func exercise<Storage: BlockStorage>(
        _ storage: Storage, seed: UInt64, depth: Int, steps: Int,
        prepare: (inout StorageRig<Storage.Queue>) -> Void = { _ in }
    ) throws -> (mismatches: Int, failures: Int, expected: [UInt8]) {
        var random = SeededRandom(seed: seed)
        var rig = try StorageRig.make(storage, depth: depth)
        prepare(&rig)
        let sectorCount = Int(storage.geometry.sectorCount)
        for _ in 0..<steps {
            let first = Int.random(in: 0..<sectorCount, using: &random)
            let limit = min(32, sectorCount - first)
            let sectors = first..<first + Int.random(in: 1...limit, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4: try rig.start(.read, sectors: sectors, using: &random)
            case 4..<8: try rig.start(.write, sectors: sectors, using: &random)
            case 8: try rig.start(.discard, sectors: sectors, using: &random)
            default: try rig.start(.flush, sectors: 0..<0, using: &random)
            }
            // Now and then the queue is full, now and then empty.
            if Int.random(in: 0..<12, using: &random) == 0 { try rig.settleAll() }
        }
        try rig.settleAll()
        for first in stride(from: 0, to: sectorCount, by: 8) {
            try rig.start(.read, sectors: first..<min(first + 8, sectorCount), using: &random)
        }
        try rig.settleAll()
        return (rig.mismatches, rig.failures.count, rig.expected)
    }

    @Test(
        "BLK-12: a memory disk reads back what was written, and zeros where it was discarded",
        arguments: UInt64(0)..<24)
    func memory(seed: UInt64) throws {
        let sizes: [UInt64] = [512, 4096, 4096 * 7 + 512, 1 << 18]
        let storage = try MemoryStorage(byteCount: sizes[Int(seed % 4)])
        let result = try Self.exercise(storage, seed: seed, depth: 1 + Int(seed % 7), steps: 300)
        #expect(result.mismatches == 0)
        #expect(result.failures == 0)
    }

    @Test(
        "BLK-12: an image reads back what was written, directly and through the page cache",
        arguments: UInt64(0)..<24)
    func file(seed: UInt64) throws {
        let folder = try StorageFolder()
        let sizes = [512, 4096, 4096 * 7 + 512, 1 << 18]
        let path = try folder.image(byteCount: sizes[Int(seed / 2 % 4)])
        let storage = try FileStorage(
            path: path,
            options: FileStorage.Options(caching: seed % 2 == 0 ? .automatic : .buffered),
            log: Logger(label: "test"))
        let result = try Self.exercise(storage, seed: seed, depth: 1 + Int(seed % 32), steps: 200)
        #expect(result.mismatches == 0)
        #expect(result.failures == 0)
        #expect(try StorageFolder.bytes(path) == result.expected)
    }

    @Test(
        "a transfer that the system does in pieces is continued where it stopped",
        arguments: UInt64(0)..<16)
    func pieces(seed: UInt64) throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 1 << 16)
        let storage = try FileStorage(path: path, log: Logger(label: "test"))
        let result = try Self.exercise(storage, seed: seed, depth: 4, steps: 60) { rig in
            rig.queue.pieceByteCount = 512 * (1 + seed % 9)
        }
        #expect(result.mismatches == 0)
        #expect(result.failures == 0)
        #expect(try StorageFolder.bytes(path) == result.expected)
    }

    @Test("requests that complete late and out of order are told apart", arguments: UInt64(0)..<8)
    func late(seed: UInt64) throws {
        let storage = try FaultyStorage(
            byteCount: 1 << 16, plan: FaultyStorage.Plan(lateness: 5, seed: seed))
        let result = try Self.exercise(storage, seed: seed, depth: 8, steps: 200)
        #expect(result.mismatches == 0)
        #expect(result.failures == 0)
    }
}
