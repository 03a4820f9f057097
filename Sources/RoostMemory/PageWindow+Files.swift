internal import Glibc
public import Synchronization
public import SystemPackage

/// Bits in shared words, and bytes moved between files and a window by the kernel.
extension PageWindow {
    /// Clears bits of a word, whatever happens to the others meanwhile.
    ///
    /// - Parameters:
    ///   - bits: Which.
    ///   - offset: Where the word lies, in bytes, a multiple of 4.
    /// - Returns: What the word was.
    /// - Precondition: It is mapped, writable and aligned.
    @inlinable
    @discardableResult
    public func clearBits(_ bits: UInt32, at offset: Int) -> UInt32 {
        // SAFETY: checked by `word`; self outlives the call.
        unsafe word(at: offset).pointee.bitwiseAnd(~bits, ordering: .acquiringAndReleasing).oldValue
    }

    /// Reads bytes of a file into the window, in one system call and without mapping the file.
    ///
    /// - Parameters:
    ///   - count: How many bytes.
    ///   - descriptor: The file.
    ///   - fileOffset: Where they begin there.
    ///   - offset: Where they go.
    /// - Returns: Whether all came; not if the file ends before, or the place is not mapped.
    /// - Precondition: The place lies in the window.
    public func read(
        count: Int, from descriptor: FileDescriptor, at fileOffset: Int, to offset: Int
    ) -> Bool {
        checkRange(offset, count)
        while true {
            // SAFETY: the range lies in the reservation, checked above; the kernel refuses what is
            // not mapped (EFAULT).
            let result = unsafe pread(descriptor.rawValue, base + offset, count, fileOffset)
            if result >= 0 || errno != EINTR { return result == count }
        }
    }

    /// Writes bytes of the window to a file, in one system call and without mapping the file.
    ///
    /// - Parameters:
    ///   - count: How many bytes.
    ///   - offset: Where they begin.
    ///   - descriptor: The file.
    ///   - fileOffset: Where they go there.
    /// - Returns: Whether all went.
    /// - Precondition: They lie in the window.
    public func write(
        count: Int, from offset: Int, to descriptor: FileDescriptor, at fileOffset: Int
    ) -> Bool {
        checkRange(offset, count)
        while true {
            // SAFETY: as above.
            let result = unsafe pwrite(descriptor.rawValue, base + offset, count, fileOffset)
            if result >= 0 || errno != EINTR { return result == count }
        }
    }
}
