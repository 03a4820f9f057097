/// When a frontend connects, closes and begins anew, as Linux's does (`xen-blkfront`,
/// `xenbus.h`).
///
/// It is fed what is seen and answers what to do; it does no input or output.
///
///     backend seen    own state          what the frontend does
///     2               1                  publish, go to 3
///     2               4                  the backend began anew: disconnect, publish, go to 3
///     4               neither 3 nor 4    publish, go to 3, connect, go to 4
///     4               3                  connect, go to 4
///     4               4                  read the size anew
///     5               not 5              disconnect, go to 6
///     6               not 6              disconnect, go to 6
///     0 1 3 7 8, all else                nothing
public struct FrontendHandshake: Equatable, Sendable {
    /// The own state, as it stands in the store once the actions are done.
    public private(set) var state: XenbusState
    /// What was last seen of the backend.
    public private(set) var backend = ObservedState.state(.unknown)
    /// Whether there are rings to be ended.
    public private(set) var isAttached = false
    /// Whether the own nodes are gone, and so the device.
    public private(set) var isRemoved = false

    /// Begins with what the tool stack has written.
    ///
    /// - Parameter state: The own state in the store.
    public init(state: XenbusState = .initialising) {
        self.state = state
    }

    /// The backend's state node may have changed.
    ///
    /// - Parameter seen: What it is now.
    /// - Returns: What to do.
    public mutating func backendChanged(_ seen: ObservedState) -> [HandshakeAction] {
        guard !isRemoved else { return [] }
        backend = seen
        guard case .state(let seen) = seen else { return [] }
        switch (seen, state) {
        case (.initialisingWait, .initialising): return publish()
        case (.initialisingWait, .connected): return detach() + publish()
        case (.connected, .connected): return [.resize]
        case (.connected, .initialised): return connect()
        case (.connected, _): return detach() + publish() + connect()
        case (.closing, .closing), (.closing, .closed), (.closed, .closed): return []
        case (.closing, _), (.closed, _): return detach() + write(.closed)
        default: return []
        }
    }

    /// The own nodes are gone: the device was taken away.
    ///
    /// - Returns: What to do; nothing is written any more.
    public mutating func nodesRemoved() -> [HandshakeAction] {
        guard !isRemoved else { return [] }
        isRemoved = true
        state = .unknown
        return detach() + [.remove]
    }

    /// Ends the device from this end.
    ///
    /// - Returns: What to do; the backend lets go of the rings and closes too.
    public mutating func close() -> [HandshakeAction] {
        isRemoved ? [] : detach() + write(.closed)
    }

    /// Begins anew, from any state: after a closed backend, or a move to another host.
    ///
    /// - Returns: What to do; more follows when the backend waits.
    public mutating func reconnect() -> [HandshakeAction] {
        guard !isRemoved else { return [] }
        let actions = detach() + write(.initialising)
        guard backend == .state(.initialisingWait) else { return actions }
        return actions + publish()
    }

    /// Something that was to be done has failed.
    ///
    /// - Parameter reason: One sentence.
    /// - Returns: What to do instead of the rest.
    public mutating func fail(_ reason: String) -> [HandshakeAction] {
        guard !isRemoved else { return [] }
        return [.report(reason)] + detach() + write(.closing)
    }

    private mutating func publish() -> [HandshakeAction] {
        isAttached = true
        return [.publish] + write(.initialised)
    }

    private mutating func connect() -> [HandshakeAction] {
        isAttached = true
        return [.connect] + write(.connected)
    }

    private mutating func detach() -> [HandshakeAction] {
        guard isAttached else { return [] }
        isAttached = false
        return [.disconnect]
    }

    private mutating func write(_ new: XenbusState) -> [HandshakeAction] {
        guard state != new else { return [] }
        state = new
        return [.writeState(new)]
    }
}
