public import SystemPackage

/// A failure of what the host does around the engines.
public struct HostError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, for a caller to switch on.
    public enum Kind: Sendable {
        /// A certificate, key or authority file cannot be used.
        case identity
        /// A connection could not be made, or a port not be listened on.
        case connection
        /// The peer is not who it should be, or cannot prove it.
        case verification
        /// The peer refused our certificate, to speak TLS 1.3, or to do what it was asked.
        case refused
        /// An established connection ended otherwise than by the peer's own closing.
        case interrupted
        /// A guest's program cannot be started, or ended before it should.
        case guest
        /// A control socket cannot be made or used, or its answer cannot.
        case control
        /// Nobody runs what was asked for.
        case absent
        /// What was asked for has left its socket behind, and its process is gone.
        case dead
        /// What was asked for does not answer in time.
        case timeout
        /// A disk cannot be served, connected or attached as it was asked for.
        case disk
        /// A configuration file cannot be read, or asks for what cannot be.
        case configuration
        /// A router cannot be run as it was asked for.
        case network
        /// The caller stopped what it was waiting for.
        case cancelled
    }

    /// What went wrong.
    public let kind: Kind
    /// The file concerned, where one is.
    public let path: String?
    /// The system's reason, where the system refused.
    public let errno: Errno?
    /// One sentence: what was done to what, why it failed, what to do about it.
    public let description: String

    package init(
        _ kind: Kind, path: String? = nil, errno: Errno? = nil, _ description: String
    ) {
        self.kind = kind
        self.path = path
        self.errno = errno
        self.description = description
    }
}
