internal import CRoost
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// The path of a unix socket that this process listens on, owned by the lock file beside it.
///
/// The one place that says which paths may be listened on: where nothing is, or where a socket of
/// ours was left by a process that is gone. Anything else is left alone, whatever it is.
final class SocketFile: Sendable {
    /// How often a lock that is held is tried again, 10 ms apart: some look at it for a moment.
    private static let attemptCount = 20

    /// The socket that listens.
    let socket: OwnedDescriptor
    private let token: UInt64?
    private let lock: Mutex<Holding>

    private struct Holding: ~Copyable {
        var lock: SocketLock?
    }

    private init(_ path: String, _ socket: Int32, _ lock: consuming SocketLock) {
        self.socket = OwnedDescriptor(FileDescriptor(rawValue: socket))
        token = Leavings.note(path)
        self.lock = Mutex(Holding(lock: lock))
    }

    /// Listens at a path.
    ///
    /// - Parameter path: Where.
    /// - Returns: The socket, whose file of mode 0600 goes away by ``remove()``.
    /// - Throws: `SystemError` of kind `listen`; nothing was changed then.
    static func listen(at path: String) throws(SystemError) -> SocketFile {
        let lock = try take(path)
        if let there = FileFacts(at: path) {
            try check(there, path)
            if let owner = lock.owner, owner.inode != there.inode {
                throw refusal(path, "a socket that Roost did not make is there")
            }
            // When it cannot be removed, bind(2) says so.
            _ = unsafe unlink(path)
        }
        let result = unsafe croost_listen_unix(path, Listener.backlog)
        guard result >= 0 else {
            lock.remove()
            throw Listener.failure(.unix(path: path), Errno(rawValue: -result))
        }
        if let made = FileFacts(at: path) { lock.tell(made) }
        return SocketFile(path, result, lock)
    }

    /// Takes the lock of a path at which nothing is, or a socket.
    private static func take(_ path: String) throws(SystemError) -> SocketLock {
        var attempts = 0
        while true {
            let there = FileFacts(at: path)
            if let there { try check(there, path) }
            do throws(SocketLock.Refusal) {
                return try SocketLock.take(of: path, makes: there == nil)
            } catch {
                attempts += 1
                switch error {
                case .held where attempts < attemptCount:
                    // No descriptors: a pause of 10 ms.
                    _ = poll(nil, 0, 10)
                case .missing where attempts < attemptCount && FileFacts(at: path) == nil:
                    continue
                default: throw failure(path, error)
                }
            }
        }
    }

    private static func check(_ there: FileFacts, _ path: String) throws(SystemError) {
        guard there.kind != .socket else { return }
        throw refusal(path, "\(there.kind) is there")
    }

    private static func refusal(_ path: String, _ reason: String) -> SystemError {
        SystemError(
            .listen, errno: .fileExists,
            "cannot listen on unix:\(path): \(reason); choose another path, or move it away")
    }

    private static func failure(_ path: String, _ refusal: SocketLock.Refusal) -> SystemError {
        switch refusal {
        case .held(let process):
            let who = process.map { $0 > 0 ? "process \($0)" : "somebody" } ?? "somebody"
            return SystemError(
                .listen, errno: .addressInUse,
                "cannot listen on unix:\(path): \(who) listens there already; stop it, or choose "
                    + "another path")
        case .missing:
            return self.refusal(
                path, "a socket is there that Roost did not make, and somebody may listen on it")
        case .foreign(let reason):
            return self.refusal(path, "\(reason), and Roost's lock belongs there")
        case .failed(let reason):
            return Listener.failure(.unix(path: path), reason)
        }
    }

    /// Takes the socket's file and its lock away; calling it again does nothing.
    func remove() {
        lock.withLock { holding in
            guard let lock = holding.lock.take() else { return }
            // The socket first: who finds it without its lock takes it for another's.
            Leavings.remove(token)
            lock.remove()
        }
    }

    deinit {
        remove()
    }
}
