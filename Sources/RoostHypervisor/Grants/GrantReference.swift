/// The number of an entry in a domain's grant table.
public struct GrantReference: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    /// The number.
    public let rawValue: UInt32

    /// Names a grant by its number.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }
}

extension GrantReference: CustomStringConvertible {
    /// The number in decimal, as the store's keys have it.
    public var description: String { "\(rawValue)" }
}

/// What the peer may do with a granted page.
public enum GrantAccess: Sendable, Equatable {
    case readOnly, readWrite
}

/// A page that a domain has granted.
public struct GrantedPage: Hashable, Sendable, BitwiseCopyable {
    /// What the peer names it by.
    public let reference: GrantReference
    /// Where it lies in its allocator's window.
    public let page: Int

    package init(reference: GrantReference, page: Int) {
        self.reference = reference
        self.page = page
    }
}
