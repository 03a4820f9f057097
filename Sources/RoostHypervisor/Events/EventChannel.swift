public import SystemPackage

/// The number of a domain's end of an event channel.
public struct EventPort: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt32

    /// Names a port by its number.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }
}

extension EventPort: CustomStringConvertible {
    /// The number in decimal, as the store's keys have it.
    public var description: String { "\(rawValue)" }
}

/// A domain's end of an event channel, in the shape of Linux's `/dev/xen/evtchn`.
///
/// Events are levels: several that come before one is taken are one. Taking an event masks the
/// channel; what comes then is remembered until ``unmask()``, which is called once the work that
/// the event announced is done. An event says "look", and may come without a reason. One thread
/// uses a channel; ending it closes the port, and the peer's falls back to unbound.
public protocol EventChannel: ~Copyable, Sendable {
    /// This end's number.
    var port: EventPort { get }

    /// Readable once an event is pending and the channel is not masked; for poll(2) only.
    ///
    /// Negative while the channel is masked, which poll(2) passes over.
    var descriptor: FileDescriptor { get }

    /// Tells the peer to look.
    ///
    /// - Throws: `HypervisorError` of kind `eventChannel` when there is no peer any more.
    borrowing func notify() throws(HypervisorError)

    /// Takes a pending event and masks the channel, without waiting.
    ///
    /// - Returns: Whether an event was pending.
    mutating func takePending() -> Bool

    /// Lets events through again.
    mutating func unmask()
}
