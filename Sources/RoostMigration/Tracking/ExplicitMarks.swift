public import RoostMemory
internal import Synchronization

/// Finds written pages because the guest's own code says so, as an emulator does.
///
/// Every write must be marked, after it was made and before whoever made it reports itself
/// stopped. Marks may be made on any thread.
public final class ExplicitMarks: DirtyTracker {
    private struct State: Sendable {
        var pages: [String: Range<Int>] = [:]
        var marks: AtomicBitmap?
    }

    /// `explicit`.
    public let name = "explicit"
    private let state = Mutex(State())

    /// Makes a tracker that knows no block yet.
    public init() {}

    /// Marks bytes that were written.
    ///
    /// Does nothing before the tracker is started and for a block that it does not know: those are
    /// sent whole.
    ///
    /// - Parameters:
    ///   - block: The block's name.
    ///   - bytes: The bytes, as offsets in the block.
    /// - Precondition: The bytes lie in the block.
    public func mark(block: String, _ bytes: Range<Int>) {
        guard !bytes.isEmpty else { return }
        let (found, marks) = state.withLock { ($0.pages[block], $0.marks) }
        guard let pages = found, let marks else { return }
        let first = bytes.lowerBound / pageByteCount
        let last = (bytes.upperBound - 1) / pageByteCount
        precondition(bytes.lowerBound >= 0 && last < pages.count)
        marks.set(pages.lowerBound + first..<pages.lowerBound + last + 1)
    }

    /// Begins to take marks.
    public func start(_ blocks: [TrackedBlock], memory: MemorySpace) throws(MigrationError) {
        let marks: AtomicBitmap
        do throws(MemoryError) {
            marks = try AtomicBitmap(bitCount: memory.capacity / pageByteCount)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
        state.withLock { state in
            state.marks = marks
            for block in blocks { state.pages[block.name] = block.pages }
        }
    }

    /// Takes marks for a block that was added.
    public func add(_ block: TrackedBlock) throws(MigrationError) {
        state.withLock { $0.pages[block.name] = block.pages }
    }

    /// Moves the marks to the bitmap.
    public func collect(into bitmap: inout DirtyBitmap) throws(MigrationError) {
        guard let marks = state.withLock({ $0.marks }) else { return }
        for index in 0..<min(marks.wordCount, (bitmap.pageCount + 63) / 64) {
            let bits = marks.take(word: index)
            if bits != 0 { bitmap.mark(bits: bits, word: index) }
        }
    }

    /// Takes no more marks.
    public func stop() {
        state.withLock { state in
            state.marks = nil
            state.pages = [:]
        }
    }
}
