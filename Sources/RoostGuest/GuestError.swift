internal import RoostMemory
internal import RoostSystem
public import SystemPackage

/// A failure to make a process's memory movable.
public struct GuestError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, for a caller to switch on.
    public enum Kind: Sendable {
        /// A block cannot be had: its name or size is wrong, or there is no memory.
        case block
        /// The socket cannot be listened on, or waiting on it failed.
        case socket
    }

    /// What went wrong.
    public let kind: Kind
    /// The system's reason, where it gave one.
    public let errno: Errno?
    /// One sentence: what was wrong and what to do about it.
    public let description: String

    init(_ kind: Kind, errno: Errno? = nil, _ description: String) {
        self.kind = kind
        self.errno = errno
        self.description = description
    }

    init(_ error: MemoryError) {
        self.init(.block, errno: error.errno, error.description)
    }

    init(_ error: SystemError) {
        self.init(.socket, errno: error.errno, error.description)
    }
}
