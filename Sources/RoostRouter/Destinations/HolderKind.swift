/// Who keeps an entry alive: each counted reference says what it is for.
public enum HolderKind: UInt8, BitwiseCopyable, CaseIterable, Sendable, CustomStringConvertible {
    /// A route or a group of paths.
    case route = 1
    /// An exception of a next hop.
    case exception = 2
    /// The entry stacked on it.
    case child = 3
    /// A packet that waits.
    case queuedPacket = 4
    /// A neighbour's resolution under way.
    case pendingResolution = 5
    /// Somebody who looks on from the control plane.
    case control = 6
    /// A flow or a session.
    case session = 7

    /// The kind's words, as listings show them.
    public var description: String {
        switch self {
        case .route: "route"
        case .exception: "exception"
        case .child: "child"
        case .queuedPacket: "queued packet"
        case .pendingResolution: "pending resolution"
        case .control: "control"
        case .session: "session"
        }
    }
}

/// One counted reference, as a listing shows it.
public struct DestinationHolder: BitwiseCopyable, Equatable, Sendable {
    /// The entry that is held.
    public let handle: DestinationHandle
    /// What it is held for.
    public let kind: HolderKind
    /// Whose it is, in the numbering of its kind: a route's, a queue's, a session's number.
    public let owner: UInt64
    /// Since which tick.
    public let since: UInt64

    /// How many ticks it has been held.
    public func age(at now: UInt64) -> UInt64 { now > since ? now - since : 0 }
}
