import RoostMemory
import RoostSystem
import SystemPackage
import TestSupport
import Testing

@testable import RoostMigration

/// Pages are inflated by threads, in the order of the stream for each page (MIG-5).
@Suite(.timeLimit(.minutes(2))) struct PageDecompressorTests {
    private static let pageCount = 16

    private func record(page: Int, at streamOffset: UInt64 = 0) -> PageRecord {
        PageRecord(
            kind: .compressed, block: page / 8, offset: UInt64(page % 8 * 4096),
            streamOffset: streamOffset, byteCount: 0)
    }

    private func memory() throws -> MemorySpace {
        let memory = try MemorySpace(capacity: Self.pageCount * 4096)
        try memory.addAnonymous(byteCount: Self.pageCount * 4096)
        return memory
    }

    private func decompressor(
        _ memory: MemorySpace, workers: Int, dialect: MigrationDialect = .standard,
        starter: ThreadStarter = .system
    ) throws -> PageDecompressor {
        try PageDecompressor(
            into: memory, blockNames: ["a", "b"], workerCount: workers, dialect: dialect,
            starter: starter)
    }

    private func deflated(_ page: [UInt8]) throws -> [UInt8] {
        guard var deflater = PageDeflater(level: 1) else { throw Errno.noMemory }
        var queue = ByteQueue(capacity: StreamFormat.compressedPageLimit)
        _ = queue.append(upTo: StreamFormat.compressedPageLimit) {
            deflater.deflate(unsafe page.span.bytes, into: &$0)
        }
        return [UInt8](copying: queue.bytes)
    }

    private func content(_ memory: MemorySpace, page: Int) -> [UInt8] {
        [UInt8](copying: memory.page(at: page * 4096))
    }

    private static let broken: [UInt8] = [0x78, 1, 0xff, 0xff]

    /// Records of few pages, some whole, against the same applied one after the other.
    @Test(arguments: 0..<6 as Range<UInt64>, [0, 1, 2, 4])
    func `repeated pages end with what came last`(seed: UInt64, workers: Int) throws {
        var random = SeededRandom(seed: seed)
        let memory = try memory()
        let counter = ThreadCounter()
        var expected = Array(repeating: PageContents.zero, count: Self.pageCount)
        do {
            var decompressor = try decompressor(memory, workers: workers, starter: counter.starter)
            for step in 0..<500 {
                let page = Int.random(in: 0..<Self.pageCount, using: &random)
                let bytes = PageContents.text(using: &random)
                switch Int.random(in: 0..<10, using: &random) {
                case 0:
                    try decompressor.drain()
                    #expect(decompressor.pendingCount == 0)
                    #expect(content(memory, page: page) == expected[page])
                case 1...2:
                    try decompressor.wait(for: page)
                    #expect(content(memory, page: page) == expected[page])
                    memory.withMutablePage(at: page * 4096) {
                        $0.replaceAll(with: unsafe bytes.span.bytes)
                    }
                    expected[page] = bytes
                default:
                    let body = try deflated(bytes)
                    try decompressor.inflate(
                        unsafe body.span.bytes, of: record(page: page, at: UInt64(step)),
                        page: page)
                    expected[page] = bytes
                }
            }
            try decompressor.finish()
            for page in 0..<Self.pageCount {
                #expect(content(memory, page: page) == expected[page])
            }
        }
        #expect(counter.startedCount == workers)
        #expect(counter.isQuietSoon)
    }

    @Test(arguments: [0, 1, 3])
    func `less than a page leaves the rest, and bytes behind are passed over`(
        workers: Int
    ) throws {
        let memory = try memory()
        memory.withMutablePage(at: 4096) { $0.fill(with: 9) }
        var decompressor = try decompressor(memory, workers: workers)
        // zlib's stream of one stored byte, and two bytes more.
        let body: [UInt8] = [
            0x78, 1, 1, 1, 0, 0xfe, 0xff, 0x41, 0, 0x42, 0, 0x42, 0xde, 0xad,
        ]
        try decompressor.inflate(unsafe body.span.bytes, of: record(page: 1), page: 1)
        try decompressor.finish()
        #expect(content(memory, page: 1) == [0x41] + Array(repeating: 9, count: 4095))
    }

    @Test(
        arguments: [0, 1, 3],
        [
            [], [0x78], broken,
            // A stream that does not end, a wrong Adler-32, one byte more than a page.
            [0x78, 1, 1, 1, 0, 0xfe, 0xff, 0x41], [0x78, 1, 1, 1, 0, 0xfe, 0xff, 0x41, 0, 0, 0, 0],
            [0x78, 1, 1, 1, 0x10, 0xfe, 0xef] + Array(repeating: 1, count: 4097),
        ] as [[UInt8]])
    func `an undecodable page is named`(workers: Int, body: [UInt8]) throws {
        var decompressor = try decompressor(try memory(), workers: workers)
        let failure = #expect(throws: MigrationError.self) {
            try decompressor.inflate(
                unsafe body.span.bytes, of: record(page: 9, at: 77), page: 9)
            try decompressor.drain()
        }
        #expect(failure?.kind == .malformed)
        #expect(failure?.block == "b")
        #expect(failure?.blockOffset == 4096)
        #expect(failure?.streamOffset == 77)
        #expect(
            failure?.description
                == "at stream offset 77, block b offset 0x1000: the compressed page cannot be "
                + "decoded")
        #expect(decompressor.pendingCount == 0)
    }

    @Test(arguments: [0, 1, 4])
    func `of several undecodable pages the first of the stream is named`(workers: Int) throws {
        var decompressor = try decompressor(try memory(), workers: workers)
        let good = try deflated(PageContents.zero)
        let failure = #expect(throws: MigrationError.self) {
            for step in 0..<400 {
                let isBad = step == 131 || step == 133 || step == 200
                try decompressor.inflate(
                    unsafe (isBad ? Self.broken : good).span.bytes,
                    of: record(page: step % 16, at: UInt64(step)), page: step % 16)
            }
            try decompressor.drain()
        }
        #expect(failure?.streamOffset == 131)
    }

    @Test func `a body that is too long is refused`() throws {
        var decompressor = try decompressor(try memory(), workers: 1)
        let body = [UInt8](repeating: 0, count: 4111)
        let failure = #expect(throws: MigrationError.self) {
            try decompressor.inflate(unsafe body.span.bytes, of: record(page: 0, at: 5), page: 0)
        }
        #expect(failure?.kind == .malformed)
        #expect(failure?.streamOffset == 5)
    }

    @Test(arguments: [0, 2])
    func `in 2015 an undecodable page waits to be sent again`(workers: Int) throws {
        let memory = try memory()
        var decompressor = try decompressor(memory, workers: workers, dialect: .qemu2015)
        for page in [3, 4, 5] {
            try decompressor.inflate(
                unsafe Self.broken.span.bytes, of: record(page: page, at: UInt64(page)),
                page: page)
        }
        try decompressor.drain()
        let body = try deflated(PageContents.zero)
        try decompressor.inflate(unsafe body.span.bytes, of: record(page: 3, at: 10), page: 3)
        try decompressor.wait(for: 4)
        decompressor.replaced(page: 4)
        let failure = #expect(throws: MigrationError.self) { try decompressor.finish() }
        #expect(failure?.streamOffset == 5)
        #expect(failure?.block == "a")
        #expect(
            failure?.description.hasSuffix(
                "the first of 1 compressed pages that could not be decoded and were not sent "
                    + "again") == true)
        try decompressor.inflate(unsafe body.span.bytes, of: record(page: 5, at: 11), page: 5)
        try decompressor.finish()
    }

    @Test(arguments: [-1, 256])
    func `a number of threads outside its range is refused`(workers: Int) throws {
        let memory = try memory()
        let failure = #expect(throws: MigrationError.self) {
            _ = try decompressor(memory, workers: workers)
        }
        #expect(failure?.kind == .limit)
    }

    @Test(arguments: 0..<3)
    func `a thread that cannot be started leaves none behind`(failing: Int) throws {
        let memory = try memory()
        let counter = ThreadCounter(failing: failing)
        let failure = #expect(throws: MigrationError.self) {
            _ = try decompressor(memory, workers: 3, starter: counter.starter)
        }
        #expect(failure?.kind == .transfer)
        #expect(counter.isQuietSoon)
    }
}
