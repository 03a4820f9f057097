internal import Glibc
internal import SystemPackage

extension PageWindow {
    /// Gives the memory of private pages back: they read as zero from then on, and stay mapped.
    ///
    /// Other threads may read and write other pages meanwhile.
    ///
    /// - Parameters:
    ///   - count: How many pages.
    ///   - page: Which is the first.
    /// - Precondition: They lie in the window, mapped by ``mapAnonymous(count:at:)``.
    public func discardAnonymous(count: Int, at page: Int) {
        precondition(page >= 0 && count > 0 && count <= pageCount && page <= pageCount &- count)
        // SAFETY: the range lies in this window's own reservation, checked above.
        let result = unsafe madvise(
            base + page &* pageByteCount, count &* pageByteCount, MADV_DONTNEED)
        if result != 0 {
            // Locked memory (mlockall) cannot be given back; what is promised is the zeros.
            zero(count: count &* pageByteCount, at: page &* pageByteCount)
        }
    }
}
