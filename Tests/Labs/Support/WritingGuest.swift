package import RoostMemory
package import RoostMigration
import Synchronization
import SystemPackage

/// A guest of the laboratory's own: one RAM block, which it writes whenever it is looked at, by the
/// public interface of a dirty tracker and of a guest.
package final class WritingGuest: DirtyTracker, MigrationGuest {
    private struct State: ~Copyable {
        var memory: MappedRegion
        var word: UInt64 = 0x9e37_79b9_7f4a_7c15
        /// How many more rounds it writes.
        var rounds: Int
        var isPaused = false
        var isTracked = false

        mutating func next() -> UInt64 {
            // xorshift64: any sequence that repeats itself will do.
            word ^= word << 13
            word ^= word >> 7
            word ^= word << 17
            return word
        }
    }

    package let name = "writing"
    /// The block, as a source or destination is given it.
    package let block: MigratedBlock
    private let marks = ExplicitMarks()
    private let state: Mutex<State>
    private let pageCount: Int

    /// Makes a guest whose memory is a third each of zeros, words and noise.
    ///
    /// - Parameters:
    ///   - name: The block's name.
    ///   - kibibytes: Its length.
    ///   - rounds: In how many rounds it writes.
    /// - Throws: `MemoryError` when there is no memory.
    package init(_ name: String, kibibytes: Int, rounds: Int) throws {
        let memory = try MappedRegion.memoryFile(name: name, byteCount: kibibytes << 10)
        guard let file = memory.memoryFile else { throw LabError("a memory file without a file") }
        block = MigratedBlock(
            RAMBlock(name: name, usedByteCount: UInt64(kibibytes << 10)), memory: file)
        pageCount = kibibytes / 4
        state = Mutex(State(memory: memory, rounds: rounds))
        state.withLock { state in
            for page in 0..<pageCount where page % 3 > 0 {
                for offset in stride(from: 0, to: pageByteCount, by: 8) {
                    let word = state.next()
                    let text = page % 3 == 1 ? 0x7061_6765_2000_0000 | word & 0xff : word
                    Self.store(text, at: page * pageByteCount + offset, &state.memory)
                }
            }
        }
    }

    /// The path at which this process sees the memory.
    package var path: String { "/proc/self/fd/\(block.memory.rawValue)" }

    /// Whether it runs as if nobody had tried to move it.
    package var runsOn: Bool { state.withLock { !$0.isPaused && !$0.isTracked } }

    private static func store(_ word: UInt64, at offset: Int, _ memory: inout MappedRegion) {
        var bytes = memory.mutableBytes
        bytes.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
    }

    /// Changes a few bytes of every tenth page, and all of every hundredth.
    private func write(_ state: inout State) {
        for page in stride(from: Int(state.next() % 10), to: pageCount, by: 10) {
            let isWhole = state.next() % 10 == 0
            for offset in stride(from: 0, to: isWhole ? pageByteCount : 512, by: isWhole ? 8 : 64) {
                let word = state.next()
                Self.store(word, at: page * pageByteCount + offset, &state.memory)
            }
            marks.mark(
                block: block.block.name, page * pageByteCount..<(page + 1) * pageByteCount)
        }
    }

    package func start(_ blocks: [TrackedBlock], memory: MemorySpace) throws(MigrationError) {
        try marks.start(blocks, memory: memory)
        state.withLock { $0.isTracked = true }
    }

    package func add(_ block: TrackedBlock) throws(MigrationError) { try marks.add(block) }

    package func collect(into bitmap: inout DirtyBitmap) throws(MigrationError) {
        state.withLock { state in
            guard !state.isPaused, state.rounds > 0 else { return }
            state.rounds -= 1
            write(&state)
        }
        try marks.collect(into: &bitmap)
    }

    package func stop() {
        marks.stop()
        state.withLock { $0.isTracked = false }
    }

    package func pause() {
        state.withLock { state in
            // Its last words.
            write(&state)
            state.isPaused = true
        }
    }

    package func resume() { state.withLock { $0.isPaused = false } }
}
