internal import RoostMemory
internal import Synchronization
internal import SystemPackage

/// The addresses in which a frontend's callers have their buffers.
///
/// One window for all, so that a request names its bytes by an offset: a queue keeps no reference
/// for a request. Addresses that no buffer has take no memory.
final class BufferArena: Sendable {
    /// The most pages that buffers of one frontend have together: 16 GiB of addresses.
    static let maximumPageCount = 1 << 22

    let window: PageWindow
    /// The free runs of pages, in order, none touching the next.
    private let free: Mutex<[Range<Int>]>

    init(pageCount: Int = BufferArena.maximumPageCount) throws(BlockError) {
        window = try BlockError.allocating { () throws(MemoryError) in
            try PageWindow(pageCount: pageCount)
        }
        free = Mutex([0..<pageCount])
    }

    /// Gets memory of zeros.
    ///
    /// - Throws: `BlockError` of kind `system`.
    func allocate(pageCount: Int) throws(BlockError) -> Range<Int> {
        let found = free.withLock { free -> Range<Int>? in
            guard let index = free.firstIndex(where: { $0.count >= pageCount }) else { return nil }
            let start = free[index].lowerBound
            let rest = start + pageCount..<free[index].upperBound
            if rest.isEmpty { free.remove(at: index) } else { free[index] = rest }
            return start..<start + pageCount
        }
        guard let pages = found else {
            throw BlockError(
                .system, errno: .noMemory,
                "cannot make a buffer of \(pageCount) pages: the others leave no such room; let "
                    + "some go first")
        }
        do throws(MemoryError) {
            try window.mapAnonymous(count: pageCount, at: pages.lowerBound)
        } catch {
            giveBack(pages)
            throw BlockError(.system, errno: error.errno, error.description)
        }
        return pages
    }

    /// Lets a buffer's memory go.
    func release(_ pages: Range<Int>) {
        do throws(MemoryError) {
            try window.unmap(count: pages.count, at: pages.lowerBound)
        } catch {
            return  // Still mapped: the addresses are not given out again.
        }
        giveBack(pages)
    }

    private func giveBack(_ pages: Range<Int>) {
        free.withLock { free in
            let next = free.firstIndex { $0.lowerBound > pages.lowerBound } ?? free.count
            var run = pages
            var replaced = next..<next
            if next < free.count, free[next].lowerBound == run.upperBound {
                run = run.lowerBound..<free[next].upperBound
                replaced = next..<next + 1
            }
            if next > 0, free[next - 1].upperBound == run.lowerBound {
                run = free[next - 1].lowerBound..<run.upperBound
                replaced = next - 1..<replaced.upperBound
            }
            free.replaceSubrange(replaced, with: [run])
        }
    }
}
