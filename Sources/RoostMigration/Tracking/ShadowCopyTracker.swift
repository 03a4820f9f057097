public import RoostMemory
internal import Synchronization
package import SystemPackage

/// Finds written pages by comparing the guest's memory with a copy of it.
///
/// Needs nothing of the kernel or the guest, but as much memory again and a pass over all of it.
/// Pages are sent from the copy: a page that changes and changes back between two looks is then
/// not sent in between, so the destination cannot be left with what was there for a moment. Ranges
/// of the memory file that were never written are not read, since that would allocate them.
public final class ShadowCopyTracker: DirtyTracker {
    /// `shadow`.
    public let name = TrackerKind.shadow.rawValue
    private let file: @Sendable (String) -> FileDescriptor?
    private let live = Mutex<ShadowedMemory?>(nil)

    /// Makes a tracker.
    ///
    /// - Parameter file: Gives the memory file of a block by its name, whose holes are then passed
    ///   over, or `nil` to read all of a block.
    package init(file: @Sendable @escaping (String) -> FileDescriptor? = { _ in nil }) {
        self.file = file
    }

    /// The copy, from which pages are sent.
    public var snapshot: MemorySpace? {
        live.withLock { live in
            switch live {
            case .some(let live): live.shadow
            case .none: nil
            }
        }
    }

    /// Copies the guest's memory.
    public func start(_ blocks: [TrackedBlock], memory: MemorySpace) throws(MigrationError) {
        do throws(MemoryError) {
            try live.withLock { (live) throws(MemoryError) in
                live = ShadowedMemory(
                    memory: memory, shadow: try MemorySpace(capacity: memory.capacity),
                    held: try FixedArray(count: (memory.capacity / pageByteCount + 63) / 64))
            }
        } catch {
            throw Self.refused(error)
        }
        do throws(MigrationError) {
            for block in blocks { try add(block) }
        } catch {
            stop()
            throw error
        }
    }

    /// Copies a block that was added.
    public func add(_ block: TrackedBlock) throws(MigrationError) {
        try live.withLock { (live) throws(MigrationError) in
            try live?.add(block, file(block.name))
        }
    }

    /// Marks the pages that differ from the copy, and copies them.
    public func collect(into bitmap: inout DirtyBitmap) throws(MigrationError) {
        try live.withLock { (live) throws(MigrationError) in
            guard let count = live?.blocks.count else { return }
            for index in 0..<count {
                try live?.refresh(index, file) { bitmap.mark($0) }
            }
        }
    }

    /// Lets the copy go.
    public func stop() {
        live.withLock { $0 = nil }
    }

    fileprivate static func refused(_ error: MemoryError) -> MigrationError {
        MigrationError(.transfer, errno: error.errno, error.description)
    }
}

/// The guest's memory and the copy of it.
private struct ShadowedMemory: ~Copyable {
    let memory: MemorySpace
    let shadow: MemorySpace
    /// Pages of the shadow that may hold something: bit `p % 64` of word `p / 64`.
    var held: FixedArray<UInt64>
    var blocks: [TrackedBlock] = []

    mutating func add(
        _ block: TrackedBlock, _ file: FileDescriptor?
    ) throws(MigrationError) {
        do throws(MemoryError) {
            let added = try shadow.addAnonymous(byteCount: block.pages.count * pageByteCount)
            precondition(added.lowerBound == block.pages.lowerBound * pageByteCount)
        } catch {
            throw ShadowCopyTracker.refused(error)
        }
        blocks.append(block)
        try refresh(blocks.count - 1, { _ in file }, { _ in })
    }

    /// Brings the copy of a block up to date.
    mutating func refresh(
        _ index: Int, _ file: (String) -> FileDescriptor?, _ changed: (Int) -> Void
    ) throws(MigrationError) {
        let block = blocks[index]
        let start = block.pages.lowerBound
        guard let file = file(block.name) else {
            compare(block.pages, changed)
            return
        }
        var next = start
        while next < block.pages.upperBound {
            let rest = (next - start) * pageByteCount..<block.pages.count * pageByteCount
            var populated: Range<Int>?
            do throws(Errno) {
                populated = try file.nextPopulated(in: rest)
            } catch {
                throw MigrationError(
                    .transfer, block: block.name, errno: error,
                    "cannot tell which pages of the guest's block '\(block.name)' are in use: "
                        + "\(error)")
            }
            let found = populated ?? rest.upperBound..<rest.upperBound
            let first = start + found.lowerBound / pageByteCount
            let end = start + (found.upperBound + pageByteCount - 1) / pageByteCount
            empty(next..<first, changed)
            compare(first..<end, changed)
            next = end
        }
    }

    private mutating func compare(_ pages: Range<Int>, _ changed: (Int) -> Void) {
        for page in pages {
            let offset = page &* pageByteCount
            let isSame = memory.page(at: offset).isEqual(to: shadow.page(at: offset))
            guard !isSame else { continue }
            shadow.withMutablePage(at: offset) { $0.replaceAll(with: memory.page(at: offset)) }
            held[page >> 6] |= 1 << UInt64(page & 63)
            changed(page)
        }
    }

    /// Makes the copy of a hole zero; pages that are so already cost a look at one bit.
    private mutating func empty(_ pages: Range<Int>, _ changed: (Int) -> Void) {
        var page = pages.lowerBound
        while page < pages.upperBound {
            let word = held[page >> 6] >> UInt64(page & 63)
            guard word != 0 else {
                page = (page | 63) &+ 1
                continue
            }
            page &+= word.trailingZeroBitCount
            guard page < pages.upperBound else { return }
            shadow.withMutablePage(at: page &* pageByteCount) { $0.fill(with: 0) }
            held[page >> 6] &= ~(1 << UInt64(page & 63))
            changed(page)
            page &+= 1
        }
    }
}
