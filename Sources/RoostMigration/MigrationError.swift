public import SystemPackage

/// A failure of a migration, of its stream or of a peer.
public struct MigrationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, for a caller to switch on.
    public enum Kind: Sendable, Equatable {
        /// The bytes are not a migration stream that QEMU would write.
        case malformed
        /// The stream ends before it is complete.
        case truncated
        /// A dialect or feature of the format that is known and not handled here.
        case unsupported
        /// A size in the stream passes a limit of this host or of the caller.
        case limit
        /// The stream's RAM does not fit the RAM it is to be loaded into.
        case mismatch
        /// Reading or writing a descriptor failed.
        case transfer
        /// The other end reported a failure or broke the protocol.
        case peer
        /// The guest is gone, or did not do what it was told.
        case guest
        /// The guest dirties its memory faster than it can be sent.
        case notConverging
        /// The time that the caller gave is over.
        case timeout
        /// The caller asked to stop.
        case cancelled
    }

    /// What went wrong.
    public let kind: Kind
    /// The RAM block concerned, where one is.
    public let block: String?
    /// The page's byte offset inside the block, where a page is concerned.
    public let blockOffset: UInt64?
    /// Where in the stream, in bytes from its start, the offending item begins.
    public let streamOffset: UInt64?
    /// The system's reason, where the system refused.
    public let errno: Errno?
    /// One sentence: what was wrong, where, what to do about it.
    public let description: String

    package init(
        _ kind: Kind, block: String? = nil, blockOffset: UInt64? = nil,
        streamOffset: UInt64? = nil, errno: Errno? = nil, _ description: String
    ) {
        self.kind = kind
        self.block = block
        self.blockOffset = blockOffset
        self.streamOffset = streamOffset
        self.errno = errno
        self.description = description
    }

    /// The same error with a file's name in front, where it is about the file and leaves it out.
    func about(_ file: String) -> MigrationError {
        switch kind {
        case .malformed, .truncated, .unsupported, .limit, .mismatch: break
        default: return self
        }
        guard !description.contains(file) else { return self }
        return MigrationError(
            kind, block: block, blockOffset: blockOffset, streamOffset: streamOffset,
            errno: errno, "\(file): \(description)")
    }
}
