internal import CRoost
internal import Glibc
internal import Synchronization
public import SystemPackage

/// One range of addresses in which pieces of memory lie behind each other: files of other
/// processes, or memory of its own.
///
/// A guest's RAM blocks in one space have one numbering of their pages. The space is shared: other
/// threads and other processes may write the memory while it is read, so what a span shows can
/// change between two looks. Where that matters, copy once and use the copy. Pieces can be added
/// while other threads read those that are there; none is taken away before the space ends.
@safe
public final class MemorySpace: Sendable {
    // SAFETY (Sendable): the addresses never change, and what lies there is shared memory, whose
    // users agree among themselves who writes which page.
    @usableFromInline internal nonisolated(unsafe) let base: UnsafeMutableRawPointer

    /// The most bytes that can be mapped.
    public let capacity: Int
    private let mapped = Atomic<Int>(0)

    /// Reserves addresses, which take no memory.
    ///
    /// - Parameter capacity: The most bytes that will ever be mapped: positive, whole pages.
    /// - Throws: `MemoryError` of kind `length` or `mapping`.
    public init(capacity: Int) throws(MemoryError) {
        guard capacity > 0, capacity % pageByteCount == 0 else {
            throw MemoryError(
                .length,
                "cannot reserve \(capacity) bytes: give a positive multiple of \(pageByteCount)")
        }
        let reserved = unsafe mmap(
            nil, capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let base = unsafe reserved, Int(bitPattern: base) != -1 else {
            throw Self.refused(capacity, Errno(rawValue: errno))
        }
        unsafe self.base = base
        self.capacity = capacity
    }

    /// How many bytes are mapped, from the start on.
    public var byteCount: Int { mapped.load(ordering: .acquiring) }

    /// Adds private memory, zero until written, behind what is there.
    ///
    /// One thread adds at a time.
    ///
    /// - Parameter byteCount: How much: positive, whole pages.
    /// - Returns: Where it lies, in bytes.
    /// - Throws: `MemoryError` of kind `length` or `mapping`.
    @discardableResult
    public func addAnonymous(byteCount: Int) throws(MemoryError) -> Range<Int> {
        try add(
            byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1)
    }

    /// Adds the start of a file behind what is there, shared with everyone else who maps it.
    ///
    /// One thread adds at a time.
    ///
    /// - Parameters:
    ///   - descriptor: The file, which stays the caller's and can be closed afterwards.
    ///   - byteCount: How much: positive, whole pages, at most the file's size.
    ///   - isWritable: Whether this space may write it.
    ///   - requiresSeal: Whether to refuse a file that could shrink, as
    ///     ``MappedRegion/file(_:byteCount:requiresSeal:)``.
    /// - Returns: Where it lies, in bytes.
    /// - Throws: `MemoryError` of kind `length`, `unsealed` or `mapping`.
    @discardableResult
    public func addFile(
        _ descriptor: FileDescriptor, byteCount: Int, isWritable: Bool, requiresSeal: Bool
    ) throws(MemoryError) -> Range<Int> {
        try MappedRegion.checkFile(descriptor, byteCount: byteCount, requiresSeal: requiresSeal)
        return try add(
            byteCount, isWritable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
            descriptor.rawValue)
    }

    private func add(
        _ byteCount: Int, _ protection: Int32, _ flags: Int32, _ descriptor: Int32
    ) throws(MemoryError) -> Range<Int> {
        try MappedRegion.checkLength(byteCount)
        let start = mapped.load(ordering: .relaxed)
        guard byteCount <= capacity - start else {
            throw MemoryError(
                .length,
                "cannot add \(byteCount) bytes to the \(start) mapped: at most \(capacity) were "
                    + "asked for")
        }
        // SAFETY: the range lies in this space's own reservation, behind everything in use.
        let result = unsafe mmap(
            base + start, byteCount, protection, flags | MAP_FIXED, descriptor, 0)
        guard Int(bitPattern: result) != -1 else {
            throw Self.refused(byteCount, Errno(rawValue: errno))
        }
        mapped.store(start + byteCount, ordering: .releasing)
        return start..<start + byteCount
    }

    private static func refused(_ byteCount: Int, _ reason: Errno) -> MemoryError {
        MemoryError(
            .mapping, errno: reason,
            "cannot map \(byteCount) bytes: \(reason); free memory or raise the limit (ulimit -v)")
    }

    /// A page, to read.
    ///
    /// - Parameter offset: Where it begins, in bytes, a multiple of ``pageByteCount``.
    /// - Returns: Its 4,096 bytes.
    /// - Precondition: It is mapped.
    @_lifetime(borrow self)
    public borrowing func page(at offset: Int) -> RawSpan {
        bytes(offset, count: pageByteCount)
    }

    /// Some of the bytes, to read.
    ///
    /// - Parameters:
    ///   - offset: Where they begin.
    ///   - count: How many.
    /// - Returns: The bytes.
    /// - Precondition: They are mapped.
    @_lifetime(borrow self)
    public borrowing func bytes(_ offset: Int, count: Int) -> RawSpan {
        precondition(offset >= 0 && count >= 0 && offset <= byteCount &- count)
        // SAFETY: the bytes are mapped, checked above, and stay so as long as self lives.
        let span = unsafe RawSpan(_unsafeStart: base + offset, byteCount: count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Lends a page to write.
    ///
    /// The caller sees to it that no other thread of this process writes the page meanwhile.
    ///
    /// - Parameters:
    ///   - offset: Where it begins, in bytes.
    ///   - body: Is given the page.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    /// - Precondition: It is mapped, and writable.
    @inlinable
    public func withMutablePage<Result: ~Copyable, Failure: Error>(
        at offset: Int, _ body: (inout MutableRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(offset >= 0 && offset <= byteCount &- pageByteCount)
        // SAFETY: the page is mapped, checked above, and self outlives the call.
        var span = unsafe MutableRawSpan(_unsafeStart: base + offset, byteCount: pageByteCount)
        return try body(&span)
    }

    /// Gives back what the page tables of some bytes of files took; looking at them again fills
    /// them anew.
    ///
    /// Tables are freed from Linux 6.14 on; before, this does nothing of use.
    ///
    /// - Parameter range: Whole pages that were added by
    ///   ``addFile(_:byteCount:isWritable:requiresSeal:)``: memory of its own would be lost.
    /// - Precondition: They are mapped.
    package func forgetTables(of range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
        precondition(range.lowerBound % pageByteCount == 0 && range.count % pageByteCount == 0)
        // SAFETY: the range is mapped, checked above, and what a shared file holds stays in the
        // file. A refusal costs memory only.
        _ = unsafe madvise(base + range.lowerBound, range.count, MADV_DONTNEED)
    }

    /// The address in this process at which a byte lies, for the kernel to be told.
    ///
    /// - Precondition: It is mapped.
    package func address(of offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset < byteCount)
        return UInt64(UInt(bitPattern: unsafe base)) + UInt64(offset)
    }

    deinit {
        // SAFETY: the reservation is this space's own, and no span outlives it.
        unsafe munmap(base, capacity)
    }
}
