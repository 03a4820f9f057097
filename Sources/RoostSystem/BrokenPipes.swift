internal import CRoost

/// What a process does about SIGPIPE.
package enum BrokenPipes {
    /// Makes SIGPIPE do nothing in the whole process, so that writing to a socket or pipe whose
    /// reader is gone fails with EPIPE instead of ending the process.
    ///
    /// `write(2)`, and so `ByteQueue.drain`, has no other way to avoid the signal. A library does
    /// not change a process's signals by itself: each executable calls this once before it
    /// starts threads, and so do tests. Calling it again does no harm. A program that is
    /// executed inherits the setting, so what starts one resets SIGPIPE first.
    package static func ignore() {
        let result = croost_ignore_broken_pipes()
        // sigaction(2) fails only for a signal that cannot be caught.
        precondition(result == 0, "SIGPIPE cannot be ignored")
    }
}
