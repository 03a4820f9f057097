internal import Synchronization

extension MemorySpace {
    /// Reads a word that another thread or process may be writing.
    ///
    /// - Parameter offset: Where it lies, in bytes, a multiple of 8.
    /// - Returns: The word, in this machine's byte order. What was written before it was stored is
    ///   seen by reads that come after.
    /// - Precondition: It is mapped and aligned.
    public func loadWord(at offset: Int) -> UInt64 {
        // SAFETY: checked by `word`; self outlives the call.
        unsafe word(at: offset).pointee.load(ordering: .acquiring)
    }

    /// Writes a word that another thread or process may be reading.
    ///
    /// - Parameters:
    ///   - value: The word, stored after everything that was written before.
    ///   - offset: Where it lies, in bytes, a multiple of 8.
    /// - Precondition: It is mapped, writable and aligned.
    public func storeWord(_ value: UInt64, at offset: Int) {
        // SAFETY: as above.
        unsafe word(at: offset).pointee.store(value, ordering: .releasing)
    }

    private func word(at offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        precondition(offset >= 0 && offset % 8 == 0 && offset <= byteCount &- 8)
        // SAFETY: eight mapped and aligned bytes, checked above; every bit pattern is a word.
        return unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
