internal import Glibc
package import SystemPackage

extension MutableRawSpan {
    /// Reads once, at most as many bytes as it has, into its start: one frame of a device.
    ///
    /// Data-plane code asks for each frame, so a refusal is a number and no thrown error.
    ///
    /// - Parameter descriptor: What is read, one that does not block.
    /// - Returns: How many bytes were read, or a negated errno of read(2); an interrupted call is
    ///   repeated.
    package mutating func readFrame(from descriptor: FileDescriptor) -> Int {
        // SAFETY: read writes the span's own bytes, held exclusively.
        unsafe withUnsafeMutableBytes { bytes in
            while true {
                let result = unsafe read(descriptor.rawValue, bytes.baseAddress, bytes.count)
                if result >= 0 { return result }
                let failure = errno
                if failure != EINTR { return -Int(failure) }
            }
        }
    }
}

extension RawSpan {
    /// Writes all bytes in one call: one frame to a device.
    ///
    /// - Parameter descriptor: Where it goes, one that does not block.
    /// - Returns: How many bytes were written, or a negated errno of write(2); an interrupted call
    ///   is repeated.
    package func writeFrame(to descriptor: FileDescriptor) -> Int {
        // SAFETY: write reads the span's own bytes.
        unsafe withUnsafeBytes { bytes in
            while true {
                let result = unsafe write(descriptor.rawValue, bytes.baseAddress, bytes.count)
                if result >= 0 { return result }
                let failure = errno
                if failure != EINTR { return -Int(failure) }
            }
        }
    }
}
