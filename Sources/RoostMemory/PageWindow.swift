internal import CRoost
internal import Glibc
internal import Synchronization
public import SystemPackage

/// A range of addresses whose pages are mapped and unmapped while others stay in use.
///
/// Pages of other processes (grants, rings) and private ones lie side by side under one numbering;
/// a page that is not mapped is reserved, and touching it ends the process. What another process
/// shares can change between two looks: copy once, check the copy, use the copy. Any thread may
/// use any page; who maps, unmaps and writes which page its users agree among themselves.
@safe
public final class PageWindow: Sendable {
    // SAFETY (Sendable): the address never changes, and what lies there is shared memory, whose
    // users agree among themselves who maps and writes which page.
    @usableFromInline internal nonisolated(unsafe) let base: UnsafeMutableRawPointer

    /// How many pages the window has.
    public let pageCount: Int

    /// Its length in bytes.
    @inlinable
    public var byteCount: Int { pageCount &* pageByteCount }

    /// Reserves addresses, which take no memory.
    ///
    /// - Parameter pageCount: How many pages, at least one.
    /// - Throws: `MemoryError` of kind `length` or `mapping`.
    public init(pageCount: Int) throws(MemoryError) {
        let (byteCount, overflow) = pageCount.multipliedReportingOverflow(by: pageByteCount)
        guard pageCount > 0, !overflow else {
            throw MemoryError(
                .length, "cannot reserve \(pageCount) pages: give a number that is positive")
        }
        let reserved = unsafe mmap(
            nil, byteCount, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let base = unsafe reserved, Int(bitPattern: base) != -1 else {
            throw Self.refused(pageCount, Errno(rawValue: errno))
        }
        unsafe self.base = base
        self.pageCount = pageCount
    }

    private static func refused(_ pageCount: Int, _ reason: Errno) -> MemoryError {
        MemoryError(
            .mapping, errno: reason,
            "cannot map \(pageCount) pages: \(reason); free memory, or raise the limits "
                + "(ulimit -v, vm.max_map_count)")
    }

    /// Maps pages of a file, in one system call; whatever was mapped there is let go.
    ///
    /// - Parameters:
    ///   - descriptor: The file, which can be closed afterwards. The caller has made sure that it
    ///     cannot shrink (`isSealedAgainstShrinking`) and reaches that far.
    ///   - filePage: The first page in the file.
    ///   - count: How many pages.
    ///   - page: Where they go in the window.
    ///   - isWritable: Whether this process may write them.
    /// - Throws: `MemoryError` of kind `mapping`; nothing has changed then.
    /// - Precondition: The pages lie in the window.
    public func map(
        _ descriptor: FileDescriptor, filePage: Int, count: Int, at page: Int, isWritable: Bool
    ) throws(MemoryError) {
        try place(
            count, at: page, protection: isWritable ? PROT_READ | PROT_WRITE : PROT_READ,
            flags: MAP_SHARED, descriptor: descriptor.rawValue, offset: filePage &* pageByteCount)
    }

    /// Maps private pages of zeros, which take memory once they are written.
    ///
    /// - Parameters:
    ///   - count: How many pages.
    ///   - page: Where they go in the window.
    /// - Throws: `MemoryError` of kind `mapping`.
    /// - Precondition: The pages lie in the window.
    public func mapAnonymous(count: Int, at page: Int) throws(MemoryError) {
        try place(
            count, at: page, protection: PROT_READ | PROT_WRITE,
            flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, descriptor: -1, offset: 0)
    }

    /// Lets pages go, in one system call; touching them from then on ends the process.
    ///
    /// - Parameters:
    ///   - count: How many pages.
    ///   - page: Which is the first.
    /// - Throws: `MemoryError` of kind `mapping` when the system is out of memory: they are still
    ///   mapped.
    /// - Precondition: The pages lie in the window.
    public func unmap(count: Int, at page: Int) throws(MemoryError) {
        try place(
            count, at: page, protection: PROT_NONE,
            flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, descriptor: -1, offset: 0)
    }

    private func place(
        _ count: Int, at page: Int, protection: Int32, flags: Int32, descriptor: Int32, offset: Int
    ) throws(MemoryError) {
        precondition(page >= 0 && count > 0 && count <= pageCount && page <= pageCount &- count)
        // SAFETY: the range lies in this window's own reservation, checked above.
        let result = unsafe mmap(
            base + page &* pageByteCount, count &* pageByteCount, protection, flags | MAP_FIXED,
            descriptor, offset)
        guard Int(bitPattern: result) != -1 else {
            throw Self.refused(count, Errno(rawValue: errno))
        }
    }

    /// The address in this process at which a byte lies, for the kernel to be told.
    ///
    /// - Precondition: It lies in the window.
    @inlinable
    public func address(of offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset < byteCount)
        return UInt64(UInt(bitPattern: unsafe base)) &+ UInt64(offset)
    }

    /// Some of the bytes, to read.
    ///
    /// What another process shares may change under the span: copy what decides anything.
    ///
    /// - Parameters:
    ///   - offset: Where they begin.
    ///   - count: How many.
    /// - Returns: The bytes.
    /// - Precondition: They lie in the window, and are mapped.
    @inlinable
    @_lifetime(borrow self)
    public borrowing func bytes(at offset: Int, count: Int) -> RawSpan {
        checkRange(offset, count)
        // SAFETY: the bytes lie in the reservation, checked above, which lives as long as self.
        let span = unsafe RawSpan(_unsafeStart: base + offset, byteCount: count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Lends some of the bytes to write.
    ///
    /// The caller sees to it that no other thread of this process writes them meanwhile.
    ///
    /// - Parameters:
    ///   - offset: Where they begin.
    ///   - count: How many.
    ///   - body: Is given the bytes.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    /// - Precondition: They lie in the window, and are mapped and writable.
    @inlinable
    public func withMutableBytes<Result: ~Copyable, Failure: Error>(
        at offset: Int, count: Int, _ body: (inout MutableRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        checkRange(offset, count)
        // SAFETY: the bytes lie in the reservation, checked above, and self outlives the call.
        var span = unsafe MutableRawSpan(_unsafeStart: base + offset, byteCount: count)
        return try body(&span)
    }

    @inlinable
    internal func checkRange(_ offset: Int, _ count: Int) {
        precondition(
            offset >= 0 && count >= 0 && count <= byteCount && offset <= byteCount &- count)
    }

    deinit {
        // SAFETY: the reservation is this window's own, and no span outlives it.
        unsafe munmap(base, byteCount)
    }
}
