internal import Glibc
package import SystemPackage

extension StopSignal {
    /// Waits until the signal is raised, one of some descriptors can be read, or time is over.
    ///
    /// For the one wait of a data-plane thread: nothing is allocated, and an interruption by a
    /// signal of the system counts as time that is over.
    ///
    /// - Parameters:
    ///   - descriptors: What to wait for too; a negative number is passed over.
    ///   - milliseconds: How long to wait; negative waits for ever.
    /// - Returns: Which of the descriptors can be read or are broken, a bit for each from the
    ///   lowest.
    package func wait(
        orAnyReadable descriptors: [4 of CInt], milliseconds: CInt
    ) -> UInt8 {
        var waits = [5 of pollfd](
            repeating: pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0))
        for index in descriptors.indices { waits[index].fd = descriptors[index] }
        var entries = waits.mutableSpan
        let ready = unsafe entries.withUnsafeMutableBufferPointer { entries in
            // SAFETY: as many entries as are counted, held exclusively for the call.
            unsafe poll(entries.baseAddress, 5, milliseconds)
        }
        guard ready > 0 else { return 0 }
        var found: UInt8 = 0
        for index in descriptors.indices where waits[index].revents != 0 {
            found |= 1 << UInt8(index)
        }
        return found
    }
}

extension FileDescriptor {
    /// Waits until the descriptor can be read, is broken, or a signal of the system comes.
    ///
    /// - Parameter milliseconds: How long to wait at most; negative waits for ever.
    package func waitUntilReadable(milliseconds: CInt) {
        var entry = pollfd(fd: rawValue, events: Int16(POLLIN), revents: 0)
        // SAFETY: one entry, a local value.
        _ = unsafe poll(&entry, 1, milliseconds)
    }
}
