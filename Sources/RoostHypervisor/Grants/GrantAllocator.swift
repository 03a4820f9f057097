public import RoostMemory

/// Grants pages of this domain to one peer, in the shape of Linux's `/dev/xen/gntalloc`.
///
/// A page is claimed, which grants it, and released, which ends the grant; what lies in it stays
/// in its window meanwhile. A page comes zeroed the first time it is claimed; later it holds what
/// this pair of domains left there. One thread uses an allocator; ending it ends its grants.
public protocol GrantAllocator: ~Copyable, Sendable {
    /// Where the pages lie in this process.
    var window: PageWindow { get }

    /// How many pages are claimed.
    var claimedCount: Int { get }

    /// Claims a page.
    ///
    /// - Throws: `HypervisorError` of kind `noGrants` when all are claimed, or `system`.
    mutating func claim(_ access: GrantAccess) throws(HypervisorError) -> GrantedPage

    /// Claims pages that lie behind each other in the window, as a ring's have to.
    ///
    /// It throws `HypervisorError` of kind `noGrants` when no such run is free, or `system`. The first
    /// page is answered; the others follow it in page and in reference.
    mutating func claimRun(
        count: Int, _ access: GrantAccess
    ) throws(HypervisorError) -> GrantedPage

    /// Ends a grant, unless the peer still uses the page.
    ///
    /// - Returns: Whether it ended. If not, the page stays claimed and granted, and the call is to
    ///   be repeated later: a page is never freed under its peer.
    mutating func release(_ page: GrantedPage) -> Bool

    /// Whether the peer has the page mapped now.
    borrowing func isInUse(_ page: GrantedPage) -> Bool
}
