public import SystemPackage

/// A failure of the hypervisor, of its store, or of what a domain asked of it.
public struct HypervisorError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, for a caller to switch on.
    public enum Kind: Sendable, Equatable {
        /// A grant cannot be made, mapped, copied or ended.
        case grant
        /// There are no free grants: some have to be ended first.
        case noGrants
        /// An event channel cannot be made, bound or used.
        case eventChannel
        /// The store refused; `errno` is its reason.
        case store
        /// What came over a connection is not what the protocol allows.
        case malformed
        /// The connection to the hypervisor is gone, and with it all that it gave.
        case lost
        /// The system refused memory, a descriptor or a thread.
        case system
    }

    /// What went wrong.
    public let kind: Kind
    /// The reason of the system or of the store, where one was given.
    public let errno: Errno?
    /// One sentence: what was done to what, why it failed, what to do about it.
    public let description: String

    package init(_ kind: Kind, errno: Errno? = nil, _ description: String) {
        self.kind = kind
        self.errno = errno
        self.description = description
    }
}
