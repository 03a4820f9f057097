import Logging
import RoostBlock
import RoostMemory
import SystemPackage
import TestSupport
import Testing

/// What a storage refuses, whatever its user thinks.
@Suite("Storage: requests that are none")
struct StorageRequestTests {
    private static let page = StorageSegment(windowOffset: 0, byteCount: 4096)

    /// A request, its segments, and what becomes of it on a disk of 64 sectors.
    struct Case: Sendable, CustomStringConvertible {
        var operation: StorageOperation
        var sector: UInt64
        var sectorCount: UInt64
        var segments: [StorageSegment]
        var errno: Errno?

        init(
            _ operation: StorageOperation, _ sector: UInt64, _ sectorCount: UInt64,
            _ segments: [StorageSegment], _ errno: Errno?
        ) {
            self.operation = operation
            self.sector = sector
            self.sectorCount = sectorCount
            self.segments = segments
            self.errno = errno
        }

        var description: String { "\(operation) \(sector)+\(sectorCount) \(segments.count)" }
    }

    static let cases: [Case] = [
        Case(.read, 0, 8, [page], nil),
        Case(.read, 56, 8, [page], nil),
        Case(.read, 57, 8, [page], .invalidArgument),
        Case(.write, 57, 8, [page], .invalidArgument),
        Case(.discard, 57, 8, [], .invalidArgument),
        Case(.discard, 0, 64, [], nil),
        Case(.read, 64, 8, [page], .invalidArgument),
        Case(.read, .max, 8, [page], .invalidArgument),
        Case(.write, .max - 7, 8, [page], .invalidArgument),
        Case(.discard, 1, .max, [], .invalidArgument),
        Case(.read, 0, 0, [], .invalidArgument),
        Case(.write, 0, 0, [], .invalidArgument),
        Case(.discard, 0, 0, [], .invalidArgument),
        Case(.read, 0, 7, [page], .invalidArgument),
        Case(.read, 0, 9, [page], .invalidArgument),
        Case(.write, 0, 8, [], .invalidArgument),
        Case(
            .read, 0, 1, [StorageSegment(windowOffset: 0, byteCount: 511)], .invalidArgument),
        Case(
            .read, 0, 8, [page, StorageSegment(windowOffset: 4096, byteCount: 0)],
            .invalidArgument),
        Case(.flush, 0, 0, [], nil),
    ]

    @Test("BLK-21: a request that crosses the end fails whole, in memory", arguments: cases)
    func memory(_ request: Case) throws {
        try Self.check(request, on: try MemoryStorage(byteCount: 64 * 512))
    }

    @Test("BLK-21: a request that crosses the end fails whole, in an image", arguments: cases)
    func file(_ request: Case) throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 64 * 512)
        try Self.check(request, on: try FileStorage(path: path, log: Logger(label: "test")))
        #expect(try StorageFolder.bytes(path).count == 64 * 512)
    }

    private static func check(_ request: Case, on storage: some BlockStorage) throws {
        var rig = try StorageRig.make(storage, depth: 2)
        rig.window.zero(count: pageBytes.count, at: 0)
        #expect(try rig.run(.write, sectors: 56..<64) == nil)
        rig.window.copy(unsafe pageBytes.span.bytes, to: 0)
        let errno = try rig.run(
            request.operation, sector: request.sector, sectorCount: request.sectorCount,
            segments: request.segments)
        #expect(errno == request.errno)
        // Nothing of a refused request was transferred: neither to the disk's end nor back.
        if request.errno != nil {
            let inWindow = [UInt8](rig.window.bytes(at: 0, count: 4096))
            #expect(inWindow == pageBytes)
            #expect(try rig.run(.read, sectors: 56..<64) == nil)
            let onDisk = [UInt8](rig.window.bytes(at: 0, count: 4096))
            #expect(onDisk == [UInt8](repeating: 0, count: 4096))
        }
    }

    private static let pageBytes = [UInt8](repeating: 0xA5, count: 4096)

    @Test("BLK-12: a read-only disk is read and flushed, and neither written nor discarded")
    func readOnly() throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 64 * 512)
        let file = try FileStorage(
            path: path, options: FileStorage.Options(isReadOnly: true), log: Logger(label: "test"))
        try Self.checkReadOnly(file)
        try Self.checkReadOnly(try MemoryStorage(byteCount: 64 * 512, isReadOnly: true))
    }

    private static func checkReadOnly(_ storage: some BlockStorage) throws {
        #expect(storage.geometry.isReadOnly && !storage.geometry.canDiscard)
        var rig = try StorageRig.make(storage, depth: 1)
        #expect(try rig.run(.read, sectors: 0..<8) == nil)
        #expect(try rig.run(.flush, sectors: 0..<0) == nil)
        #expect(try rig.run(.write, sectors: 0..<8) == .readOnlyFileSystem)
        #expect(try rig.run(.discard, sectors: 0..<8) == .readOnlyFileSystem)
    }

    @Test("BLK-12: a discard gives the memory of whole pages back")
    func discardGivesBack() throws {
        let storage = try MemoryStorage(byteCount: 64 << 20)
        var rig = try StorageRig.make(storage, depth: 1)
        rig.window.copy(unsafe Self.pageBytes.span.bytes, to: 0)
        let before = StorageMemory.residentByteCount()
        for page in 0..<16384 { _ = try rig.run(.write, sectors: page * 8..<page * 8 + 8) }
        let full = StorageMemory.residentByteCount()
        // All but a sector at either end.
        #expect(try rig.run(.discard, sectors: 1..<131_071) == nil)
        let after = StorageMemory.residentByteCount()
        #expect(full - before > 48 << 20)
        #expect(full - after > 48 << 20)
        #expect(try rig.run(.read, sectors: 0..<8) == nil)
        let first = [UInt8](rig.window.bytes(at: 0, count: 4096))
        #expect(first == Array(Self.pageBytes[..<512]) + [UInt8](repeating: 0, count: 3584))
        #expect(try rig.run(.read, sectors: 131_064..<131_072) == nil)
        let last = [UInt8](rig.window.bytes(at: 0, count: 4096))
        #expect(last == [UInt8](repeating: 0, count: 3584) + Array(Self.pageBytes[..<512]))
    }

    @Test("a memory disk of no sectors, or of parts of one, is refused with the reason")
    func memorySizes() {
        for byteCount: UInt64 in [0, 1, 511, 513, .max, UInt64(Int64.max) / 512 * 512] {
            #expect(throws: BlockError.self) { try MemoryStorage(byteCount: byteCount) }
        }
    }

    @Test("BLK-8: in a faulty disk the request whose turn it is fails, and no other")
    func faulty() throws {
        for turn in 0..<6 {
            let storage = try FaultyStorage(
                byteCount: 1 << 16,
                plan: FaultyStorage.Plan(
                    failures: [turn: .ioError], lateness: 3, seed: UInt64(turn)))
            var random = SeededRandom(seed: 7)
            var rig = try StorageRig.make(storage, depth: 6)
            for number in 0..<6 {
                try rig.start(.write, sectors: number * 8..<number * 8 + 8, using: &random)
            }
            try rig.settleAll()
            #expect(rig.failures.count == 1 && rig.completed == 6)
        }
    }
}
