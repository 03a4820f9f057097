package import RoostMemory

/// A failure of the router.
public struct RouterError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, for a caller to switch on.
    public enum Kind: Sendable, Equatable {
        /// A value that cannot be: a prefix, an address, a name.
        case invalidValue
        /// What is named is not there.
        case notFound
        /// What is named is there already.
        case exists
        /// A bound or a quota is reached.
        case limit
        /// A port cannot be opened or used.
        case port
        /// There is no memory.
        case memory
        /// The caller no longer wants it.
        case cancelled
    }

    /// What went wrong.
    public let kind: Kind
    /// What was done to what, why it failed and what to do about it.
    public let description: String
    /// What of the router's configuration it is about, where it can be told.
    package let fault: ConfigurationFault?

    /// An error with its message.
    public init(_ kind: Kind, _ description: String) {
        self.init(kind, description, about: nil)
    }

    init(_ kind: Kind, _ description: String, about fault: ConfigurationFault?) {
        self.kind = kind
        self.description = description
        self.fault = fault
    }

    /// The error with the part of the configuration that asked for what failed.
    func about(_ place: ConfigurationFault.Place, _ key: String? = nil) -> RouterError {
        guard fault == nil, kind != .cancelled else { return self }
        return ConfigurationFault(place, key, description).error(kind)
    }

    /// What a start ends with that the caller has cancelled.
    static let cancelled = RouterError(.cancelled, "the router's start was cancelled")

    /// The system's refusal to give memory for a table.
    package init(_ error: MemoryError, for table: String) {
        self.init(.memory, "\(error.description) (\(table))")
    }
}
