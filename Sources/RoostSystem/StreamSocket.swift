internal import CRoost
internal import Glibc
package import SystemPackage

/// A connected stream socket, over a path or TCP, closed when its last reference goes.
///
/// A class, since a reader, a writer and whoever cancels them share one connection: as long as
/// one of them holds it, its descriptor cannot be closed and given to another file. Every method
/// may be called on any thread.
package final class StreamSocket: Sendable {
    /// A direction of the connection.
    package enum Direction: Sendable {
        case reading, writing, both
    }

    /// Who connected a unix socket, or called listen(2) on it, as they were then.
    package struct PeerCredentials: Equatable, Sendable {
        package let processID: Int32
        package let userID: UInt32
        package let groupID: UInt32
    }

    /// What one call of ``receive(into:)`` brought.
    package struct Received: ~Copyable, Sendable {
        /// How many bytes arrived; 0 at the end.
        package let byteCount: Int
        /// The descriptor that came with them; `take()` it to keep it.
        package var passed: OwnedDescriptor?
    }

    private let owned: OwnedDescriptor

    /// The descriptor, to be used while a reference to the socket is held; blocking.
    package var descriptor: FileDescriptor { owned.descriptor }

    /// Takes over a connected socket.
    package init(_ owned: consuming OwnedDescriptor) {
        self.owned = owned
    }

    /// Connects to an endpoint, blocking.
    ///
    /// TCP connections send at once (TCP_NODELAY) and notice after a minute that the other end
    /// has vanished (keepalive).
    ///
    /// - Parameters:
    ///   - endpoint: Where to.
    ///   - timeout: How long to wait for each address of a host; `nil` leaves it to the system.
    /// - Returns: The connection.
    /// - Throws: `SystemError` of kind `address`, `connect` or `timeout`.
    package static func connect(
        to endpoint: Endpoint, timeout: Duration? = nil
    ) throws(SystemError) -> StreamSocket {
        try endpoint.check()
        let limit = timeout.map { max(1, $0.clampedMilliseconds) } ?? 0
        var unresolved: Int32 = 0
        let result: Int32
        switch endpoint {
        case .unix(let path):
            result = unsafe croost_connect_unix(path, limit)
        case .tcp(let host, let port):
            result = unsafe croost_connect_tcp(host, port, limit, &unresolved)
        }
        guard result < 0 else {
            return StreamSocket(OwnedDescriptor(FileDescriptor(rawValue: result)))
        }
        throw connectFailure(endpoint, Errno(rawValue: -result), unresolved: unresolved)
    }

    private static func connectFailure(
        _ endpoint: Endpoint, _ reason: Errno, unresolved: Int32
    ) -> SystemError {
        if unresolved != 0 {
            return resolutionFailure(endpoint, code: unresolved)
        }
        let what = "cannot connect to \(endpoint): \(reason)"
        return switch reason {
        case .noSuchFileOrDirectory:
            SystemError(.connect, errno: reason, "\(what); start what listens there first")
        case .connectionRefused:
            SystemError(.connect, errno: reason, "\(what); nobody listens there")
        case .timedOut:
            SystemError(
                .timeout, errno: reason, "\(what); see that the host is up and lets the port in")
        default:
            SystemError(.connect, errno: reason, what)
        }
    }

    static func resolutionFailure(_ endpoint: Endpoint, code: Int32) -> SystemError {
        // SAFETY: gai_strerror(3) answers a constant string for every code.
        let reason = unsafe String(cString: gai_strerror(code))
        return SystemError(
            .address, "cannot find the host of \(endpoint): \(reason); check its name")
    }

    /// Makes two sockets connected to each other.
    ///
    /// - Throws: `SystemError` of kind `connect`.
    package static func pair() throws(SystemError) -> (StreamSocket, StreamSocket) {
        var first: Int32 = -1
        var second: Int32 = -1
        let result = unsafe croost_socket_pair(&first, &second)
        guard result == 0 else {
            let reason = Errno(rawValue: -result)
            throw SystemError(
                .connect, errno: reason,
                "cannot make a pair of sockets: \(reason); raise the limit on open files "
                    + "(ulimit -n)")
        }
        return (
            StreamSocket(OwnedDescriptor(FileDescriptor(rawValue: first))),
            StreamSocket(OwnedDescriptor(FileDescriptor(rawValue: second)))
        )
    }

    /// Ends a direction of the connection.
    ///
    /// A thread that waits in it, here or at the peer, goes on with the end of the input or a
    /// failure. Does nothing to a connection that has ended.
    package func shutdown(_ direction: Direction) {
        let how =
            switch direction {
            case .reading: SHUT_RD
            case .writing: SHUT_WR
            case .both: SHUT_RDWR
            }
        // Fails only for a connection that is gone already (ENOTCONN), which is what is wanted.
        _ = Glibc.shutdown(descriptor.rawValue, Int32(how))
    }

    /// Closes this process's end of the connection now, while references to the socket remain.
    ///
    /// For an end that was passed to another process: as long as a copy is open here, the peer
    /// does not see the connection end with that process. From then on the descriptor refers to
    /// `/dev/null`, so that its number is not given to another file before the socket is let go.
    ///
    /// - Throws: `SystemError` of kind `transfer`.
    package func relinquish() throws(SystemError) {
        let result = croost_divert_to_null(descriptor.rawValue)
        guard result == 0 else {
            let reason = Errno(rawValue: -result)
            throw SystemError(
                .transfer, errno: reason,
                "cannot close a connection: \(reason); raise the limit on open files (ulimit -n)")
        }
    }

    /// Sends every byte, blocking, and with the first of them a descriptor.
    ///
    /// - Parameters:
    ///   - bytes: The bytes; at least one where a descriptor goes with them.
    ///   - passed: A descriptor of which the peer gets a copy (unix sockets only); it stays the
    ///     caller's.
    /// - Throws: `SystemError` of kind `transfer`. Never raises SIGPIPE.
    package func send(
        _ bytes: RawSpan, passing passed: FileDescriptor? = nil
    ) throws(SystemError) {
        precondition(passed == nil || bytes.byteCount > 0)
        var offset = 0
        while offset < bytes.byteCount {
            let rest = bytes.extracting(droppingFirst: offset)
            let carried = offset == 0 ? passed?.rawValue ?? -1 : -1
            let result = unsafe rest.withUnsafeBytes { source -> Int64 in
                guard let from = source.baseAddress else { return 0 }
                // SAFETY: the buffer is the span's, alive for the call.
                return unsafe croost_send(descriptor.rawValue, from, source.count, carried)
            }
            guard result >= 0 else {
                throw Self.transferFailure("send to", Errno(rawValue: Int32(-result)))
            }
            offset &+= Int(result)
        }
    }

    /// Receives what has arrived, waiting for the first byte.
    ///
    /// - Parameter bytes: Where to, not empty.
    /// - Returns: How many bytes came, and the descriptor that came with them.
    /// - Throws: `SystemError` of kind `transfer`.
    package func receive(
        into bytes: inout MutableRawSpan
    ) throws(SystemError) -> Received {
        precondition(!bytes.isEmpty)
        var passed: Int32 = -1
        let result = unsafe bytes.withUnsafeMutableBytes { target -> Int64 in
            guard let to = target.baseAddress else { return 0 }
            // SAFETY: the buffer is the span's, alive for the call and held exclusively.
            return unsafe croost_receive(descriptor.rawValue, to, target.count, &passed)
        }
        guard result >= 0 else {
            throw Self.transferFailure("receive from", Errno(rawValue: Int32(-result)))
        }
        return Received(
            byteCount: Int(result),
            passed: passed < 0 ? nil : OwnedDescriptor(FileDescriptor(rawValue: passed)))
    }

    private static func transferFailure(_ what: String, _ reason: Errno) -> SystemError {
        let gone = reason == .brokenPipe || reason == .connectionReset
        return SystemError(
            .transfer, errno: reason,
            "cannot \(what) the peer: \(reason)" + (gone ? "; it closed the connection" : ""))
    }

    /// Who is at the other end of a unix socket.
    ///
    /// - Throws: `SystemError` of kind `credentials`, as for every TCP connection.
    package func peerCredentials() throws(SystemError) -> PeerCredentials {
        var pid: pid_t = 0
        var uid: uid_t = 0
        var gid: gid_t = 0
        let result = unsafe croost_peer_credentials(descriptor.rawValue, &pid, &uid, &gid)
        guard result == 0 else {
            let reason = Errno(rawValue: -result)
            throw SystemError(
                .credentials, errno: reason,
                "cannot tell who connected: \(reason); only unix sockets tell")
        }
        return PeerCredentials(processID: pid, userID: uid, groupID: gid)
    }

    /// Refuses a peer that is neither this process's user nor root.
    ///
    /// - Throws: `SystemError` of kind `credentials`.
    package func checkPeerIsTrusted() throws(SystemError) {
        let peer = try peerCredentials()
        guard peer.userID == 0 || peer.userID == geteuid() else {
            throw SystemError(
                .credentials,
                "refused process \(peer.processID) of user \(peer.userID): only user \(geteuid()) "
                    + "and root may connect here")
        }
    }
}
