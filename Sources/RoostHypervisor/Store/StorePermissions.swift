/// Who may do what with a node of the store.
public struct StorePermissions: Hashable, Sendable {
    /// What a domain may do (`xs_wire.h` and xenstore's `n`, `r`, `w` and `b`).
    public enum Access: Character, Sendable, CaseIterable {
        case none = "n"
        case read = "r"
        case write = "w"
        case both = "b"
    }

    /// A domain and what it may do.
    public struct Entry: Hashable, Sendable {
        /// Who.
        public var domain: DomainID
        /// What it may do.
        public var access: Access

        /// Describes what a domain may do.
        public init(_ access: Access, _ domain: DomainID) {
            self.domain = domain
            self.access = access
        }
    }

    /// Who owns the node and may do everything.
    public var owner: DomainID
    /// What domains may do that are not listed.
    public var others: Access
    /// What further domains may do.
    public var listed: [Entry]

    /// Describes a node's permissions.
    public init(owner: DomainID, others: Access = .none, listed: [Entry] = []) {
        self.owner = owner
        self.others = others
        self.listed = listed
    }
}
