/// A domain's own view of its hypervisor: what a guest or a backend does everything through.
///
/// The embedded hypervisor and Xen each have one; frontends and backends are generic over it and
/// know neither. Allocators, mappers and channels made here belong to the thread that made them;
/// the methods themselves may be called on any thread.
public protocol HypervisorDomain: AnyObject, Sendable {
    associatedtype Allocator: GrantAllocator & ~Copyable
    associatedtype Mapper: GrantMapper & ~Copyable
    associatedtype Channel: EventChannel & ~Copyable
    associatedtype DomainStore: Store

    /// The domain's own number.
    var id: DomainID { get }

    /// The domain's connection to the store.
    var store: DomainStore { get }

    /// Whether the hypervisor is gone; nothing that it gave works again.
    var isLost: Bool { get }

    /// Makes a source of granted pages.
    ///
    /// - Parameters:
    ///   - peer: Who is to map them.
    ///   - pageLimit: How many pages it can have claimed at once, at least one.
    /// - Returns: The source, for the calling thread.
    /// - Throws: `HypervisorError` of kind `noGrants`, `system` or `lost`.
    func makeAllocator(for peer: DomainID, pageLimit: Int) throws(HypervisorError) -> Allocator

    /// Makes what maps a domain's grants.
    ///
    /// - Parameter granter: Whose grants.
    /// - Returns: The mapper, for the calling thread.
    /// - Throws: `HypervisorError` of kind `system` or `lost`.
    func makeMapper(of granter: DomainID) throws(HypervisorError) -> Mapper

    /// Makes a channel to which the peer can bind.
    ///
    /// - Throws: `HypervisorError` of kind `eventChannel`, `system` or `lost`.
    func allocateUnbound(for peer: DomainID) throws(HypervisorError) -> Channel

    /// Binds to a channel that a peer has made for this domain.
    ///
    /// The new channel has an event pending at once, as Xen's have.
    ///
    /// - Throws: `HypervisorError` of kind `eventChannel`, `system` or `lost`.
    func bind(to peer: DomainID, port: EventPort) throws(HypervisorError) -> Channel
}
