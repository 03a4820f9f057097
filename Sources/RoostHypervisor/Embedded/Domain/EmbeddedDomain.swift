internal import RoostMemory
internal import RoostSystem
internal import Synchronization
public import SystemPackage

/// A domain on the embedded hypervisor: what a guest or a backend does everything through.
///
/// It lives as long as its connection: when the last reference goes, which its allocators, mappers
/// and channels hold as well, or when its process ends, the hypervisor takes back all that it had.
public final class EmbeddedDomain: HypervisorDomain {
    /// The domain's own number.
    public let id: DomainID
    /// The domain's connection to the store, which ends with the hypervisor.
    public let store: StoreClient
    let control: ControlConnection
    /// What the hypervisor tells without a message (``DomainPage``).
    let page: PageWindow
    let segments: SegmentCache

    /// Whether the hypervisor is gone; nothing that it gave works again.
    ///
    /// Memory that is mapped stays readable and writable until it is let go. Of the two connections
    /// that end with the hypervisor either may be the first to notice.
    public var isLost: Bool { control.isLost || store.isLost }

    /// Readable once the hypervisor is gone, for the poll(2) of a thread; never to be read.
    public var lossDescriptor: FileDescriptor { control.lossDescriptor }

    /// Connects to a hypervisor.
    ///
    /// - Parameters:
    ///   - location: Where it is.
    ///   - name: What the domain is called in the store, at most 32 bytes.
    ///   - previous: The number that a domain of the same user had which is gone: it is given
    ///     again, so that its peers' channels and grants are open to this one.
    ///   - isPrivileged: Whether permissions and limits of the store do not hold for it, as for a
    ///     tool stack.
    /// - Throws: `HypervisorError` of kind `lost` when nobody answers there, or `system`.
    public convenience init(
        at location: HypervisorLocation, name: String, succeeding previous: DomainID? = nil,
        isPrivileged: Bool = false
    ) throws(HypervisorError) {
        let socket: StreamSocket
        do throws(SystemError) {
            socket = try StreamSocket.connect(to: .unix(path: location.socketPath))
        } catch {
            throw HypervisorError(
                .lost, errno: error.errno,
                "cannot reach the hypervisor: \(error.description); start roost hypervisor")
        }
        try self.init(socket, name: name, succeeding: previous, isPrivileged: isPrivileged)
    }

    /// Becomes a domain over a connected socket.
    init(
        _ socket: StreamSocket, name: String, succeeding previous: DomainID? = nil,
        isPrivileged: Bool = false
    ) throws(HypervisorError) {
        let control = try ControlConnection(socket)
        try control.start()
        do throws(HypervisorError) {
            var hello = ControlMessage(
                .hello, ControlMessage.version, UInt32(previous?.rawValue ?? 0), text: name)
            hello.words[2] = isPrivileged ? 1 : 0
            let answer = try control.ask(hello, .system, Self.greeting(previous))
            guard let number = UInt16(exactly: answer.last?.words[0] ?? 0), number > 0,
                let store = answer.descriptor(0), let page = answer.descriptor(1)
            else {
                throw HypervisorError(
                    .malformed, "cannot become a domain: the hypervisor's answer lacks something")
            }
            id = DomainID(rawValue: number)
            self.store = try Self.client(store)
            self.page = try SegmentCache.map(page.descriptor, pageCount: 1, isWritable: false)
            segments = try SegmentCache()
        } catch {
            control.close()
            throw error
        }
        self.control = control
    }

    private static func client(_ passed: PassedDescriptor) throws(HypervisorError) -> StoreClient {
        let owned: OwnedDescriptor
        do throws(Errno) {
            owned = try passed.duplicated()
        } catch {
            throw HypervisorError(
                .system, errno: error,
                "cannot use the store's connection: \(error); raise the limit on open files "
                    + "(ulimit -n)")
        }
        return try StoreClient(takingOver: owned)
    }

    private static func greeting(_ previous: DomainID?) -> String {
        guard let previous else { return "become a domain" }
        return "become domain \(previous) again"
    }

    /// Leaves the hypervisor, which takes back all it had, as if its process had ended.
    public func disconnect() {
        control.close()
    }

    /// Calls a closure once when the hypervisor is gone, on a thread of its own, at once if it is.
    ///
    /// - Parameter handler: What to call; it does not block.
    public func onLoss(_ handler: @escaping @Sendable () -> Void) {
        control.onLoss(handler)
    }

    /// Waits until the hypervisor is gone, or the task is cancelled.
    public func waitUntilLost() async {
        let (changes, continuation) = AsyncStream<Void>.makeStream()
        let key = control.onLoss { continuation.finish() }
        for await _ in changes {}
        control.removeLossHandler(key)
    }

    // MARK: Grants

    /// Makes a source of granted pages.
    ///
    /// - Parameters:
    ///   - peer: Who is to map them.
    ///   - pageLimit: How many pages it can have claimed at once, at least one.
    /// - Returns: The allocator, which holds the domain.
    /// - Throws: `HypervisorError` of kind `noGrants`, `system` or `lost`.
    public func makeAllocator(
        for peer: DomainID, pageLimit: Int
    ) throws(HypervisorError) -> EmbeddedGrantAllocator {
        try EmbeddedGrantAllocator.make(on: self, for: peer, pageLimit: pageLimit)
    }

    /// Makes what maps a domain's grants.
    ///
    /// - Parameter granter: Whose grants.
    /// - Returns: The mapper, which holds the domain.
    /// - Throws: `HypervisorError` of kind `system` or `lost`.
    public func makeMapper(of granter: DomainID) throws(HypervisorError) -> EmbeddedGrantMapper {
        guard !control.isLost else {
            throw ControlConnection.lost("map grants of domain \(granter)")
        }
        return try EmbeddedGrantMapper.make(on: self, of: granter)
    }

    // MARK: Events

    /// Makes a channel to which the peer can bind.
    ///
    /// - Throws: `HypervisorError` of kind `eventChannel`, `system` or `lost`.
    public func allocateUnbound(
        for peer: DomainID
    ) throws(HypervisorError) -> EmbeddedEventChannel {
        let answer = try control.ask(
            ControlMessage(.allocateUnbound, UInt32(peer.rawValue)), .eventChannel,
            "make an event channel for domain \(peer)")
        return try EmbeddedEventChannel.make(from: answer, on: self)
    }

    /// Binds to a channel that a peer has made for this domain.
    ///
    /// The new channel has an event pending at once, as Xen's have.
    ///
    /// - Throws: `HypervisorError` of kind `eventChannel`, `system` or `lost`.
    public func bind(
        to peer: DomainID, port: EventPort
    ) throws(HypervisorError) -> EmbeddedEventChannel {
        let answer = try control.ask(
            ControlMessage(.bind, UInt32(peer.rawValue), port.rawValue), .eventChannel,
            "bind to port \(port) of domain \(peer)")
        return try EmbeddedEventChannel.make(from: answer, on: self)
    }

    deinit {
        control.close()
    }
}
