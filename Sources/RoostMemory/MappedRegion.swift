internal import CRoost
internal import Glibc
public import SystemPackage

/// The size in bytes of a page of memory: x86-64's base page, the unit of everything here.
public let pageByteCount = 4096

/// A range of memory mapped from the kernel, released when the value ends.
///
/// The one place where Roost makes raw memory. What is given out is a `RawSpan` or a
/// `MutableRawSpan` that cannot outlive the region. A region is owned by one thread at a time;
/// it can move between threads.
@safe
public struct MappedRegion: ~Copyable, @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the mapping has one owner, this noncopyable value, so moving
    // it to another thread moves the only access to it.

    /// Where a region's bytes come from.
    public enum Backing: Sendable, Equatable {
        /// Private memory, zero until written, counted to this process.
        case anonymous
        /// A sealed memory file, which other processes can map through its descriptor.
        case memoryFile
        /// A file or memory file that somebody else made.
        case file
    }

    private let base: UnsafeMutableRawPointer
    private let ownedDescriptor: FileDescriptor?

    /// The length in bytes, a multiple of ``pageByteCount``.
    public let byteCount: Int

    /// Where the bytes come from.
    public let backing: Backing

    /// The memory file's descriptor, to be passed to another process, or `nil`.
    ///
    /// Only a region of backing `memoryFile` has one; the region owns it.
    public var memoryFile: FileDescriptor? { ownedDescriptor }

    private init(
        protection: Int32, flags: Int32, descriptor: FileDescriptor?, owned: Bool, byteCount: Int,
        backing: Backing
    ) throws(MemoryError) {
        // The C macro MAP_FAILED is a cast, which Swift does not import: (void *)-1.
        let mapped = unsafe mmap(
            nil, byteCount, protection, flags, descriptor?.rawValue ?? -1, 0)
        guard let base = unsafe mapped, Int(bitPattern: base) != -1 else {
            let reason = Errno(rawValue: errno)
            if owned { try? descriptor?.close() }
            throw MemoryError(
                .mapping, errno: reason,
                "cannot map \(byteCount) bytes: \(reason); free memory or raise the limit "
                    + "(ulimit -v)")
        }
        unsafe self.base = base
        self.byteCount = byteCount
        self.backing = backing
        self.ownedDescriptor = owned ? descriptor : nil
    }

    /// Maps private zero memory, whose pages take memory only once they are written.
    ///
    /// - Parameter byteCount: The length in bytes: positive, a multiple of ``pageByteCount``.
    /// - Returns: The region.
    /// - Throws: `MemoryError` of kind `length` or `mapping`.
    public static func anonymous(byteCount: Int) throws(MemoryError) -> MappedRegion {
        try checkLength(byteCount)
        return try MappedRegion(
            protection: PROT_READ | PROT_WRITE, flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
            descriptor: nil, owned: false, byteCount: byteCount, backing: .anonymous)
    }

    /// Makes and maps a memory file whose size can no longer change.
    ///
    /// - Parameters:
    ///   - name: What `/proc/PID/maps` shows, at most 249 bytes.
    ///   - byteCount: The length in bytes: positive, a multiple of ``pageByteCount``.
    /// - Returns: The region, which owns the file.
    /// - Throws: `MemoryError` of kind `length` or `mapping`.
    public static func memoryFile(
        name: String, byteCount: Int
    ) throws(MemoryError) -> MappedRegion {
        try checkLength(byteCount)
        let result = unsafe croost_memory_file(name, Int64(byteCount))
        guard result >= 0 else {
            let reason = Errno(rawValue: -result)
            throw MemoryError(
                .mapping, errno: reason,
                "cannot make a memory file of \(byteCount) bytes: \(reason)")
        }
        return try MappedRegion(
            protection: PROT_READ | PROT_WRITE, flags: MAP_SHARED,
            descriptor: FileDescriptor(rawValue: result), owned: true, byteCount: byteCount,
            backing: .memoryFile)
    }

    /// Maps the start of somebody's file, shared with everyone else who maps it.
    ///
    /// - Parameters:
    ///   - descriptor: An open file, readable and writable; it stays the caller's and can be
    ///     closed while the region lives.
    ///   - byteCount: The length in bytes: positive, a multiple of ``pageByteCount``, at most the
    ///     file's size.
    ///   - requiresSeal: Whether to refuse a file that could shrink. Touching a page past the end
    ///     of a mapped file ends the process, so only a file that no other party can truncate may
    ///     be mapped with `false`.
    /// - Returns: The region.
    /// - Throws: `MemoryError` of kind `length`, `unsealed` or `mapping`.
    public static func file(
        _ descriptor: FileDescriptor, byteCount: Int, requiresSeal: Bool
    ) throws(MemoryError) -> MappedRegion {
        try checkFile(descriptor, byteCount: byteCount, requiresSeal: requiresSeal)
        return try MappedRegion(
            protection: PROT_READ | PROT_WRITE, flags: MAP_SHARED, descriptor: descriptor,
            owned: false, byteCount: byteCount, backing: .file)
    }

    /// Refuses a file that is too short to be mapped so far, or that could become so.
    static func checkFile(
        _ descriptor: FileDescriptor, byteCount: Int, requiresSeal: Bool
    ) throws(MemoryError) {
        try checkLength(byteCount)
        guard !requiresSeal || croost_is_shrink_sealed(descriptor.rawValue) == 1 else {
            throw MemoryError(
                .unsealed,
                "cannot map a file that could shrink: its owner must seal it (F_SEAL_SHRINK)")
        }
        var status = stat()
        guard unsafe fstat(descriptor.rawValue, &status) == 0 else {
            let reason = Errno(rawValue: errno)
            throw MemoryError(
                .mapping, errno: reason, "cannot map a file: \(reason); give an open descriptor")
        }
        guard Int(status.st_size) >= byteCount else {
            throw MemoryError(
                .length,
                "cannot map \(byteCount) bytes of a file of \(status.st_size) bytes: "
                    + "map at most the file's size")
        }
    }

    static func checkLength(_ byteCount: Int) throws(MemoryError) {
        guard byteCount > 0, byteCount % pageByteCount == 0 else {
            throw MemoryError(
                .length,
                "cannot map \(byteCount) bytes: give a positive multiple of \(pageByteCount)")
        }
    }

    /// The region's bytes, to read.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // SAFETY: `base` maps `byteCount` bytes until deinit, and the span borrows self.
            let span = unsafe RawSpan(_unsafeStart: base, byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Where the process has it.
    package var addresses: Range<UInt64> {
        let start = UInt64(UInt(bitPattern: unsafe base))
        return start..<start + UInt64(byteCount)
    }

    /// The region's bytes, to write.
    public var mutableBytes: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            // SAFETY: as for `bytes`; the span holds self exclusively.
            let span = unsafe MutableRawSpan(_unsafeStart: base, byteCount: byteCount)
            return unsafe _overrideLifetime(span, mutating: &self)
        }
    }

    /// One page of the region, to read.
    ///
    /// - Parameter offset: Where the page begins, in bytes.
    /// - Returns: The page's 4,096 bytes.
    /// - Precondition: The page lies in the region.
    @_lifetime(borrow self)
    public func page(at offset: Int) -> RawSpan {
        precondition(offset >= 0 && offset <= byteCount &- pageByteCount)
        // SAFETY: the page lies in the mapping, checked above, and the span borrows self.
        let span = unsafe RawSpan(_unsafeStart: base + offset, byteCount: pageByteCount)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// One page of the region, to write.
    ///
    /// - Parameter offset: Where the page begins, in bytes.
    /// - Returns: The page's 4,096 bytes.
    /// - Precondition: The page lies in the region.
    @_lifetime(&self)
    public mutating func mutablePage(at offset: Int) -> MutableRawSpan {
        precondition(offset >= 0 && offset <= byteCount &- pageByteCount)
        // SAFETY: as for `page(at:)`; the span holds self exclusively.
        let span = unsafe MutableRawSpan(_unsafeStart: base + offset, byteCount: pageByteCount)
        return unsafe _overrideLifetime(span, mutating: &self)
    }

    /// Gives the memory of a range back to the system; it reads as zero from then on.
    ///
    /// - Parameter range: Whole pages of the region.
    /// - Throws: `MemoryError` of kind `mapping` when the system refuses.
    /// - Precondition: The range lies in the region and starts and ends on a page.
    public mutating func discard(_ range: Range<Int>) throws(MemoryError) {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
        precondition(range.lowerBound % pageByteCount == 0 && range.count % pageByteCount == 0)
        guard !range.isEmpty else { return }
        let failure: Int32
        if backing == .anonymous {
            // SAFETY: the range lies in the mapping, checked above.
            let result = unsafe madvise(base + range.lowerBound, range.count, MADV_DONTNEED)
            failure = result == 0 ? 0 : errno
        } else if let ownedDescriptor {
            failure = -croost_punch_hole(
                ownedDescriptor.rawValue, Int64(range.lowerBound), Int64(range.count))
        } else {
            // SAFETY: as above. MADV_REMOVE frees the file's own pages.
            let result = unsafe madvise(base + range.lowerBound, range.count, MADV_REMOVE)
            failure = result == 0 ? 0 : errno
        }
        guard failure == 0 else {
            throw MemoryError(
                .mapping, errno: Errno(rawValue: failure),
                "cannot give back \(range.count) bytes of memory: \(Errno(rawValue: failure))")
        }
    }

    deinit {
        // SAFETY: this value owns the mapping, and no span outlives it.
        unsafe munmap(base, byteCount)
        try? ownedDescriptor?.close()
    }
}
