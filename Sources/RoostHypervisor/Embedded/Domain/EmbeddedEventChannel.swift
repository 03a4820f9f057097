internal import RoostMemory
internal import RoostSystem
public import SystemPackage

/// A domain's end of an event channel of the embedded hypervisor.
///
/// Two event descriptors make a channel, one for each direction; notifying is a write to the peer's
/// and asks nobody.
public struct EmbeddedEventChannel: EventChannel, ~Copyable {
    /// This end's number.
    public let port: EventPort
    private let domain: EmbeddedDomain
    /// The domain's own, at hand for ``notify()``.
    private let page: PageWindow
    /// What the peer signals.
    private let own: EventCounter
    /// What the peer waits for.
    private let peer: EventCounter
    private var isMasked = false

    private init(
        _ port: EventPort, _ domain: EmbeddedDomain, own: consuming EventCounter,
        peer: consuming EventCounter
    ) {
        self.port = port
        self.domain = domain
        page = domain.page
        self.own = own
        self.peer = peer
    }

    /// Makes the end of a channel that the hypervisor has given.
    static func make(
        from answer: ControlConnection.Answer, on domain: EmbeddedDomain
    ) throws(HypervisorError) -> EmbeddedEventChannel {
        let number = answer.last?.words[0] ?? 0
        guard number > 0, number <= HypervisorLimits.portCount,
            let own = answer.descriptor(0), let peer = answer.descriptor(1)
        else {
            throw HypervisorError(
                .malformed, "cannot use an event channel: the hypervisor's answer lacks something")
        }
        do throws(Errno) {
            return EmbeddedEventChannel(
                EventPort(rawValue: number), domain,
                own: try EventCounter.adopt(own.duplicated()),
                peer: try EventCounter.adopt(peer.duplicated()))
        } catch {
            domain.control.post(ControlMessage(.closePort, number))
            throw HypervisorError(
                .system, errno: error,
                "cannot use an event channel: \(error); raise the limit on open files (ulimit -n)")
        }
    }

    /// Readable once an event is pending and the channel is not masked; for poll(2) only.
    public var descriptor: FileDescriptor {
        isMasked ? FileDescriptor(rawValue: -1) : own.descriptor
    }

    /// Tells the peer to look.
    ///
    /// - Throws: `HypervisorError` of kind `eventChannel` when nobody has bound the other end or
    ///   who had is gone, `lost` when the hypervisor is.
    public borrowing func notify() throws(HypervisorError) {
        let state = page.loadAcquiring(at: DomainPage.offset(of: port))
        guard state == DomainPage.PortState.bound.rawValue, !domain.control.isLost else {
            throw refusal()
        }
        peer.signal()
    }

    private borrowing func refusal() -> HypervisorError {
        guard !domain.control.isLost else {
            return ControlConnection.lost("notify by port \(port)")
        }
        return HypervisorError(
            .eventChannel, errno: .socketNotConnected,
            "cannot notify by port \(port): nobody is bound to it; wait for the peer to come back")
    }

    /// Takes a pending event and masks the channel, without waiting.
    ///
    /// - Returns: Whether an event was pending; never while the channel is masked.
    public mutating func takePending() -> Bool {
        guard !isMasked, own.take() else { return false }
        isMasked = true
        return true
    }

    /// Lets events through again.
    public mutating func unmask() {
        isMasked = false
    }

    deinit {
        domain.control.post(ControlMessage(.closePort, port.rawValue))
    }
}
