internal import CRoost
package import SystemPackage

extension StreamSocket {
    /// Makes reading and sending fail rather than wait (`wouldBlock`).
    ///
    /// - Throws: `Errno` of fcntl(2).
    package func makeNonblocking() throws(Errno) {
        let result = croost_set_nonblocking(descriptor.rawValue)
        guard result == 0 else { throw Errno(rawValue: -result) }
    }

    /// Bounds what the kernel keeps of bytes that the peer has not read yet.
    ///
    /// - Parameter byteCount: Roughly how much; the kernel counts its own needs as well.
    /// - Throws: `Errno` of setsockopt(2).
    package func limitSendBuffer(_ byteCount: Int) throws(Errno) {
        let result = croost_limit_send_buffer(descriptor.rawValue, Int32(clamping: byteCount))
        guard result == 0 else { throw Errno(rawValue: -result) }
    }
}
