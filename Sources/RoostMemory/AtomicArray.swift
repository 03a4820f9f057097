internal import Glibc
public import Synchronization

/// A fixed number of atomic integers that threads share, zero until written.
///
/// It takes memory only where it was written. Each operation is the one of `Atomic` with its ordering
/// in its name. They are there for `UInt32` and `UInt64`, each by itself, since the standard library's
/// atomics are not generic over the width.
@safe
public struct AtomicArray<
    Word: FixedWidthInteger & BitwiseCopyable & AtomicRepresentable & Sendable
>:
    ~Copyable, @unchecked Sendable
{
    // SAFETY (@unchecked Sendable): every access is atomic, and the memory lives as long as the value.

    @usableFromInline internal let base: UnsafeMutablePointer<Atomic<Word>>
    /// How many integers there are.
    public let count: Int
    private let byteCount: Int

    /// Makes an array of zeros.
    ///
    /// - Parameter count: How many integers, at least 0.
    /// - Throws: `MemoryError` of kind `mapping` when there is no memory.
    public init(count: Int) throws(MemoryError) {
        let (words, byteCount) = try unsafe mapZeros(of: Word.self, count: count)
        // SAFETY: `Atomic` of an integer has the layout of the integer, and zero is a value of it.
        unsafe base = UnsafeMutableRawPointer(words).assumingMemoryBound(to: Atomic<Word>.self)
        self.byteCount = byteCount
        self.count = count
    }

    @inlinable
    internal func word(_ index: Int) -> UnsafeMutablePointer<Atomic<Word>> {
        precondition(index >= 0 && index < count)
        // SAFETY: the index lies in the array.
        return unsafe base + index
    }

    deinit {
        unsafe munmap(base, byteCount)
    }
}

extension AtomicArray where Word == UInt32 {
    /// Reads a word; what its writer did before it released the word is seen.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func acquire(_ index: Int) -> UInt32 {
        unsafe word(index).pointee.load(ordering: .acquiring)
    }

    /// Reads a word and orders nothing.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func relaxed(_ index: Int) -> UInt32 {
        unsafe word(index).pointee.load(ordering: .relaxed)
    }

    /// Writes a word; who acquires it sees all that was written before.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func release(_ value: UInt32, at index: Int) {
        unsafe word(index).pointee.store(value, ordering: .releasing)
    }

    /// Writes a word and orders nothing.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func storeRelaxed(_ value: UInt32, at index: Int) {
        unsafe word(index).pointee.store(value, ordering: .relaxed)
    }

    /// Writes a word if it is still what is expected, acquiring and releasing.
    ///
    /// - Returns: Whether it was, and what the word was before.
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func exchange(
        expected: UInt32, desired: UInt32, at index: Int
    ) -> (exchanged: Bool, original: UInt32) {
        unsafe word(index).pointee.compareExchange(
            expected: expected, desired: desired, ordering: .acquiringAndReleasing)
    }

    /// Adds to a word, acquiring and releasing, and answers the sum, which wraps.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func add(_ operand: UInt32, at index: Int) -> UInt32 {
        unsafe word(index).pointee
            .wrappingAdd(operand, ordering: .acquiringAndReleasing).newValue
    }

    /// Takes from a word, acquiring and releasing, and answers the difference, which wraps.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func subtract(_ operand: UInt32, at index: Int) -> UInt32 {
        unsafe word(index).pointee
            .wrappingSubtract(operand, ordering: .acquiringAndReleasing).newValue
    }

    /// Writes a word before anything that this thread reads later, in the order all threads agree on.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func storeSequentially(_ value: UInt32, at index: Int) {
        unsafe word(index).pointee.store(value, ordering: .sequentiallyConsistent)
    }
}

extension AtomicArray where Word == UInt64 {
    /// Reads a word; what its writer did before it released the word is seen.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func acquire(_ index: Int) -> UInt64 {
        unsafe word(index).pointee.load(ordering: .acquiring)
    }

    /// Reads a word and orders nothing.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func relaxed(_ index: Int) -> UInt64 {
        unsafe word(index).pointee.load(ordering: .relaxed)
    }

    /// Writes a word; who acquires it sees all that was written before.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func release(_ value: UInt64, at index: Int) {
        unsafe word(index).pointee.store(value, ordering: .releasing)
    }

    /// Writes a word and orders nothing.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func storeRelaxed(_ value: UInt64, at index: Int) {
        unsafe word(index).pointee.store(value, ordering: .relaxed)
    }

    /// Writes a word if it is still what is expected, acquiring and releasing.
    ///
    /// - Returns: Whether it was, and what the word was before.
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func exchange(
        expected: UInt64, desired: UInt64, at index: Int
    ) -> (exchanged: Bool, original: UInt64) {
        unsafe word(index).pointee.compareExchange(
            expected: expected, desired: desired, ordering: .acquiringAndReleasing)
    }

    /// Adds to a word, acquiring and releasing, and answers the sum, which wraps.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func add(_ operand: UInt64, at index: Int) -> UInt64 {
        unsafe word(index).pointee
            .wrappingAdd(operand, ordering: .acquiringAndReleasing).newValue
    }

    /// Takes from a word, acquiring and releasing, and answers the difference, which wraps.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func subtract(_ operand: UInt64, at index: Int) -> UInt64 {
        unsafe word(index).pointee
            .wrappingSubtract(operand, ordering: .acquiringAndReleasing).newValue
    }

    /// Writes a word before anything that this thread reads later, in the order all threads agree on.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func storeSequentially(_ value: UInt64, at index: Int) {
        unsafe word(index).pointee.store(value, ordering: .sequentiallyConsistent)
    }
}
