internal import CRoost
internal import Glibc
public import Synchronization
public import SystemPackage

/// Words and copies in memory that other processes read and write at the same time.
extension PageWindow {
    /// A word of the window, to be read and written atomically by any thread and any process.
    ///
    /// - Precondition: Its four bytes lie in the window, mapped, at a multiple of 4.
    @inlinable
    internal func word(at offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        checkRange(offset, 4)
        precondition(offset & 3 == 0)
        // SAFETY: four aligned bytes of the reservation, checked above; every pattern is a word.
        return unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Reads a word, without ordering anything.
    ///
    /// - Parameter offset: Where it lies, in bytes, a multiple of 4.
    /// - Returns: The word, in this machine's byte order.
    /// - Precondition: It is mapped and aligned.
    @inlinable
    public func loadRelaxed(at offset: Int) -> UInt32 {
        // SAFETY: checked by `word`; self outlives the call. So in all of these.
        unsafe word(at: offset).pointee.load(ordering: .relaxed)
    }

    /// Reads a word; what was written before it was stored is seen by the reads that follow.
    ///
    /// - Parameter offset: Where it lies, in bytes, a multiple of 4.
    /// - Returns: The word, in this machine's byte order.
    /// - Precondition: It is mapped and aligned.
    @inlinable
    public func loadAcquiring(at offset: Int) -> UInt32 {
        unsafe word(at: offset).pointee.load(ordering: .acquiring)
    }

    /// Writes a word, without ordering anything.
    ///
    /// - Parameters:
    ///   - value: The word.
    ///   - offset: Where it goes, in bytes, a multiple of 4.
    /// - Precondition: It is mapped, writable and aligned.
    @inlinable
    public func storeRelaxed(_ value: UInt32, at offset: Int) {
        unsafe word(at: offset).pointee.store(value, ordering: .relaxed)
    }

    /// Writes a word after everything that was written before.
    ///
    /// - Parameters:
    ///   - value: The word.
    ///   - offset: Where it goes, in bytes, a multiple of 4.
    /// - Precondition: It is mapped, writable and aligned.
    @inlinable
    public func storeReleasing(_ value: UInt32, at offset: Int) {
        unsafe word(at: offset).pointee.store(value, ordering: .releasing)
    }

    /// Replaces a word if it still is what it was thought to be.
    ///
    /// - Parameters:
    ///   - offset: Where it lies, in bytes, a multiple of 4.
    ///   - expected: What it has to be.
    ///   - desired: What it becomes.
    /// - Returns: Whether it was replaced, and what it was.
    /// - Precondition: It is mapped, writable and aligned.
    @inlinable
    public func compareExchange(
        at offset: Int, expected: UInt32, desired: UInt32
    ) -> (exchanged: Bool, original: UInt32) {
        unsafe word(at: offset).pointee.compareExchange(
            expected: expected, desired: desired, ordering: .acquiringAndReleasing)
    }

    /// Copies bytes out, once: what is checked is the copy.
    ///
    /// - Parameters:
    ///   - offset: Where they begin.
    ///   - bytes: Where to; its length says how many.
    /// - Precondition: They lie in the window, and are mapped.
    @inlinable
    public func copy(from offset: Int, into bytes: inout MutableRawSpan) {
        let count = bytes.byteCount
        checkRange(offset, count)
        // SAFETY: both ranges were checked and have `count` bytes; private memory and the window
        // do not overlap.
        unsafe bytes.withUnsafeMutableBytes { target in
            guard let start = target.baseAddress else { return }
            unsafe start.copyMemory(from: base + offset, byteCount: count)
        }
    }

    /// Copies bytes in.
    ///
    /// - Parameters:
    ///   - bytes: What.
    ///   - offset: Where to.
    /// - Precondition: The place lies in the window, mapped and writable.
    @inlinable
    public func copy(_ bytes: RawSpan, to offset: Int) {
        let count = bytes.byteCount
        checkRange(offset, count)
        // SAFETY: as above.
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe (base + offset).copyMemory(from: start, byteCount: count)
        }
    }

    /// Copies bytes from another place in a window, of this one or another.
    ///
    /// - Parameters:
    ///   - count: How many.
    ///   - source: The window they come from.
    ///   - sourceOffset: Where they begin there.
    ///   - offset: Where they go in this one.
    /// - Precondition: Both places are mapped, the second is writable.
    @inlinable
    public func copy(count: Int, from source: PageWindow, at sourceOffset: Int, to offset: Int) {
        checkRange(offset, count)
        source.checkRange(sourceOffset, count)
        // SAFETY: both ranges were checked; copyMemory allows them to overlap.
        unsafe (base + offset).copyMemory(from: source.base + sourceOffset, byteCount: count)
    }

    /// Writes zeros.
    ///
    /// - Parameters:
    ///   - count: How many bytes.
    ///   - offset: Where the first goes.
    /// - Precondition: The place is mapped and writable.
    public func zero(count: Int, at offset: Int) {
        checkRange(offset, count)
        // SAFETY: checked above.
        unsafe _ = memset(base + offset, 0, count)
    }
}

extension FileDescriptor {
    /// Whether the file is a memory file that nobody can make shorter: mapped, it stays readable.
    public var isSealedAgainstShrinking: Bool { croost_is_shrink_sealed(rawValue) == 1 }
}
