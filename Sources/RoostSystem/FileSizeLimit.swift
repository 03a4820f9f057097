internal import CRoost

/// What a process does when a file grows past its limit on the size of files (`ulimit -f`).
package enum FileSizeLimit {
    /// Makes SIGXFSZ do nothing in the whole process, so that a write past the limit fails with
    /// EFBIG, and a file that was not finished is taken away, instead of ending the process.
    ///
    /// As with ``BrokenPipes/ignore()``, each executable that writes files calls this once before
    /// it starts threads.
    package static func ignoreSignal() {
        let result = croost_ignore_file_size_limit()
        // sigaction(2) fails only for a signal that cannot be caught.
        precondition(result == 0, "SIGXFSZ cannot be ignored")
    }
}
