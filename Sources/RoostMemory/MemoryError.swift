public import SystemPackage

/// A failure to get, map or release memory.
public struct MemoryError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, for a caller to switch on.
    public enum Kind: Sendable {
        /// The system refused to map, size or release memory.
        case mapping
        /// The length asked for cannot be mapped: not positive, or not whole pages.
        case length
        /// The file could shrink while it is mapped.
        case unsealed
        /// Reading from or writing to a descriptor failed.
        case transfer
    }

    /// What went wrong.
    public let kind: Kind
    /// The system's reason, where the system refused.
    public let errno: Errno?
    /// One sentence: what was done to what, why it failed, what to do about it.
    public let description: String

    package init(_ kind: Kind, errno: Errno? = nil, _ description: String) {
        self.kind = kind
        self.errno = errno
        self.description = description
    }
}
