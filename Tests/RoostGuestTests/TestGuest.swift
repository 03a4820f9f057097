import LabSupport
import RoostMemory
@testable import RoostMigration
import SystemPackage

/// A guest process of a test: started, connected to, told what to write.
final class TestGuest: Sendable {
    /// As in `GuestProgram.Word`.
    private enum Word {
        static let counter = 0
        static let command = 8
        static let first = 16
        static let stride = 24
        static let count = 32
        static let value = 40
        static let sleeps = 48
    }

    static let limit = Duration.seconds(30)

    let folder: TemporaryFolder
    let program: ChildProcess
    let guest: ProcessGuest
    /// All blocks, `ram` first, as a source maps them.
    let memory: MemorySpace
    let blocks: [TrackedBlock]
    private let control: MemorySpace

    /// The path of a program of the tests' build.
    static func path(_ name: String) throws -> String {
        let me = try RoostProgram.folder()
        return "\(me)/\(name)"
    }

    /// Starts a guest without connecting to it.
    static func start(
        _ folder: TemporaryFolder, pages: Int = 1024, incoming: Bool = false
    ) async throws -> ChildProcess {
        let program = try ChildProcess(
            path("guest-program"),
            ["guest", folder.file("guest"), "\(pages * pageByteCount)"]
                + (incoming ? ["incoming"] : []))
        try await program.line { $0 == "READY" }
        return program
    }

    init(pages: Int = 1024, isBusy: Bool = false) async throws {
        folder = try TemporaryFolder()
        program = try await Self.start(folder, pages: pages)
        guest = try ProcessGuest.connect(to: folder.file("guest"))
        memory = try MemorySpace(capacity: (pages * 4 + 2) * pageByteCount)
        blocks = try Self.map(guest.blocks, in: memory)
        control = try MemorySpace(capacity: pageByteCount)
        try control.addFile(
            guest.blocks[1].memoryFile, byteCount: pageByteCount, isWritable: true,
            requiresSeal: true)
        control.storeWord(isBusy ? 0 : 1, at: Word.sleeps)
    }

    static func map(_ blocks: [GuestBlock], in memory: MemorySpace) throws -> [TrackedBlock] {
        try blocks.map { block in
            let bytes = try memory.addFile(
                block.memoryFile, byteCount: block.byteCount, isWritable: false, requiresSeal: true)
            return TrackedBlock(
                name: block.name,
                pages: bytes.lowerBound / pageByteCount..<bytes.upperBound / pageByteCount)
        }
    }

    /// What the guest has counted; grows while it runs.
    var counter: UInt64 { control.loadWord(at: Word.counter) }

    /// Whether the guest still does what it was told last.
    var isWorking: Bool { control.loadWord(at: Word.command) != 0 }

    /// Tells the guest to write, without waiting.
    func tell(
        command: UInt64 = 1, first: Int = 0, stride: Int = 1, count: Int, value: UInt64 = 1
    ) {
        control.storeWord(UInt64(first), at: Word.first)
        control.storeWord(UInt64(stride), at: Word.stride)
        control.storeWord(UInt64(count), at: Word.count)
        control.storeWord(value, at: Word.value)
        control.storeWord(command, at: Word.command)
    }

    /// Waits until the guest did what it was told.
    func done() async throws {
        _ = try await poll(Self.limit, "the guest to write") { isWorking ? nil : true }
    }

    /// Lets the guest write pages, and waits until it did.
    func write(
        first: Int = 0, stride: Int = 1, count: Int, value: UInt64 = 1
    ) async throws {
        tell(first: first, stride: stride, count: count, value: value)
        try await done()
    }

    /// Waits until the guest has gone on from here.
    func runs() async throws {
        let now = counter
        _ = try await poll(Self.limit, "the guest to run") { counter > now + 3 ? true : nil }
    }

    /// The dirty pages of a block that a tracker finds now, as pages of the block.
    func dirty(_ tracker: any DirtyTracker, _ block: TrackedBlock? = nil) throws -> [Int] {
        let block = block ?? blocks[0]
        var bitmap = try DirtyBitmap(pageCount: memory.byteCount / pageByteCount)
        bitmap.clear(0..<bitmap.pageCount)
        try tracker.collect(into: &bitmap)
        var found: [Int] = []
        for page in block.pages where bitmap.contains(page) {
            found.append(page - block.pages.lowerBound)
        }
        return found
    }
}
