internal import Glibc

/// A fixed number of plain values in memory of their own, zero until written.
///
/// For the data plane's tables: an array in a class or a struct that moves asks at each write
/// whether it is shared, this does not. It comes from the kernel in pages that take memory only
/// once they are written, so a large sparse table is cheap. Owned by one thread at a time.
@safe
public struct FixedArray<Element: BitwiseCopyable & Sendable>: ~Copyable, @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the one owner of the memory, as `MappedRegion` is.

    @usableFromInline internal let base: UnsafeMutablePointer<Element>
    /// How many elements there are.
    public let count: Int
    private let byteCount: Int

    /// Makes an array whose every byte is zero.
    ///
    /// - Parameter count: How many elements, at least 0.
    /// - Throws: `MemoryError` of kind `mapping` when there is no memory.
    public init(count: Int) throws(MemoryError) {
        (unsafe base, byteCount) = try unsafe mapZeros(of: Element.self, count: count)
        self.count = count
    }

    /// An element.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public subscript(index: Int) -> Element {
        get {
            precondition(index >= 0 && index < count)
            // SAFETY: the index lies in the array.
            return unsafe base[index]
        }
        set {
            precondition(index >= 0 && index < count)
            // SAFETY: as above, and self is held exclusively.
            unsafe base[index] = newValue
        }
    }

    /// Copies the elements of a shorter or equal array to the start of this one.
    ///
    /// - Precondition: The other has at most ``count`` elements.
    public mutating func replaceStart(with other: borrowing FixedArray<Element>) {
        precondition(other.count <= count)
        // SAFETY: both lie in their own mappings, of at least `other.count` elements.
        unsafe base.update(from: other.base, count: other.count)
    }

    deinit {
        unsafe munmap(base, byteCount)
    }
}
