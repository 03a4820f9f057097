public import RoostMemory

/// Maps and copies pages that another domain has granted, in the shape of Linux's `/dev/xen/gntdev`.
///
/// What is mapped together lives and dies together. One thread uses a mapper; ending it unmaps
/// everything.
public protocol GrantMapper: ~Copyable, Sendable {
    /// Maps grants side by side, in one call for each run that the granter has side by side.
    ///
    /// - Parameters:
    ///   - references: Which grants, at least one.
    ///   - access: Whether they are to be written; a grant to read cannot be.
    ///   - window: Where to.
    ///   - page: The first page there; they follow each other.
    /// - Returns: What ``unmap(_:)`` takes.
    /// - Throws: `HypervisorError` of kind `grant` when any of them cannot be mapped; then none
    ///   is. `system` when the system refuses the memory.
    mutating func map(
        _ references: Span<GrantReference>, _ access: GrantAccess, into window: PageWindow,
        at page: Int
    ) throws(HypervisorError) -> GrantMapping

    /// Unmaps all that was mapped by one call.
    ///
    /// - Throws: `HypervisorError` of kind `grant` when there is no such mapping: a part of one
    ///   cannot be unmapped.
    mutating func unmap(_ mapping: GrantMapping) throws(HypervisorError)

    /// Copies bytes between grants and this domain's memory, without mapping anything.
    ///
    /// - Parameters:
    ///   - copies: What to copy.
    ///   - window: Where this domain's bytes lie.
    ///   - failures: For each copy, whether it failed; as long as `copies`.
    /// - Returns: Whether all were done.
    mutating func copy(
        _ copies: Span<GrantCopy>, window: PageWindow, failures: inout MutableSpan<Bool>
    ) -> Bool

    /// How many pages are mapped.
    var mappedCount: Int { get }
}

/// What one call of ``GrantMapper/map(_:_:into:at:)`` has mapped.
public struct GrantMapping: Hashable, Sendable, BitwiseCopyable {
    /// The mapper's own name for it.
    public let handle: UInt32
    /// The first page in the window.
    public let page: Int32
    /// How many pages.
    public let count: Int32

    package init(handle: UInt32, page: Int32, count: Int32) {
        self.handle = handle
        self.page = page
        self.count = count
    }
}

/// A copy between a granted page and this domain's own memory.
public struct GrantCopy: Hashable, Sendable, BitwiseCopyable {
    /// Which way it goes.
    public enum Direction: Sendable, BitwiseCopyable {
        case fromGrant, toGrant
    }

    /// Which way.
    public var direction: Direction
    /// The grant.
    public var reference: GrantReference
    /// The first byte in the granted page; no copy crosses its end.
    public var pageOffset: UInt16
    /// How many bytes, at most 4,096.
    public var byteCount: UInt16
    /// The first byte in this domain's window.
    public var windowOffset: Int

    /// Describes a copy.
    public init(
        _ direction: Direction, reference: GrantReference, pageOffset: UInt16, byteCount: UInt16,
        windowOffset: Int
    ) {
        self.direction = direction
        self.reference = reference
        self.pageOffset = pageOffset
        self.byteCount = byteCount
        self.windowOffset = windowOffset
    }
}
