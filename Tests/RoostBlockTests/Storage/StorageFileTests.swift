import Foundation
import Glibc
import Logging
import RoostBlock
import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// What an image can be, and what happens to it while it is served.
@Suite("Storage: images and devices")
struct StorageFileTests {
    private static let log = Logger(label: "test")

    @Test(
        "an image that is empty or no whole sectors is refused with what to do",
        arguments: [
            (0, "truncate -s 1G"), (1, "truncate -s 512"), (511, "truncate -s 512"),
            (513, "truncate -s 1024"), (4095, "truncate -s 4096"),
        ])
    func oddSizes(byteCount: Int, advice: String) throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: byteCount)
        let error = #expect(throws: BlockError.self) {
            try FileStorage(path: path, log: Self.log)
        }
        #expect(error?.kind == .image)
        #expect(error?.description.contains("\(advice) \(path)") == true)
    }

    @Test("what is no image is refused: a folder, a pipe, a device of characters, nothing")
    func noImage() throws {
        let folder = try StorageFolder()
        let pipe = folder.file("pipe")
        #expect(unsafe mkfifo(pipe, 0o600) == 0)
        for path in [folder.path, pipe, "/dev/null", folder.file("missing")] {
            let error = #expect(throws: BlockError.self) {
                try FileStorage(path: path, log: Self.log)
            }
            #expect(error?.kind == .image)
            #expect(error?.description.contains(path) == true)
        }
    }

    @Test("an image of sectors that are no whole page is served to its last sector")
    func oddTail() throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 4096 + 3 * 512)
        let storage = try FileStorage(path: path, log: Self.log)
        #expect(storage.geometry.sectorCount == 11)
        var rig = try StorageRig.make(storage, depth: 1)
        rig.window.copy(unsafe [UInt8](repeating: 7, count: 512).span.bytes, to: 0)
        #expect(try rig.run(.write, sectors: 10..<11) == nil)
        #expect(try rig.run(.flush, sectors: 0..<0) == nil)
        #expect(try rig.run(.discard, sectors: 8..<10) == nil)
        let bytes = try StorageFolder.bytes(path)
        #expect(bytes == [UInt8](repeating: 0, count: 5120) + [UInt8](repeating: 7, count: 512))
    }

    @Test("BLK-12: a discard punches a hole into the image, and its size stays")
    func holes() throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 1 << 20)
        let storage = try FileStorage(path: path, log: Self.log)
        #expect(storage.geometry.canDiscard)
        var rig = try StorageRig.make(storage, depth: 1)
        for number in 0..<256 {
            #expect(try rig.run(.write, sectors: number * 8..<number * 8 + 8) == nil)
        }
        #expect(try rig.run(.flush, sectors: 0..<0) == nil)
        let full = StorageFolder.allocatedByteCount(path)
        #expect(try rig.run(.discard, sectors: 8..<2040) == nil)
        #expect(full >= 1 << 20)
        #expect(StorageFolder.allocatedByteCount(path) <= full - 900 * 1024)
        #expect(try StorageFolder.bytes(path).count == 1 << 20)
    }

    @Test(
        "a read of what an image no longer has fails, and the others go on",
        arguments: [FileStorage.Caching.automatic, .buffered], [4096, 4096 + 512, 4096 + 100, 0])
    func shrinks(caching: FileStorage.Caching, to byteCount: Int) throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 16384)
        let storage = try FileStorage(
            path: path, options: FileStorage.Options(caching: caching), log: Self.log)
        var rig = try StorageRig.make(storage, depth: 1)
        try StorageFolder.resize(path, to: byteCount)
        let whole = byteCount / 512
        if whole > 0 { #expect(try rig.run(.read, sectors: 0..<whole) == nil) }
        #expect(try rig.run(.read, sectors: 0..<32) == .ioError)
        #expect(try rig.run(.read, sectors: 24..<32) == .ioError)
        #expect(try rig.run(.flush, sectors: 0..<0) == nil)
        try StorageFolder.resize(path, to: 16384)
        #expect(try rig.run(.read, sectors: 0..<32) == nil)
    }

    @Test("a file system that does no direct I/O is named once, and its file served all the same")
    func noDirectIO() throws {
        let path = "/sys/kernel/mm/transparent_hugepage/enabled"
        guard FileManager.default.isReadableFile(atPath: path) else { return }
        let sentences = SentenceLog()
        let log = Logger(label: "test") { _ in sentences }
        let storage = try FileStorage(
            path: path, options: FileStorage.Options(isReadOnly: true), log: log)
        #expect(!storage.isDirect)
        let logged = sentences.all
        #expect(logged.count == 1 && logged.first?.contains("page cache") == true)
        #expect(throws: BlockError.self) {
            try FileStorage(
                path: path, options: FileStorage.Options(isReadOnly: true, caching: .direct),
                log: log)
        }
        let folder = try StorageFolder()
        let image = try folder.image(byteCount: 4096)
        let buffered = try FileStorage(
            path: image, options: FileStorage.Options(caching: .buffered), log: log)
        #expect(!buffered.isDirect && sentences.all.count == 1)
    }

    @Test("two queues of two threads serve halves of one image")
    func twoQueues() async throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 1 << 20)
        let storage = try FileStorage(path: path, log: Self.log)
        @Sendable func fill(_ half: Int) async throws -> Bool {
            try await DedicatedThread.run(name: "half \(half)") {
                var rig = try StorageRig.make(storage, depth: 16)
                var random = SeededRandom(seed: UInt64(half))
                for _ in 0..<300 {
                    let first = half * 1024 + Int.random(in: 0..<1008, using: &random)
                    try rig.start(.write, sectors: first..<first + 16, using: &random)
                }
                try rig.settleAll()
                let range = half << 19..<(half + 1) << 19
                let wanted = Array(rig.expected[range])
                let found = Array(try StorageFolder.bytes(path)[range])
                return rig.failures.isEmpty && wanted == found
            }
        }
        async let first = fill(0)
        async let second = fill(1)
        let halves = try await (first, second)
        #expect(halves.0 && halves.1)
    }

    @Test("a write for which there is no room fails with the reason, and the others go on")
    func noRoom() async {
        // A limit on the size of files is the process's own, so this has one to itself.
        await #expect(processExitsWith: .success) {
            let folder = try StorageFolder()
            let path = try folder.image(byteCount: 1 << 20)
            FileSizeLimit.ignoreSignal()
            var limit = rlimit(rlim_cur: 1 << 19, rlim_max: 1 << 19)
            #expect(unsafe setrlimit(__rlimit_resource_t(1), &limit) == 0)
            for caching in [FileStorage.Caching.automatic, .buffered] {
                let storage = try FileStorage(
                    path: path, options: FileStorage.Options(caching: caching),
                    log: Logger(label: "test"))
                var rig = try StorageRig.make(storage, depth: 4)
                var random = SeededRandom(seed: 1)
                for number in 0..<64 {
                    try rig.start(
                        .write, sectors: number * 32..<number * 32 + 8, using: &random)
                }
                try rig.settleAll()
                let reasons = Set(rig.failures.values)
                #expect(reasons == [.fileTooLarge] && rig.completed == 64)
                #expect(try rig.run(.write, sectors: 0..<8) == nil)
                // What crosses the limit is written in part, and fails when it is continued.
                #expect(try rig.run(.write, sectors: 1016..<1032) == .fileTooLarge)
            }
        }
    }

    @Test("a queue that ends waits for what is under way, and nothing stays open")
    func nothingLeaks() async {
        await #expect(processExitsWith: .success) {
            let folder = try StorageFolder()
            let path = try folder.image(byteCount: 1 << 20)
            // The image and rings; Swift's runtime opens descriptors of its own.
            func ours() -> [String] {
                StorageMemory.openFiles().filter {
                    $0.hasPrefix(folder.path) || $0.contains("io_uring")
                }
            }
            for seed in UInt64(0)..<12 {
                let expected = try {
                    let storage = try FileStorage(path: path, log: Logger(label: "test"))
                    var rig = try StorageRig.make(storage, depth: 32)
                    var random = SeededRandom(seed: seed)
                    for number in 0..<32 {
                        try rig.start(
                            .write, sectors: number * 64..<number * 64 + 64, using: &random)
                    }
                    // The image is locked while its queue lives.
                    #expect(ours().count == 2)
                    #expect(throws: BlockError.self) {
                        try FileStorage(path: path, log: Logger(label: "test"))
                    }
                    // What was handed on is done, and what was not is forgotten.
                    guard seed % 2 == 0 else { return [UInt8](repeating: 0, count: 1 << 20) }
                    rig.queue.flushSubmissions()
                    return rig.expected
                }()
                #expect(try StorageFolder.bytes(path) == expected)
                try StorageFolder.resize(path, to: 0)
                try StorageFolder.resize(path, to: 1 << 20)
            }
            #expect(ours().isEmpty)
        }
    }

    @Test("more requests or segments than the system can take are refused")
    func limits() throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 4096)
        let storage = try FileStorage(path: path, log: Self.log)
        #expect(throws: BlockError.self) {
            _ = try storage.makeQueue(depth: 32_769, segmentLimit: 1)
        }
        #expect(throws: BlockError.self) {
            _ = try storage.makeQueue(depth: 1, segmentLimit: 1025)
        }
    }
}

/// Keeps what is logged.
final class SentenceLog: LogHandler, Sendable {
    private let sentences = Mutex<[String]>([])
    var all: [String] { sentences.withLock { $0 } }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        sentences.withLock { $0.append("\(event.message)") }
    }
}
