internal import CRoost
internal import Glibc
public import SystemPackage

/// A memory file whose size can no longer change, closed when the value ends.
///
/// It is not mapped by itself: ``MemorySpace/addFile(_:byteCount:isWritable:requiresSeal:)`` maps
/// it, in this process and in those it is passed to.
public struct MemoryFile: ~Copyable, Sendable {
    /// The file, owned by this value.
    public let descriptor: FileDescriptor
    /// Its length in bytes.
    public let byteCount: Int

    private init(_ descriptor: FileDescriptor, _ byteCount: Int) {
        self.descriptor = descriptor
        self.byteCount = byteCount
    }

    /// Makes a file of zeros, which takes memory only where it is written.
    ///
    /// - Parameters:
    ///   - name: What `/proc/PID/maps` shows, at most 249 bytes.
    ///   - byteCount: The length in bytes: positive, a multiple of ``pageByteCount``.
    /// - Returns: The file.
    /// - Throws: `MemoryError` of kind `length` or `mapping`.
    public static func make(name: String, byteCount: Int) throws(MemoryError) -> MemoryFile {
        try MappedRegion.checkLength(byteCount)
        let result = unsafe croost_memory_file(name, Int64(byteCount))
        guard result >= 0 else {
            let reason = Errno(rawValue: -result)
            throw MemoryError(
                .mapping, errno: reason,
                "cannot make a memory file of \(byteCount) bytes: \(reason)")
        }
        return MemoryFile(FileDescriptor(rawValue: result), byteCount)
    }

    /// Gives the file's memory back: it reads as zero from then on, in whoever maps it.
    ///
    /// - Throws: `MemoryError` of kind `mapping` when the system refuses.
    public func discardAll() throws(MemoryError) {
        let result = croost_punch_hole(descriptor.rawValue, 0, Int64(byteCount))
        guard result == 0 else {
            let reason = Errno(rawValue: -result)
            throw MemoryError(
                .mapping, errno: reason, "cannot give back \(byteCount) bytes of memory: \(reason)")
        }
    }

    deinit {
        try? descriptor.close()
    }
}

extension FileDescriptor {
    /// The next range of a file that takes memory or disk, or `nil` when there is none.
    ///
    /// What lies outside reads as zero, and reading it through a mapping of a memory file would
    /// allocate it. Moves the file's own offset, which memory files are not read by.
    ///
    /// - Parameter range: Where to look, in bytes.
    /// - Returns: The first such range inside it.
    /// - Throws: `Errno` of lseek(2).
    package func nextPopulated(in range: Range<Int>) throws(Errno) -> Range<Int>? {
        guard !range.isEmpty else { return nil }
        let data = croost_seek_data(rawValue, Int64(range.lowerBound))
        if data == Int64(-ENXIO) { return nil }
        guard data >= 0 else { throw Errno(rawValue: Int32(-data)) }
        guard data < range.upperBound else { return nil }
        let hole = croost_seek_hole(rawValue, data)
        guard hole >= 0 else { throw Errno(rawValue: Int32(-hole)) }
        return Int(data)..<max(min(Int(hole), range.upperBound), Int(data))
    }
}

extension FileDescriptor {
    /// Another descriptor of the same file, to read, with a file offset of its own.
    ///
    /// - Throws: `MemoryError` of kind `mapping`.
    package func reopened() throws(MemoryError) -> FileDescriptor {
        do {
            return try FileDescriptor.open(
                FilePath("/proc/self/fd/\(rawValue)"), .readOnly, options: .closeOnExec)
        } catch {
            throw MemoryError(
                .mapping, errno: error as? Errno,
                "cannot open memory file \(rawValue) again: \(error); raise the limit on open files "
                    + "(ulimit -n)")
        }
    }
}
