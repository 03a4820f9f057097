internal import Glibc
internal import SystemPackage

/// The lock file beside a unix socket: who holds it owns the path.
///
/// `PATH.lock` is held (flock(2)) as long as its process listens, so the kernel says whether somebody
/// does, also after a kill; nobody has to connect to find out. It tells the process and the socket's
/// inode in one line, so that only a socket of ours is ever taken away.
struct SocketLock: ~Copyable, Sendable {
    /// What the lock file of one who listened says.
    struct Owner: Equatable {
        let processID: Int32
        let inode: UInt64
    }

    /// Why a lock cannot be had.
    enum Refusal: Error {
        /// Somebody listens: the process, where it has said so.
        case held(Int32?)
        /// There is no lock file, and none was to be made.
        case missing
        /// The lock file is none of ours: why, as a sentence goes on.
        case foreign(String)
        /// The system refused.
        case failed(Errno)
    }

    /// What every lock file of ours begins with.
    private static let mark = "roost listens: "
    /// The most bytes of a lock file of ours.
    private static let byteLimit = 80

    private let path: String
    private let file: OwnedDescriptor
    /// Who held it last; `nil` for a new or an empty one.
    let owner: Owner?
    /// Whether the file goes away with the lock: an empty one that we did not make stays.
    private let isOurs: Bool

    private init(
        _ path: String, _ file: consuming OwnedDescriptor, _ owner: Owner?, isOurs: Bool
    ) {
        self.path = path
        self.file = file
        self.owner = owner
        self.isOurs = isOurs
    }

    /// The lock file of a socket.
    static func path(of socket: String) -> String { socket + ".lock" }

    /// Takes the lock of a socket, without waiting.
    ///
    /// - Parameters:
    ///   - socket: The socket's path.
    ///   - makes: Whether a missing lock file is made.
    /// - Returns: The lock.
    /// - Throws: `Refusal`.
    static func take(of socket: String, makes: Bool) throws(Refusal) -> SocketLock {
        let path = path(of: socket)
        while true {
            let opened = try open(path, makes: makes)
            let (file, isNew) = (opened.owned.descriptor, opened.isNew)
            let owner = isNew ? nil : try owner(file, path)
            guard flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 else {
                let reason = Errno(rawValue: errno)
                guard reason == .wouldBlock || reason == .interrupted else {
                    throw .failed(reason)
                }
                throw .held(owner?.processID)
            }
            // Who held it may have taken it away between our open and our lock.
            guard let here = FileFacts(at: path), let own = FileFacts(of: file),
                here.isSameFile(as: own)
            else { continue }
            // What it said before the lock was ours may have been another's.
            let last = isNew ? nil : try self.owner(file, path)
            return SocketLock(path, opened.take(), last, isOurs: isNew || last != nil)
        }
    }

    /// A lock file that was opened.
    private struct Opened: ~Copyable {
        let owned: OwnedDescriptor
        let isNew: Bool

        init(_ descriptor: Int32, isNew: Bool) {
            owned = OwnedDescriptor(FileDescriptor(rawValue: descriptor))
            self.isNew = isNew
        }

        consuming func take() -> OwnedDescriptor { owned }
    }

    private static func open(_ path: String, makes: Bool) throws(Refusal) -> Opened {
        let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        while true {
            // SAFETY: a path and flags, for the call.
            let old = unsafe Glibc.open(path, flags)
            if old >= 0 { return Opened(old, isNew: false) }
            let reason = Errno(rawValue: errno)
            switch reason {
            case .noSuchFileOrDirectory: break
            case .tooManySymbolicLinkLevels:
                throw .foreign("\(path) is a symbolic link")
            case .isDirectory: throw .foreign("\(path) is a folder")
            case .noSuchAddressOrDevice: throw .foreign("\(path) is a socket")
            default: throw .failed(reason)
            }
            guard makes else { throw .missing }
            let new = unsafe Glibc.open(path, flags | O_CREAT | O_EXCL, 0o600)
            if new >= 0 { return Opened(new, isNew: true) }
            guard errno == EEXIST else { throw .failed(Errno(rawValue: errno)) }
        }
    }

    /// What an old lock file says; `nil` for an empty one.
    private static func owner(
        _ file: FileDescriptor, _ path: String
    ) throws(Refusal) -> Owner? {
        guard let facts = FileFacts(of: file), facts.kind == .file else {
            throw .foreign("\(path) is no file")
        }
        guard facts.userID == geteuid() || facts.userID == 0 || geteuid() == 0 else {
            throw .foreign("\(path) belongs to user \(facts.userID)")
        }
        guard facts.byteCount > 0 else { return nil }
        _ = lseek(file.rawValue, 0, SEEK_SET)
        guard facts.byteCount <= byteLimit, let text = SmallFile.text(of: file),
            text.hasPrefix(mark)
        else { throw .foreign("\(path) is a file that Roost did not make") }
        let words = text.dropFirst(mark.count).split { " \n".contains($0) }
        // "process 123 inode 456"
        guard words.count == 4, let processID = Int32(words[1]), let inode = UInt64(words[3]) else {
            return Owner(processID: 0, inode: 0)
        }
        return Owner(processID: processID, inode: inode)
    }

    /// Writes down who holds the lock, and the socket that is owned by it.
    borrowing func tell(_ socket: FileFacts) {
        let text = "\(Self.mark)process \(getpid()) inode \(socket.inode)\n"
        // A full disk leaves an empty file, which does as well.
        _ = ftruncate(file.descriptor.rawValue, 0)
        _ = lseek(file.descriptor.rawValue, 0, SEEK_SET)
        try? SmallFile.write(text, to: file.descriptor)
    }

    /// Takes the lock file away, after the socket has gone; the lock ends with the value.
    consuming func remove() {
        guard isOurs, let here = FileFacts(at: path), let own = FileFacts(of: file.descriptor),
            here.isSameFile(as: own)
        else { return }
        _ = unsafe unlink(path)
    }

    /// The process that says it holds a socket's lock.
    ///
    /// - Parameter socket: The socket's path.
    /// - Returns: Its number; `nil` where the lock file does not tell.
    static func holder(of socket: String) -> Int32? {
        do throws(Refusal) {
            let opened = try open(path(of: socket), makes: false)
            let owner = try owner(opened.owned.descriptor, path(of: socket))
            return owner.flatMap { $0.processID > 0 ? $0.processID : nil }
        } catch {
            return nil
        }
    }

    /// Whether somebody holds a socket's lock.
    ///
    /// - Parameter socket: The socket's path.
    /// - Returns: Whether somebody does.
    static func isHeld(of socket: String) -> Bool {
        do throws(Refusal) {
            // Held for as long as it takes to find out: who takes it at that moment tries again.
            let lock = try take(of: socket, makes: false)
            withExtendedLifetime(lock) {}
            return false
        } catch {
            switch error {
            case .held, .failed(.permissionDenied): return true
            case .missing, .foreign, .failed: return false
            }
        }
    }
}
