import Glibc
import RoostMemory
import Synchronization
import SystemPackage
import TestSupport

@testable import RoostMigration

/// A guest in this process that writes its memory when it is looked at, as its seed says, and
/// tells which pages it wrote.
final class ScriptedGuest: DirtyTracker, MigrationGuest {
    /// What happened to it.
    struct State: ~Copyable {
        var blocks: [Block] = []
        var random: SeededRandom
        var isPaused = false
        var pauses = 0
        /// Whether it may run elsewhere.
        var hasLeft = false
        var isTracked = false
        /// How many more times it writes.
        var writes: Int
        var collections = 0
        var resumptions = 0
        var tracked: [TrackedBlock] = []
        /// Pages written since the last look, by block and page.
        var dirty: [(block: Int, page: Int)] = []
    }

    /// A block of its memory.
    final class Block: Sendable {
        let block: RAMBlock
        let memory: Mutex<MappedRegion>
        let file: FileDescriptor

        // `filePages` is the length of its file, which may be too short.
        init(
            _ name: String, pages: Int, usedPages: Int? = nil, filePages: Int? = nil
        ) throws {
            block = RAMBlock(
                name: name, usedByteCount: UInt64((usedPages ?? pages) * pageByteCount),
                maximumByteCount: UInt64(pages * pageByteCount))
            let region = try MappedRegion.memoryFile(
                name: name, byteCount: (filePages ?? pages) * pageByteCount)
            file = region.memoryFile ?? FileDescriptor(rawValue: -1)
            memory = Mutex(region)
        }

        var migrated: MigratedBlock { MigratedBlock(block, memory: file) }

        func write(page: Int, _ bytes: [UInt8]) {
            memory.withLock { region in
                var place = region.mutablePage(at: page * pageByteCount)
                place.replaceAll(with: unsafe bytes.span.bytes)
            }
        }

        func page(_ page: Int) -> [UInt8] {
            memory.withLock { [UInt8]($0.page(at: page * pageByteCount)) }
        }

        /// How many pages of its file take memory.
        var populatedPageCount: Int {
            var status = stat()
            guard unsafe fstat(file.rawValue, &status) == 0 else { return -1 }
            return Int(status.st_blocks) * 512 / pageByteCount
        }

        /// The first page in use that differs from another block's.
        func difference(from other: Block) -> Int? {
            (0..<Int(block.usedByteCount) / pageByteCount).first { page($0) != other.page($0) }
        }
    }

    /// What a source asks of it.
    enum Call: Equatable, Sendable {
        case start, add
        /// The number of the look, the first being 1.
        case collect(Int)
        case pause
    }

    let name = "scripted"
    let state: Mutex<State>
    /// Called before it does what is asked; what it answers is thrown.
    let onCall: @Sendable (Call) -> MigrationError?

    init(
        _ blocks: [Block], seed: UInt64 = 1, writes: Int = 0,
        onCall: @escaping @Sendable (Call) -> MigrationError? = { _ in nil }
    ) {
        state = Mutex(State(blocks: blocks, random: SeededRandom(seed: seed), writes: writes))
        self.onCall = onCall
    }

    /// Writes a page now.
    func write(block: Int = 0, page: Int, _ bytes: [UInt8]) {
        state.withLock { state in
            precondition(!state.isPaused, "a guest that stands still writes nothing")
            state.blocks[block].write(page: page, bytes)
            state.dirty.append((block, page))
        }
    }

    /// Is given a block.
    func add(_ block: Block) {
        state.withLock { $0.blocks.append(block) }
    }

    /// Whether it runs as if nobody had tried to move it.
    var runsOn: Bool {
        state.withLock {
            !$0.isPaused && !$0.isTracked && !$0.hasLeft && $0.resumptions == $0.pauses
        }
    }

    private func ask(_ call: Call) throws(MigrationError) {
        if let failure = onCall(call) { throw failure }
    }

    /// A page's next content: mostly a few bytes changed, or zero, text or noise.
    static func next(_ page: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: PageContents.zero
        case 1: PageContents.random(using: &random)
        case 2: PageContents.text(using: &random)
        case 3: PageContents.changing(page, probability: 0.5, using: &random)
        case 4: page
        default:
            PageContents.changing(
                page, runs: Int.random(in: 1...4, using: &random),
                byteCount: Int.random(in: 1...64, using: &random), using: &random)
        }
    }

    /// Fills the memory: half of the pages stay holes.
    func fill() {
        state.withLock { state in
            for block in state.blocks {
                for page in 0..<Int(block.block.usedByteCount) / pageByteCount
                where Bool.random(using: &state.random) {
                    block.write(page: page, Self.next(block.page(page), &state.random))
                }
            }
        }
    }

    private static func write(_ state: inout State, share: Int) {
        guard state.writes > 0 else { return }
        state.writes -= 1
        for (index, block) in state.blocks.enumerated() {
            let pages = Int(block.block.usedByteCount) / pageByteCount
            for _ in 0..<max(1, pages / share) {
                let page = Int.random(in: 0..<pages, using: &state.random)
                block.write(page: page, next(block.page(page), &state.random))
                state.dirty.append((index, page))
            }
        }
    }

    // MARK: DirtyTracker

    func start(_ blocks: [TrackedBlock], memory: MemorySpace) throws(MigrationError) {
        try ask(.start)
        state.withLock { state in
            state.tracked = blocks
            state.isTracked = true
        }
    }

    func add(_ block: TrackedBlock) throws(MigrationError) {
        try ask(.add)
        state.withLock { $0.tracked.append(block) }
    }

    func collect(into bitmap: inout DirtyBitmap) throws(MigrationError) {
        let count = state.withLock { state in
            state.collections += 1
            return state.collections
        }
        try ask(.collect(count))
        let dirty = state.withLock { state in
            if !state.isPaused { Self.write(&state, share: 4) }
            defer { state.dirty = [] }
            var pages: [Int] = []
            for (block, page) in state.dirty {
                let name = state.blocks[block].block.name
                guard let tracked = state.tracked.first(where: { $0.name == name }) else {
                    continue
                }
                pages.append(tracked.pages.lowerBound + page)
            }
            return pages
        }
        for page in dirty { bitmap.mark(page) }
    }

    func stop() {
        state.withLock { $0.isTracked = false }
    }

    // MARK: MigrationGuest

    func pause() throws(MigrationError) {
        try ask(.pause)
        state.withLock { state in
            Self.write(&state, share: 16)
            state.isPaused = true
            state.pauses += 1
        }
    }

    func leave() {
        state.withLock { $0.hasLeft = true }
    }

    func resume() {
        state.withLock { state in
            state.isPaused = false
            state.hasLeft = false
            state.resumptions += 1
        }
    }
}
