internal import CRoost
internal import Glibc
internal import Synchronization
package import SystemPackage

/// A socket that others connect to.
///
/// It is shared by the thread that accepts and whoever stops it; every method may be called on
/// any thread. Its descriptors are closed when the last reference goes.
package final class Listener: Sendable {
    /// Connections that wait to be accepted, at most: a move has one peer, a control socket few.
    static let backlog: Int32 = 16

    /// Where it listens; for TCP with the real port, also where 0 was asked for.
    package let endpoint: Endpoint

    /// A listening socket, closed with its owner.
    private enum Socket: ~Copyable {
        case unix(SocketFile)
        case tcp(OwnedDescriptor)
    }

    private let socket: Socket

    /// Readable while a connection waits, for a wait of one's own; then accept with no time given.
    package var descriptor: FileDescriptor {
        switch socket {
        case .unix(let file): file.socket.descriptor
        case .tcp(let owned): owned.descriptor
        }
    }

    /// Readable once the listener is stopped, for ever.
    private let stopSignal: OwnedDescriptor
    private let stopped = Atomic<Bool>(false)

    /// Listens.
    ///
    /// A unix socket's file gets mode 0600, and a lock file beside it, `PATH.lock`, says that it is
    /// ours. A socket of ours that a process left behind is replaced; one that somebody listens on,
    /// one that another program made, and any other file, is left alone.
    ///
    /// - Parameter endpoint: Where. For TCP, port 0 lets the system choose one.
    /// - Throws: `SystemError` of kind `address` or `listen`.
    package init(on endpoint: Endpoint) throws(SystemError) {
        try endpoint.check()
        let event = croost_event_descriptor()
        guard event >= 0 else {
            throw Self.failure(endpoint, Errno(rawValue: -event))
        }
        stopSignal = OwnedDescriptor(FileDescriptor(rawValue: event))
        switch endpoint {
        case .unix(let path):
            socket = .unix(try SocketFile.listen(at: path))
            self.endpoint = endpoint
        case .tcp(let host, let port):
            var unresolved: Int32 = 0
            let result = unsafe croost_listen_tcp(host, port, Self.backlog, &unresolved)
            guard unresolved == 0 else {
                throw StreamSocket.resolutionFailure(endpoint, code: unresolved)
            }
            guard result >= 0 else {
                throw Self.failure(endpoint, Errno(rawValue: -result))
            }
            socket = .tcp(OwnedDescriptor(FileDescriptor(rawValue: result)))
            let real = croost_local_port(result)
            self.endpoint = .tcp(host: host, port: UInt16(exactly: real) ?? port)
        }
    }

    static func failure(_ endpoint: Endpoint, _ reason: Errno) -> SystemError {
        let what = "cannot listen on \(endpoint): \(reason)"
        return switch reason {
        case .addressInUse:
            SystemError(
                .listen, errno: reason, "\(what); stop who listens there or choose another place")
        case .noSuchFileOrDirectory, .notDirectory:
            SystemError(
                .listen, errno: reason,
                "\(what); its folder is not there: make it, or choose another")
        case .permissionDenied, .notPermitted, .readOnlyFileSystem:
            SystemError(
                .listen, errno: reason,
                "\(what); this user may not listen there: choose another place")
        case .addressNotAvailable:
            SystemError(
                .listen, errno: reason, "\(what); give an address of this host, or 0.0.0.0")
        default:
            SystemError(.listen, errno: reason, what)
        }
    }

    /// Whether a process of Roost listens at a path, found out without connecting to it.
    ///
    /// - Parameter path: The path of a unix socket.
    /// - Returns: Whether one does.
    package static func isListening(at path: String) -> Bool {
        FileFacts(at: path)?.kind == .socket && SocketLock.isHeld(of: path)
    }

    /// The process of Roost that listens at a path, as its lock file tells.
    ///
    /// - Parameter path: The path of a unix socket.
    /// - Returns: Its number, or `nil` where that is not known.
    package static func process(at path: String) -> Int32? { SocketLock.holder(of: path) }

    /// Waits for a connection and takes it.
    ///
    /// - Parameter timeout: How long to wait; `nil` waits until ``stop()``.
    /// - Returns: The connection, blocking.
    /// - Throws: `SystemError` of kind `timeout`, `cancelled` once the listener is stopped, or
    ///   `transfer`.
    package func accept(timeout: Duration? = nil) throws(SystemError) -> StreamSocket {
        let clock = ContinuousClock()
        let deadline = timeout.map { clock.now + $0 }
        while true {
            try waitUntilReady(deadline: deadline, clock: clock)
            let result = croost_accept(descriptor.rawValue)
            guard result < 0 else {
                return StreamSocket(OwnedDescriptor(FileDescriptor(rawValue: result)))
            }
            let reason = Errno(rawValue: -result)
            switch reason {
            case .wouldBlock, .interrupted, .connectionAbort, .protocolError:
                continue  // That connection went away before it was taken.
            default:
                if stopped.load(ordering: .acquiring) { continue }
                throw SystemError(
                    .transfer, errno: reason,
                    "cannot accept a connection on \(endpoint): \(reason)"
                        + (reason == .tooManyOpenFiles ? "; raise ulimit -n" : ""))
            }
        }
    }

    /// Sleeps until there is a connection to take.
    private func waitUntilReady(
        deadline: ContinuousClock.Instant?, clock: ContinuousClock
    ) throws(SystemError) {
        var waits = [
            pollfd(fd: stopSignal.descriptor.rawValue, events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let left = deadline.map { max(0, (clock.now.duration(to: $0)).clampedMilliseconds) }
            // SAFETY: the array holds the two entries counted, for the length of the call.
            let ready = unsafe poll(&waits, 2, left ?? -1)
            let failure = errno
            if stopped.load(ordering: .acquiring) {
                throw SystemError(.cancelled, "stopped listening on \(endpoint)")
            }
            if ready > 0 { return }
            guard ready == 0 || failure == EINTR else {
                let reason = Errno(rawValue: failure)
                throw SystemError(
                    .transfer, errno: reason, "cannot wait on \(endpoint): \(reason)")
            }
            if let deadline, clock.now >= deadline {
                throw SystemError(
                    .timeout,
                    "nobody connected to \(endpoint) in time: start the other end, or wait longer")
            }
        }
    }

    /// Stops listening.
    ///
    /// Waiting and later calls of ``accept(timeout:)`` fail, who connects is refused, and the unix
    /// socket's file is removed. Calling it again does nothing.
    package func stop() {
        guard !stopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        switch socket {
        case .unix(let file): file.remove()
        case .tcp: break
        }
        var one: UInt64 = 1
        // SAFETY: eight bytes of a local value; the count cannot overflow by one write.
        _ = unsafe write(stopSignal.descriptor.rawValue, &one, 8)
        _ = shutdown(descriptor.rawValue, Int32(SHUT_RDWR))
    }

    deinit {
        stop()
    }
}
