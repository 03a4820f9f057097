import RoostMemory
import RoostSystem
import SystemPackage
import TestSupport
import Testing

@testable import RoostMigration

/// Pages are compressed by threads and come back in order (MIG-5).
@Suite(.timeLimit(.minutes(2))) struct PageCompressorTests {
    private typealias Options = MigrationParameters.Compression

    /// Inflates what was delivered.
    private func pages(_ delivered: [Delivered]) throws -> [[UInt8]] {
        guard var inflater = Inflater(.zlib) else { throw Errno.noMemory }
        return delivered.map { page in
            guard page.page.kind == .compressed else { return page.bytes }
            inflater.reset()
            var queue = ByteQueue(capacity: 8192)
            _ = queue.append(upTo: 8192) { room in
                let step = inflater.inflate(unsafe page.bytes.span.bytes, into: &room)
                #expect(step.outcome == .end)
                #expect(step.taken == page.bytes.count)
                return step.given
            }
            return [UInt8](copying: queue.bytes)
        }
    }

    @Test(arguments: [0, 1, 31, 32, 33, 95, 96, 97, 500], [1, 2, 4])
    func `any number of pages comes back whole and in order`(count: Int, workers: Int) throws {
        var random = SeededRandom(seed: UInt64(count * 8 + workers))
        let counter = ThreadCounter()
        let given = (0..<count).map { _ in
            Bool.random(using: &random)
                ? PageContents.text(using: &random) : PageContents.random(using: &random)
        }
        var delivered: [Delivered] = []
        do {
            var compressor = try PageCompressor(
                Options(threads: workers), starter: counter.starter)
            for (index, page) in given.enumerated() {
                let added = compressor.add(
                    unsafe page.span.bytes, block: index % 3, offset: UInt64(index * 4096)
                ) {
                    delivered.append(Delivered($0, $1))
                }
                #expect(added == .accepted)
            }
            compressor.flush { delivered.append(Delivered($0, $1)) }
            #expect(compressor.statistics.pages == UInt64(count))
            #expect(
                compressor.statistics.compressedByteCount
                    == delivered.reduce(0) {
                        $0 + UInt64($1.bytes.count) + ($1.page.kind == .compressed ? 4 : 0)
                    })
            #expect(compressor.statistics.busy == 0)
        }
        #expect(try pages(delivered) == given)
        #expect(delivered.map(\.page.offset) == (0..<count).map { UInt64($0 * 4096) })
        #expect(delivered.map(\.page.block) == (0..<count).map { $0 % 3 })
        #expect(counter.startedCount == workers)
        #expect(counter.isQuietSoon)
    }

    @Test(arguments: 0...9)
    func `every level makes streams that are whole`(level: Int) throws {
        var random = SeededRandom(seed: 7)
        let text = PageContents.text(using: &random)
        var compressor = try PageCompressor(Options(threads: 1, level: level))
        _ = compressor.add(unsafe text.span.bytes, block: 0, offset: 0) { _, _ in }
        var delivered: [Delivered] = []
        compressor.flush { delivered.append(Delivered($0, $1)) }
        #expect(delivered.first?.page.kind == (level == 0 ? .plain : .compressed))
        #expect(try pages(delivered) == [text])
    }

    @Test func `a page that gets no shorter goes plain`() throws {
        var random = SeededRandom(seed: 7)
        let noise = PageContents.random(using: &random)
        var compressor = try PageCompressor(Options(threads: 1))
        _ = compressor.add(unsafe noise.span.bytes, block: 2, offset: 8192) { _, _ in }
        var delivered: [Delivered] = []
        compressor.flush { delivered.append(Delivered($0, $1)) }
        #expect(delivered.map(\.page) == [.init(block: 2, offset: 8192, kind: .plain)])
        #expect(delivered.first?.bytes == noise)
        #expect(compressor.statistics.rate == 1)
    }

    @Test func `what the guest writes later is not seen`() throws {
        var random = SeededRandom(seed: 7)
        let text = PageContents.text(using: &random)
        var live = try MappedRegion.anonymous(byteCount: 4096)
        live.fill(with: text)
        var compressor = try PageCompressor(Options(threads: 1))
        _ = compressor.add(live.bytes, block: 0, offset: 0) { _, _ in }
        live.fill(with: PageContents.zero)
        var delivered: [Delivered] = []
        compressor.flush { delivered.append(Delivered($0, $1)) }
        #expect(try pages(delivered) == [text])
    }

    /// The only worker's thread begins once the test lets it.
    @Test func `without waiting a page is refused while no worker is free`() throws {
        let gate = try Semaphore()
        let starter = ThreadStarter { name, body in
            DedicatedThread.start(name: name) {
                gate.wait()
                body()
            }
        }
        var compressor = try PageCompressor(
            Options(threads: 1, waitsForThread: false), starter: starter)
        let page = PageContents.zero
        var accepted = 0
        while compressor.add(
            unsafe page.span.bytes, block: 0, offset: 0, { _, _ in }) == .accepted
        {
            accepted += 1
        }
        #expect(accepted == 96)
        let again = compressor.add(unsafe page.span.bytes, block: 0, offset: 0) { _, _ in }
        #expect(again == .busy)
        #expect(compressor.statistics.busy == 2)
        gate.signal()
        var count = 0
        compressor.flush { _, _ in count += 1 }
        #expect(count == 96)
        let free = compressor.add(unsafe page.span.bytes, block: 0, offset: 0) { _, _ in }
        #expect(free == .accepted)
    }

    @Test func `a page that was delivered to a failure is not delivered again`() throws {
        struct Failure: Error {}
        var random = SeededRandom(seed: 7)
        let page = PageContents.text(using: &random)
        var compressor = try PageCompressor(Options(threads: 2))
        for index in 0..<40 {
            _ = compressor.add(unsafe page.span.bytes, block: index, offset: 0) { _, _ in
                Issue.record("nothing can be ready before a batch is full")
            }
            if index == 30 { break }
        }
        var seen: [Int] = []
        #expect(throws: Failure.self) {
            try compressor.flush { page, _ throws(Failure) in
                seen.append(page.block)
                if page.block == 5 { throw Failure() }
            }
        }
        compressor.flush { page, _ in seen.append(page.block) }
        #expect(seen == Array(0...30))
    }

    @Test(arguments: [(0, 1), (256, 1), (-1, 1), (1, -1), (1, 10)])
    func `options outside their ranges are refused`(workers: Int, level: Int) {
        let failure = #expect(throws: MigrationError.self) {
            _ = try PageCompressor(Options(threads: workers, level: level))
        }
        #expect(failure?.kind == .limit)
    }

    @Test func `255 threads start and end`() throws {
        let counter = ThreadCounter()
        do {
            var compressor = try PageCompressor(
                Options(threads: 255), starter: counter.starter)
            let page = PageContents.zero
            _ = compressor.add(unsafe page.span.bytes, block: 0, offset: 0) { _, _ in }
            compressor.stop()
        }
        #expect(counter.startedCount == 255)
        #expect(counter.isQuietSoon)
    }

    @Test(arguments: 0..<3)
    func `a thread that cannot be started leaves none behind`(failing: Int) {
        let counter = ThreadCounter(failing: failing)
        let failure = #expect(throws: MigrationError.self) {
            _ = try PageCompressor(Options(threads: 3), starter: counter.starter)
        }
        #expect(failure?.kind == .transfer)
        #expect(counter.startedCount == failing)
        #expect(counter.isQuietSoon)
    }
}

/// A page that came back.
private struct Delivered {
    let page: PageCompressor.Page
    let bytes: [UInt8]

    init(_ page: PageCompressor.Page, _ bytes: RawSpan) {
        self.page = page
        self.bytes = [UInt8](copying: bytes)
    }
}

extension MappedRegion {
    fileprivate mutating func fill(with bytes: [UInt8]) {
        var page = mutableBytes
        page.replaceAll(with: unsafe bytes.span.bytes)
    }
}
