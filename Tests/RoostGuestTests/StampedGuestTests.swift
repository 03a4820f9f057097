import Glibc
import LabSupport
import RoostGuest
import RoostMemory
@testable import RoostMigration
@testable import StampedGuest
import SystemPackage
import Testing

@Suite("Stamped guests", .timeLimit(.minutes(5)))
struct StampedGuestTests {
    @Test(
        "the generation of every page can be told from the steps",
        arguments: [1, 2, 3, 7, 64, 100])
    func generations(hotCount: Int) throws {
        let layout = try #require(
            GuestLayout(
                pageCount: 120, hotCount: hotCount, stride: GuestLayout.stride(hotCount: hotCount),
                bytesPerWrite: 64, content: .text, seed: 1, writesPerSecond: 0))
        var generations = [UInt64](repeating: 0, count: 120)
        for step in 0..<UInt64(3 * hotCount + 2) {
            for page in 0..<120 {
                let told = layout.generation(ofPage: page, afterSteps: step)
                #expect(told == generations[page])
            }
            let page = layout.page(ofStep: step)
            generations[page] += 1
            #expect(layout.generation(ofStep: step) == generations[page])
            #expect(layout.step(ofPage: page, generation: generations[page]) == step)
        }
    }

    @Test("a stride that shares a divisor with the pages is refused")
    func wrongStride() {
        let layout = GuestLayout(
            pageCount: 10, hotCount: 10, stride: 4, bytesPerWrite: 0, content: .random, seed: 0,
            writesPerSecond: 0)
        #expect(layout == nil)
    }

    @Test(
        "writing a page again leaves the same bytes", arguments: GuestContent.allCases,
        [0, 100, 4096])
    func writingTwice(content: GuestContent, bytesPerWrite: Int) throws {
        let layout = try #require(
            GuestLayout(
                pageCount: 10, hotCount: 10, stride: 3, bytesPerWrite: bytesPerWrite,
                content: content, seed: 5, writesPerSecond: 0))
        let memory = try MemorySpace(capacity: 2 * pageByteCount)
        try memory.addAnonymous(byteCount: 2 * pageByteCount)
        for generation in UInt64(0)...3 {
            // One page write by write, the other whole.
            for (place, all) in [(0, generation == 0), (1, true)] {
                memory.withMutablePage(at: place * pageByteCount) { target in
                    PageStamp.write(layout, page: 4, generation: generation, all: all, to: &target)
                }
            }
            let same = memory.page(at: 0).isEqual(to: memory.page(at: pageByteCount))
            #expect(same)
            let stamp = PageStamp(memory.page(at: 0))
            #expect(stamp.isWhole && stamp.generation == generation && stamp.number == 5)
        }
    }

    @Test("a guest that is stopped anywhere and moved loses and repeats no step")
    func moving() async throws {
        let folder = try TemporaryFolder()
        let bytes = 2 << 20
        var program = try ChildProcess(
            TestGuest.path("stamped-guest"),
            ["--socket", folder.file("0"), "--memory", "2M", "--hot", "60"])
        try await program.line { $0 == "READY" }
        var guest = try ProcessGuest.connect(to: folder.file("0"))
        var steps: UInt64 = 0
        for move in 1...8 {
            try guest.pause()
            let next = try ChildProcess(
                TestGuest.path("stamped-guest"),
                ["--socket", folder.file("\(move)"), "--memory", "2M", "--incoming"])
            try await next.line { $0 == "READY" }
            let arriving = try ProcessGuest.connect(to: folder.file("\(move)"))
            try copy(guest.blocks[0], to: arriving.blocks[0], byteCount: bytes)
            guest.leave()
            try arriving.arrived()
            let result = try await next.line { $0.hasPrefix("{") }
            #expect(result.text.hasSuffix("\"ok\":true}"))
            #expect(result.text.contains("\"generationsChecked\":511,"))
            let step = try #require(Self.step(result.text))
            #expect(step > steps)
            steps = step
            try guest.end()
            (program, guest) = (next, arriving)
        }
        program.signal(SIGTERM)
        try await program.succeed()
        let last = try #require(program.lines.last?.text)
        #expect(last.hasSuffix("\"ok\":true}"))
    }

    @Test("what is lost, repeated or damaged on the way is found", arguments: ["lost", "damaged"])
    func damage(kind: String) async throws {
        let folder = try TemporaryFolder()
        let source = try ChildProcess(
            TestGuest.path("stamped-guest"),
            ["--socket", folder.file("a"), "--memory", "1M", "--hot", "100", "--content", "sparse"])
        try await source.line { $0 == "READY" }
        let guest = try ProcessGuest.connect(to: folder.file("a"))
        let early = try MemorySpace(capacity: 1 << 20)
        try early.addAnonymous(byteCount: 1 << 20)
        try guest.pause()
        try copy(guest.blocks[0], into: early)
        let begun = early.loadWord(at: GuestLayout.Word.step)
        guest.resume()
        let live = try MemorySpace(capacity: 1 << 20)
        try live.addFile(
            guest.blocks[0].memoryFile, byteCount: 1 << 20, isWritable: false, requiresSeal: true)
        // Every page is written again in 255 steps.
        _ = try await poll(TestGuest.limit, "the guest's steps") {
            live.loadWord(at: GuestLayout.Word.step) > begun + 600 ? true : nil
        }
        try guest.pause()
        let target = try ChildProcess(
            TestGuest.path("stamped-guest"),
            ["--socket", folder.file("b"), "--memory", "1M", "--incoming"])
        try await target.line { $0 == "READY" }
        let arriving = try ProcessGuest.connect(to: folder.file("b"))
        let memory = try copy(guest.blocks[0], to: arriving.blocks[0], byteCount: 1 << 20)
        // A page that the arriving guest does not write first.
        let layout = try #require(GuestLayout(of: memory))
        let step = memory.loadWord(at: GuestLayout.Word.step)
        let place = (layout.page(ofStep: step + 1) + 1) * pageByteCount
        if kind == "lost" {
            memory.withMutablePage(at: place) { $0.replaceAll(with: early.page(at: place)) }
        } else {
            memory.storeWord(~memory.loadWord(at: place + 2000), at: place + 2000)
        }
        try arriving.arrived()
        let result = try await target.line { $0.hasPrefix("{") }
        #expect(result.text.contains("\"\(kind)\":1,"))
        #expect(result.text.hasSuffix("\"ok\":false}"))
        try guest.end()
    }

    @Test("a guest keeps to its writes a second")
    func rate() async throws {
        let folder = try TemporaryFolder()
        let program = try ChildProcess(
            TestGuest.path("stamped-guest"),
            ["--socket", folder.file("a"), "--memory", "1M", "--writes-per-second", "500"])
        try await program.line { $0 == "READY" }
        let guest = try ProcessGuest.connect(to: folder.file("a"))
        let memory = try MemorySpace(capacity: 1 << 20)
        try memory.addFile(
            guest.blocks[0].memoryFile, byteCount: 1 << 20, isWritable: false, requiresSeal: true)
        // Behind what it may catch up with, a tenth of a second, when it was kept from running.
        let first = memory.loadWord(at: GuestLayout.Word.step)
        let begin = ContinuousClock.now
        _ = try await poll(TestGuest.limit, "500 steps") {
            memory.loadWord(at: GuestLayout.Word.step) >= first + 500 ? true : nil
        }
        let seconds = begin.duration(to: .now) / .seconds(1)
        #expect(seconds > 0.8)
    }

    @discardableResult
    private func copy(
        _ from: GuestBlock, to target: GuestBlock, byteCount: Int
    ) throws -> MemorySpace {
        let memory = try MemorySpace(capacity: byteCount)
        try memory.addFile(
            target.memoryFile, byteCount: byteCount, isWritable: true, requiresSeal: true)
        try copy(from, into: memory)
        return memory
    }

    private func copy(_ from: GuestBlock, into memory: MemorySpace) throws {
        let source = try MemorySpace(capacity: from.byteCount)
        try source.addFile(
            from.memoryFile, byteCount: from.byteCount, isWritable: false, requiresSeal: true)
        for offset in stride(from: 0, to: from.byteCount, by: pageByteCount) {
            memory.withMutablePage(at: offset) { $0.replaceAll(with: source.page(at: offset)) }
        }
    }

    private static func step(_ line: String) -> UInt64? {
        let digits = line.dropFirst("{\"step\":".count).prefix { $0.isNumber }
        return UInt64(digits)
    }
}
