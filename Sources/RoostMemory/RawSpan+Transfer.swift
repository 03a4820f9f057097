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
