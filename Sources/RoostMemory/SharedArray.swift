internal import Glibc
internal import SystemPackage

/// A fixed number of plain values that one thread writes and others read, zero until written.
///
/// It takes memory only where it was written, so that an array can be as long as its table may ever
/// grow. Nothing in it orders one access before another: the writer fills elements that nobody can
/// find yet and then publishes where they lie through an ``AtomicArray`` or another atomic, releasing;
/// a reader that found them there, acquiring, sees them whole. An element is written again only when
/// nobody can still be reading it.
@safe
public struct SharedArray<Element: BitwiseCopyable & Sendable>: ~Copyable, @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the memory lives as long as the value; who may touch an element
    // when is the contract above, which the thread sanitizer checks in the tables that use it.

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
        precondition(index >= 0 && index < count)
        // SAFETY: the index lies in the array.
        return unsafe base[index]
    }

    /// Writes an element that nobody can find yet, or that nobody can still be reading.
    ///
    /// - Precondition: The index is below ``count``.
    @inlinable
    public func write(_ element: Element, at index: Int) {
        precondition(index >= 0 && index < count)
        // SAFETY: the index lies in the array; the contract of the type excludes readers.
        unsafe base[index] = element
    }

    deinit {
        unsafe munmap(base, byteCount)
    }
}

/// Fresh zero pages for a number of plain values, and how many bytes they are.
///
/// Private and not reserved: a page takes memory at its first write.
internal func mapZeros<Element: BitwiseCopyable>(
    of type: Element.Type, count: Int
) throws(MemoryError) -> (UnsafeMutablePointer<Element>, byteCount: Int) {
    precondition(count >= 0)
    let (wanted, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    let byteCount = max(wanted, 1)
    let mapped = unsafe mmap(
        nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard !overflow, let base = unsafe mapped, Int(bitPattern: base) != -1 else {
        let reason = overflow ? Errno.noMemory : Errno(rawValue: errno)
        throw MemoryError(
            .mapping, errno: reason, "cannot get memory for \(count) entries: \(reason)")
    }
    // SAFETY: fresh zero pages, which are a value of any plain type made of integers.
    return unsafe (base.bindMemory(to: Element.self, capacity: count), byteCount)
}
