internal import Glibc
package import SystemPackage

extension RawSpan {
    /// Writes every byte to a place in a file.
    ///
    /// - Parameters:
    ///   - descriptor: The file.
    ///   - offset: Where the first byte goes.
    /// - Throws: `Errno` of pwrite(2); an interrupted call is repeated.
    package func writeAll(to descriptor: FileDescriptor, at offset: Int64) throws(Errno) {
        var written = 0
        while written < byteCount {
            let rest = extracting(written..<byteCount)
            // SAFETY: pwrite reads the span's own bytes.
            let result = unsafe rest.withUnsafeBytes { bytes in
                unsafe pwrite(
                    descriptor.rawValue, bytes.baseAddress, bytes.count, Int(offset) + written)
            }
            if result < 0 {
                let failure = errno
                guard failure == EINTR else { throw Errno(rawValue: failure) }
            } else {
                written += result
            }
        }
    }
}

extension RawSpan {
    /// Writes every byte to where a pipe, a device or a file stands.
    ///
    /// - Parameter descriptor: Where to; one that does not block is waited for.
    /// - Throws: `Errno` of write(2); an interrupted call is repeated.
    package func writeAll(to descriptor: FileDescriptor) throws(Errno) {
        var written = 0
        while written < byteCount {
            let rest = extracting(written..<byteCount)
            // SAFETY: write reads the span's own bytes.
            let result = unsafe rest.withUnsafeBytes { bytes in
                unsafe Glibc.write(descriptor.rawValue, bytes.baseAddress, bytes.count)
            }
            if result >= 0 {
                written += result
                continue
            }
            let failure = errno
            if failure == EAGAIN {
                var wait = pollfd(fd: descriptor.rawValue, events: Int16(POLLOUT), revents: 0)
                // SAFETY: one entry of this function's own.
                _ = unsafe poll(&wait, 1, -1)
            } else if failure != EINTR {
                throw Errno(rawValue: failure)
            }
        }
    }
}

extension MutableRawSpan {
    /// Reads as many bytes as it has from a place in a file.
    ///
    /// - Parameters:
    ///   - descriptor: The file.
    ///   - offset: Where the first byte comes from.
    /// - Returns: Whether the file reached that far.
    /// - Throws: `Errno` of pread(2); an interrupted call is repeated.
    package mutating func readAll(
        from descriptor: FileDescriptor, at offset: Int64
    ) throws(Errno) -> Bool {
        var filled = 0
        let wanted = byteCount
        // SAFETY: pread writes the span's own bytes, held exclusively.
        return try unsafe withUnsafeMutableBytes { bytes throws(Errno) -> Bool in
            while filled < wanted {
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[filled...])
                let result = unsafe pread(
                    descriptor.rawValue, rest.baseAddress, rest.count, Int(offset) + filled)
                if result < 0 {
                    let failure = errno
                    guard failure == EINTR else { throw Errno(rawValue: failure) }
                } else if result == 0 {
                    return false
                } else {
                    filled += result
                }
            }
            return true
        }
    }
}
