internal import Glibc
internal import Synchronization
internal import SystemPackage

/// Bits that any number of threads set and one takes.
///
/// Its memory comes from the kernel once it is touched, so a large bitmap that is little used is
/// cheap.
@safe
package final class AtomicBitmap: Sendable {
    // SAFETY (nonisolated(unsafe)): the address never changes, and what lies there is atomic.
    private nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>
    private let byteCount: Int

    /// How many bits there are.
    package let bitCount: Int

    /// Makes a bitmap without a bit set.
    ///
    /// - Parameter bitCount: How many bits it has, at least 0.
    /// - Throws: `MemoryError` of kind `mapping` when there is no memory.
    package init(bitCount: Int) throws(MemoryError) {
        precondition(bitCount >= 0)
        let byteCount = max((bitCount + 63) / 64 * 8, 8)
        let mapped = unsafe mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
            0)
        guard let base = unsafe mapped, Int(bitPattern: base) != -1 else {
            let reason = Errno(rawValue: errno)
            throw MemoryError(
                .mapping, errno: reason, "cannot get memory for \(bitCount) bits: \(reason)")
        }
        // SAFETY: fresh zero pages, which are atomic words of value 0.
        unsafe words = base.bindMemory(to: Atomic<UInt64>.self, capacity: byteCount / 8)
        self.byteCount = byteCount
        self.bitCount = bitCount
    }

    /// How many words of 64 bits there are.
    package var wordCount: Int { (bitCount + 63) / 64 }

    /// Sets bits, releasing what the thread wrote before.
    ///
    /// - Precondition: They are below ``bitCount``.
    package func set(_ bits: Range<Int>) {
        precondition(bits.lowerBound >= 0 && bits.upperBound <= bitCount)
        var bit = bits.lowerBound
        while bit < bits.upperBound {
            let index = bit >> 6
            let end = min(bits.upperBound, (index &+ 1) &* 64)
            let count = UInt64(end &- bit)
            let mask: UInt64 = count == 64 ? ~0 : ((1 << count) &- 1) << UInt64(bit & 63)
            // SAFETY: the word lies in the bitmap: its bits do, checked above.
            _ = unsafe words[index].bitwiseOr(mask, ordering: .releasing)
            bit = end
        }
    }

    /// Takes the bits of a word: they are clear afterwards.
    ///
    /// - Parameter index: Which 64 bits.
    /// - Returns: The bits that were set.
    /// - Precondition: The index is below ``wordCount``.
    package func take(word index: Int) -> UInt64 {
        precondition(index >= 0 && index < wordCount)
        // SAFETY: the word lies in the bitmap. A look first: most words are clear, and an exchange
        // would take the cache line from who sets bits.
        guard unsafe words[index].load(ordering: .relaxed) != 0 else { return 0 }
        return unsafe words[index].exchange(0, ordering: .acquiringAndReleasing)
    }

    deinit {
        // SAFETY: the mapping is this object's own.
        unsafe munmap(words, byteCount)
    }
}
