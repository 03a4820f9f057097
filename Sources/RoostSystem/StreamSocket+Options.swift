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

    /// Has a TCP connection fail when its peer is not heard of for a time, with bytes under way and
    /// without; does nothing for another kind of socket.
    ///
    /// The peer's system must go on to take bytes: one that has no room for as long counts as gone.
    ///
    /// - Parameter timeout: How long, at least a second.
    package func setLinkTimeout(_ timeout: Duration) {
        _ = croost_set_link_timeout(
            descriptor.rawValue, UInt32(clamping: timeout.clampedMilliseconds))
    }

    /// The address and port of a TCP connection's other end, such as `192.0.2.1:4444` or `[::1]:80`;
    /// `nil` for another kind of socket, and once the connection is gone.
    package var peerAddress: String? {
        var host = [CChar](repeating: 0, count: 64)
        var port: UInt16 = 0
        // SAFETY: the length is the array's, held exclusively for the call.
        guard unsafe croost_peer_address(descriptor.rawValue, &host, host.count, &port) == 0 else {
            return nil
        }
        let text = String(
            decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.contains(":") ? "[\(text)]:\(port)" : "\(text):\(port)"
    }
}
