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
    }

    /// What went wrong.
    public let kind: Kind
    /// What was done to what, why it failed and what to do about it.
    public let description: String

    /// An error with its message.
    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// The system's refusal to give memory for a table.
    package init(_ error: MemoryError, for table: String) {
        self.init(.memory, "\(error.description) (\(table))")
    }
}
