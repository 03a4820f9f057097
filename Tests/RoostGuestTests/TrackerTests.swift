import Glibc
import LabSupport
import RoostGuest
import RoostMemory
@testable import RoostMigration
import RoostSystem
import SystemPackage
import Testing

@Suite("Trackers", .timeLimit(.minutes(5)))
struct TrackerTests {
    static let kinds: [TrackerKind] = [.asynchronousProtection, .synchronousProtection, .shadow]

    @Test("ten of ten writes are seen, then none", arguments: kinds)
    func tenOfTen(kind: TrackerKind) async throws {
        let test = try await TestGuest()
        try await test.write(count: 1024, value: 1)
        let tracker = try test.guest.tracker(kind)
        try tracker.start(test.blocks, memory: test.memory)
        defer { tracker.stop() }
        for value in UInt64(2)...4 {
            try await test.write(first: 3, stride: 97, count: 10, value: value)
            let found = try test.dirty(tracker)
            #expect(found == (0..<10).map { 3 + $0 * 97 })
            let again = try test.dirty(tracker)
            #expect(again.isEmpty)
        }
    }

    @Test("a write to a page that was never touched is seen, and no other", arguments: kinds)
    func unpopulatedPages(kind: TrackerKind) async throws {
        let test = try await TestGuest()
        let tracker = try test.guest.tracker(kind)
        try tracker.start(test.blocks, memory: test.memory)
        defer { tracker.stop() }
        let before = try test.dirty(tracker)
        #expect(before.isEmpty)
        try await test.write(first: 1023, count: 1)
        let found = try test.dirty(tracker)
        #expect(found == [1023])
    }

    @Test("a block added while tracking is tracked too", arguments: kinds)
    func addedBlock(kind: TrackerKind) async throws {
        let test = try await TestGuest()
        let tracker = try test.guest.tracker(kind)
        try tracker.start(test.blocks, memory: test.memory)
        defer { tracker.stop() }
        test.tell(command: 2, count: 8 * pageByteCount)
        try await test.done()
        let new = try await poll(TestGuest.limit, "the block") {
            let blocks = try test.guest.newBlocks()
            return blocks.isEmpty ? nil : blocks
        }
        #expect(new.map(\.name) == ["extra"])
        let block = try TestGuest.map(new, in: test.memory)[0]
        try tracker.add(block)
        test.tell(command: 3, first: 2, stride: 3, count: 2)
        try await test.done()
        let found = try test.dirty(tracker, block)
        #expect(found == [2, 5])
        let rest = try test.dirty(tracker, block)
        #expect(rest.isEmpty)
    }

    @Test("all pages written are seen, more than one call of the kernel answers")
    func manyRegions() async throws {
        let pages = 3 * 4096
        let test = try await TestGuest(pages: pages)
        let tracker = try test.guest.tracker(.asynchronousProtection)
        try tracker.start(test.blocks, memory: test.memory)
        defer { tracker.stop() }
        try await test.write(stride: 2, count: pages / 2)
        let found = try test.dirty(tracker)
        #expect(found == Array(stride(from: 0, to: pages, by: 2)))
    }

    @Test(
        "a guest that is killed is reported as gone",
        arguments: [TrackerKind.asynchronousProtection, .synchronousProtection])
    func killedGuest(kind: TrackerKind) async throws {
        let test = try await TestGuest()
        let tracker = try test.guest.tracker(kind)
        try tracker.start(test.blocks, memory: test.memory)
        try await test.write(count: 5)
        try await test.program.stop()
        let error = #expect(throws: MigrationError.self) {
            // The pages that wrote themselves in must be protected again, which needs the guest.
            _ = try test.dirty(tracker)
        }
        #expect(error?.kind == .guest)
        #expect(error?.description.contains("has ended") == true)
        tracker.stop()
    }

    @Test("after the end nothing of the guest is protected", arguments: kinds)
    func stopLeavesNothing(kind: TrackerKind) async throws {
        let test = try await TestGuest()
        let tracker = try test.guest.tracker(kind)
        try tracker.start(test.blocks, memory: test.memory)
        let protected = test.isProtected
        #expect(protected == (kind != .shadow))
        tracker.stop()
        tracker.stop()
        #expect(!test.isProtected)
        try await test.write(count: 1024)
        try await test.runs()
    }

    @Test("a second tracker can follow the first", arguments: kinds)
    func trackingAgain(kind: TrackerKind) async throws {
        let test = try await TestGuest()
        for value in UInt64(1)...3 {
            let tracker = try test.guest.tracker(kind)
            try tracker.start(test.blocks, memory: test.memory)
            try await test.write(first: 7, count: 1, value: value)
            let found = try test.dirty(tracker)
            #expect(found == [7])
            tracker.stop()
        }
    }

    @Test("through a process that did not register, the kernel refuses to scan")
    func otherProcess() async throws {
        let test = try await TestGuest()
        let tracker = try test.guest.tracker(.asynchronousProtection)
        try tracker.start(test.blocks, memory: test.memory)
        defer { tracker.stop() }
        try await test.write(count: 10)
        let mine = try FileDescriptor.open(FilePath("/proc/self/pagemap"), .readOnly)
        defer { try? mine.close() }
        let scan = try PagemapScan.make(mine)
        let start = test.memory.address(of: 0)
        #expect(throws: Errno.notPermitted) {
            try scan.takeWritten(start..<start + UInt64(1024 * pageByteCount)) { _ in }
        }
        let found = try test.dirty(tracker)
        #expect(found.count == 10)
    }

    @Test("a writer that waits goes on when the last copy of the userfaultfd is closed")
    func closingReleasesWaiters() async throws {
        let test = try await TestGuest()
        try await test.write(count: 4)
        let addresses = test.guest.blocks[0].addresses(0..<4 * pageByteCount)
        do {
            let protection = try test.guest.protection(.synchronous)
            try protection.register(addresses)
            try protection.protect(addresses)
            test.tell(count: 4, value: 9)
            _ = try await poll(TestGuest.limit, "the guest to wait") {
                try protection.nextFault()
            }
            let waits = test.isWorking
            #expect(waits)
            withExtendedLifetime(protection) {}
        }
        try await test.done()
        #expect(test.memory.loadWord(at: 8) == 9)
    }

    @Test("the shadow holds what was collected, whatever is written since")
    func shadowIsSteady() async throws {
        let test = try await TestGuest()
        try await test.write(count: 2, value: 1)
        let tracker = try test.guest.tracker(.shadow)
        try tracker.start(test.blocks, memory: test.memory)
        let shadow = try #require(tracker.snapshot)
        try await test.write(count: 1, value: 2)
        #expect(shadow.loadWord(at: 8) == 1)
        // Back to what the shadow holds: nothing was sent in between, so nothing is to be sent.
        try await test.write(count: 1, value: 1)
        let back = try test.dirty(tracker)
        #expect(back.isEmpty)
        try await test.write(count: 1, value: 3)
        let found = try test.dirty(tracker)
        #expect(found == [0])
        #expect(shadow.loadWord(at: 8) == 3)
    }

    @Test("the shadow does not allocate what the guest never touched")
    func shadowLeavesHoles() async throws {
        let test = try await TestGuest()
        try await test.write(first: 100, count: 3)
        let tracker = try test.guest.tracker(.shadow)
        try tracker.start(test.blocks, memory: test.memory)
        _ = try test.dirty(tracker)
        var status = stat()
        #expect(unsafe fstat(test.guest.blocks[0].memoryFile.rawValue, &status) == 0)
        #expect(status.st_blocks * 512 == 3 * pageByteCount)
        tracker.stop()
    }

    @Test("the automatic choice is asynchronous protection, where the kernel has it")
    func automaticChoice() async throws {
        let test = try await TestGuest()
        var passedOver: [TrackerKind] = []
        let tracker = try test.guest.tracker(.automatic) { kind, _ in passedOver.append(kind) }
        #expect(tracker.name == "wp-async")
        #expect(passedOver.isEmpty)
    }

    @Test("tracking leaves no descriptor and no thread behind", arguments: kinds)
    func leavesNothing(kind: TrackerKind) async throws {
        let test = try await TestGuest()
        func once() async throws {
            let tracker = try test.guest.tracker(kind)
            try tracker.start(test.blocks, memory: test.memory)
            try await test.write(count: 20)
            _ = try test.dirty(tracker)
            tracker.stop()
        }
        try await once()
        // Other tests run beside this one: what this one leaked would grow with its rounds.
        func inGuest() -> Int { SmallFile.names(in: "/proc/\(test.guest.processID)/fd").count }
        let before = inGuest()
        for _ in 0..<20 { try await once() }
        #expect(inGuest() == before)
        let faults = SmallFile.names(in: "/proc/self/fd").count { name in
            var target = [CChar](repeating: 0, count: 64)
            let count = unsafe readlink("/proc/self/fd/\(name)", &target, 63)
            let text = target.prefix(max(count, 0)).map(UInt8.init(bitPattern:))
            return String(decoding: text, as: UTF8.self) == "anon_inode:[userfaultfd]"
        }
        // Suites run at once, so some are others' own.
        #expect(faults < 20)
    }

    @Test("explicit marks are collected once, at their pages")
    func explicitMarks() throws {
        let memory = try MemorySpace(capacity: 128 * pageByteCount)
        try memory.addAnonymous(byteCount: 100 * pageByteCount)
        let marks = ExplicitMarks()
        marks.mark(block: "ram", 0..<1)
        try marks.start([TrackedBlock(name: "ram", pages: 10..<90)], memory: memory)
        marks.mark(block: "ram", 0..<1)
        marks.mark(block: "ram", 2 * pageByteCount - 1..<2 * pageByteCount + 1)
        marks.mark(block: "ram", 60 * pageByteCount..<80 * pageByteCount)
        marks.mark(block: "ram", 5..<5)
        marks.mark(block: "other", 0..<pageByteCount)
        var bitmap = try DirtyBitmap(pageCount: 100)
        bitmap.clear(0..<100)
        try marks.collect(into: &bitmap)
        var found: [Int] = []
        for page in 0..<100 where bitmap.contains(page) { found.append(page) }
        #expect(found == [10, 11, 12] + Array(70..<90))
        bitmap.clear(0..<100)
        try marks.collect(into: &bitmap)
        let left = bitmap.dirtyCount
        #expect(left == 0)
    }
}

extension TestGuest {
    /// Whether any mapping of the guest is write-protected by a userfaultfd (proc_pid_smaps(5):
    /// `uw` of VmFlags).
    var isProtected: Bool {
        let text = SmallFile.text(of: "/proc/\(guest.processID)/smaps") ?? ""
        return text.split(separator: "\n").contains { line in
            line.hasPrefix("VmFlags:") && line.split(separator: " ").contains("uw")
        }
    }
}
