internal import CRoost
internal import Glibc
internal import SystemPackage

/// The file of a unix socket: which one it is, and the rules for making and removing it.
struct SocketFile: Sendable {
    let path: String
    private let device: UInt64
    private let inode: UInt64

    /// Remembers which file is at a path; `nil` when none is.
    init?(path: String) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        self.path = path
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Removes the file, unless another has taken its place.
    func removeIfUnchanged() {
        guard let now = SocketFile(path: path), now.device == device, now.inode == inode else {
            return
        }
        // A file that cannot be removed is a dead socket, which the next listener replaces.
        _ = unsafe unlink(path)
    }

    /// Listens at a path, replacing a socket nobody listens on and nothing else.
    static func listen(at path: String) throws(SystemError) -> OwnedDescriptor {
        // Two that start at once must not each remove the other's fresh socket: the folder is
        // locked meanwhile. The lock is advisory and the folder may not be ours, so a lock that
        // somebody keeps does not stop us for long.
        let folder = lockFolder(of: path)
        defer { withExtendedLifetime(folder) {} }
        try removeDead(path)
        let result = unsafe croost_listen_unix(path, Listener.backlog)
        guard result >= 0 else {
            throw Listener.failure(.unix(path: path), Errno(rawValue: -result))
        }
        return OwnedDescriptor(FileDescriptor(rawValue: result))
    }

    /// Locks the folder a path lies in, for at most half a second's trying.
    private static func lockFolder(of path: String) -> FolderLock? {
        let folder = FilePath(path).removingLastComponent()
        let name = folder.isEmpty ? "." : folder.string
        // SAFETY: a path and flags; O_DIRECTORY refuses what is no folder.
        let result = unsafe open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard result >= 0 else { return nil }
        let lock = FolderLock(OwnedDescriptor(FileDescriptor(rawValue: result)))
        for _ in 0..<50 {
            if flock(result, LOCK_EX | LOCK_NB) == 0 { break }
            // No descriptors: a pause of 10 ms.
            _ = poll(nil, 0, 10)
        }
        return lock
    }

    /// Removes the socket of a process that is gone.
    private static func removeDead(_ path: String) throws(SystemError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw SystemError(
                .listen, errno: .fileExists,
                "cannot listen on unix:\(path): a file that is no socket is there; remove it or "
                    + "choose another path")
        }
        let result = unsafe croost_connect_unix(path, 1000)
        if result >= 0 { _ = close(result) }
        guard result == -ECONNREFUSED else {
            throw SystemError(
                .listen, errno: .addressInUse,
                "cannot listen on unix:\(path): somebody listens there already; stop them or "
                    + "choose another path")
        }
        // When it cannot be removed, bind(2) says so.
        _ = unsafe unlink(path)
    }
}

/// A locked folder, unlocked when its descriptor is closed with the last reference.
private final class FolderLock {
    private let owned: OwnedDescriptor

    init(_ owned: consuming OwnedDescriptor) {
        self.owned = owned
    }
}
