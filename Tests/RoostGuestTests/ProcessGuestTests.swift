import Glibc
import LabSupport
import RoostGuest
import RoostMemory
@testable import RoostMigration
import RoostSystem
import SystemPackage
import Testing

@Suite("Guest processes", .timeLimit(.minutes(5)))
struct ProcessGuestTests {
    @Test("a guest is described by its blocks, whose memory is shared")
    func description() async throws {
        let test = try await TestGuest(pages: 16)
        #expect(test.guest.blocks.map(\.name) == ["ram", "control"])
        #expect(test.guest.blocks.map(\.byteCount) == [16 * pageByteCount, pageByteCount])
        #expect(!test.guest.awaitsArrival)
        try await test.write(first: 15, count: 1, value: 77)
        #expect(test.memory.loadWord(at: 15 * pageByteCount + 8) == 77)
    }

    @Test("a paused guest executes nothing until it is continued")
    func pausing() async throws {
        let test = try await TestGuest(isBusy: true)
        for _ in 0..<20 {
            try await test.runs()
            try test.guest.pause()
            let threads = test.guest.process.handle.threads()
            let isStill = threads.count >= 2 && threads.allSatisfy(\.isStopped)
            #expect(isStill)
            let counter = test.counter
            // Looking at the threads takes longer than a busy guest's step.
            _ = test.guest.process.handle.threads()
            #expect(test.counter == counter)
            test.guest.resume()
        }
        try await test.runs()
    }

    @Test("a guest that waits for an answer to a write can be paused and continued")
    func pausingDuringFault() async throws {
        let test = try await TestGuest()
        let addresses = test.guest.blocks[0].addresses(0..<pageByteCount)
        let protection = try test.guest.protection(.synchronous)
        try protection.register(addresses)
        try protection.protect(addresses)
        test.tell(count: 1, value: 5)
        _ = try await poll(TestGuest.limit, "the guest to wait") { try protection.nextFault() }
        try test.guest.pause()
        try protection.unprotect(addresses)
        #expect(test.isWorking)
        test.guest.resume()
        try await test.done()
    }

    @Test("a guest that was killed is reported as gone")
    func killed() async throws {
        let test = try await TestGuest()
        try await test.program.stop()
        let paused = #expect(throws: MigrationError.self) { try test.guest.pause() }
        #expect(paused?.kind == .guest)
        let asked = #expect(throws: MigrationError.self) { _ = try test.guest.newBlocks() }
        #expect(asked?.kind == .guest)
        let tracked = #expect(throws: MigrationError.self) {
            _ = try test.guest.tracker(.automatic)
        }
        #expect(tracked?.kind == .guest)
        test.guest.resume()
        try test.guest.end()
    }

    @Test("a guest that moved away is ended")
    func ending() async throws {
        let test = try await TestGuest()
        try test.guest.pause()
        try test.guest.end()
        let status = try await test.program.exit()
        #expect(status == -SIGKILL)
    }

    @Test(
        "a guest runs on when who held it is killed",
        arguments: ["pause", "stop-cycle"] + (ThrottleTests.hasVersion1 ? ["cgroup-v1"] : []))
    func holderKilled(how: String) async throws {
        let test = try await SeparatelyHeldGuest(how)
        let counter = test.counter
        if how == "pause" {
            let isStill = test.isStopped
            #expect(isStill)
            #expect(test.counter == counter)
        }
        if how == "cgroup-v1" { #expect(test.hasGroup) }
        try await test.holder.stop()
        _ = try await poll(TestGuest.limit, "the guest to go on") {
            !test.hasGroup && test.counter > counter + 3
                && !test.threads.contains(where: \.isStopped)
                ? true : nil
        }
        let group = SmallFile.text(of: "/proc/\(test.processID)/cgroup") ?? ""
        #expect(!group.contains("roost-"))
    }

    @Test("a guest that has left stays stopped when who held it is killed")
    func leftGuest() async throws {
        let test = try await SeparatelyHeldGuest("left")
        // It is named a moment after it was started.
        let keepers = try await poll(TestGuest.limit, "a keeper") {
            let keepers = Self.keepers(of: test.processID)
            return keepers.isEmpty ? nil : keepers
        }
        #expect(keepers.count == 1)
        try await test.holder.stop()
        _ = try await poll(TestGuest.limit, "the keeper's end") {
            keepers.allSatisfy { SmallFile.text(of: "/proc/\($0)/stat") == nil } ? true : nil
        }
        let isStill = test.isStopped
        #expect(isStill)
    }

    /// The keepers that hold a descriptor of a process (proc_pid_fdinfo(5): `Pid`).
    private static func keepers(of guest: Int32) -> [String] {
        SmallFile.names(in: "/proc").filter { name in
            guard SmallFile.text(of: "/proc/\(name)/comm") == "roost-keeper\n" else { return false }
            return SmallFile.names(in: "/proc/\(name)/fdinfo").contains { descriptor in
                SmallFile.text(of: "/proc/\(name)/fdinfo/\(descriptor)")?
                    .contains("Pid:\t\(guest)\n") == true
            }
        }
    }

    @Test("a keeper does not outlive who let its guest go")
    func keeperEnds() async throws {
        var test: TestGuest? = try await TestGuest()
        try test?.guest.pause()
        test?.guest.resume()
        let mine = { Self.children() }
        let before = mine()
        #expect(!before.isEmpty)
        let guestKeeper = try #require(test).guest.process.keeperProcessID
        #expect(before.contains("\(guestKeeper)"))
        test = nil
        #expect(!mine().contains("\(guestKeeper)"))
    }

    private static func children() -> [String] {
        SmallFile.names(in: "/proc").filter { name in
            let stat = SmallFile.text(of: "/proc/\(name)/stat") ?? ""
            guard let end = stat.lastIndex(of: ")") else { return false }
            let fields = stat[end...].split(separator: " ")
            return fields.count > 2 && fields[2] == "\(getpid())"
        }
    }
}

/// A guest that another process holds.
final class SeparatelyHeldGuest: Sendable {
    let folder: TemporaryFolder
    let program: ChildProcess
    let holder: ChildProcess
    let processID: Int32
    private let control: MemorySpace

    init(_ how: String) async throws {
        folder = try TemporaryFolder()
        program = try await TestGuest.start(folder, pages: 16)
        control = try MemorySpace(capacity: pageByteCount)
        do {
            let guest = try ProcessGuest.connect(to: folder.file("guest"))
            processID = guest.processID
            try control.addFile(
                guest.blocks[1].memoryFile, byteCount: pageByteCount, isWritable: true,
                requiresSeal: true)
        }
        holder = try ChildProcess(
            TestGuest.path("guest-program"), ["hold", folder.file("guest"), how])
        try await holder.line { $0 == "HELD" }
    }

    var counter: UInt64 { control.loadWord(at: 0) }

    var threads: [ThreadStatus] {
        (try? ProcessHandle(processID))?.threads() ?? []
    }

    /// Whether no thread of the guest executes anything.
    var isStopped: Bool { threads.allSatisfy(\.isStopped) }

    /// Whether there is a control group for the guest.
    var hasGroup: Bool { hasControlGroup(processID) }
}
