package import SystemPackage

/// A refusal of the system: to name, connect, listen, transfer or start something.
package struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, for a caller to switch on.
    package enum Kind: Sendable {
        /// The text does not name an endpoint, or names one that cannot exist.
        case address
        /// Nobody answers at an endpoint.
        case connect
        /// An endpoint cannot be listened on.
        case listen
        /// Sending, receiving or accepting failed.
        case transfer
        /// The peer is not who may speak here, or cannot be known.
        case credentials
        /// A thread or a program cannot be started.
        case thread
        /// A file cannot be written, or must not be.
        case file
        /// The time given is over.
        case timeout
        /// The caller asked to stop.
        case cancelled
    }

    /// What went wrong.
    package let kind: Kind
    /// The system's reason, where it gave one.
    package let errno: Errno?
    /// One sentence: what was done to what, why it failed, what to do about it.
    package let description: String

    package init(_ kind: Kind, errno: Errno? = nil, _ description: String) {
        self.kind = kind
        self.errno = errno
        self.description = description
    }
}
