/// When a backend connects, closes and lets its device go, as Linux's does (`xen-blkback`,
/// `xenbus.h`).
///
/// It is fed what is seen and answers what to do; it does no input or output.
///
///     frontend seen   own state   what the backend does
///     1               6           announce, go to 2
///     3 or 4          not 4       disconnect what is left, connect, go to 4
///     5               any         go to 5
///     6               any         disconnect, go to 6; if `online` is 0, remove
///     0               any         disconnect, go to 6, remove
///     2 7 8, all else             report, go to 5
public struct BackendHandshake: Equatable, Sendable {
    /// The own state, as it stands in the store once the actions are done.
    public private(set) var state: XenbusState
    /// What was last seen of the frontend.
    public private(set) var frontend = ObservedState.state(.unknown)
    /// The device's `online` node: whether it stays when the frontend closes.
    public private(set) var isOnline: Bool
    /// Whether there are rings to be ended.
    public private(set) var isAttached = false
    /// Whether the device is gone.
    public private(set) var isRemoved = false

    /// Begins with what stands in the store.
    ///
    /// - Parameters:
    ///   - state: The own state; other than 1 when a backend was there before.
    ///   - isOnline: The own `online`.
    public init(state: XenbusState = .initialising, isOnline: Bool = true) {
        self.state = state
        self.isOnline = isOnline
    }

    /// Begins to serve the device.
    ///
    /// - Returns: What to do: a new device waits for its frontend; where a backend was before, a
    ///   frontend that was connected to it has to close and begin anew.
    public mutating func start() -> [HandshakeAction] {
        guard !isRemoved else { return [] }
        switch state {
        case .initialising, .initialisingWait: return [.announce] + write(.initialisingWait)
        default: return write(.closed)
        }
    }

    /// The frontend's state node may have changed.
    ///
    /// - Parameter seen: What it is now.
    /// - Returns: What to do.
    public mutating func frontendChanged(_ seen: ObservedState) -> [HandshakeAction] {
        guard !isRemoved else { return [] }
        frontend = seen
        guard case .state(let seen) = seen else {
            return fail("the frontend's state is no number from 0 to 8; restart its driver")
        }
        switch seen {
        case .initialising:
            guard state == .closed else { return [] }
            return [.announce] + write(.initialisingWait)
        case .initialised, .connected:
            guard state != .connected else { return [] }
            let actions = detach()
            isAttached = true
            return actions + [.connect] + write(.connected)
        case .closing:
            return write(.closing)
        case .closed:
            let actions = detach() + write(.closed)
            return isOnline ? actions : actions + remove()
        case .unknown:
            return detach() + write(.closed) + remove()
        case .initialisingWait, .reconfiguring, .reconfigured:
            return fail(
                "the frontend went to state \(seen.rawValue), which no disk's has; restart its "
                    + "driver")
        }
    }

    /// The own `online` node may have changed.
    ///
    /// - Parameter isOnline: What it is now.
    /// - Returns: What to do: a device that is closed already goes when it is taken offline.
    public mutating func onlineChanged(_ isOnline: Bool) -> [HandshakeAction] {
        self.isOnline = isOnline
        guard !isRemoved, !isOnline, state == .closed, frontend == .state(.closed) else {
            return []
        }
        return remove()
    }

    /// The own nodes are gone: the device was taken away.
    ///
    /// - Returns: What to do; nothing is written any more.
    public mutating func nodesRemoved() -> [HandshakeAction] {
        guard !isRemoved else { return [] }
        state = .unknown
        return detach() + remove()
    }

    /// The disk has another size now.
    ///
    /// - Returns: What to do: nothing unless connected, for the size is written then.
    public func resize() -> [HandshakeAction] {
        state == .connected && !isRemoved ? [.resize] : []
    }

    /// Ends the device from this end: the frontend is asked to close.
    ///
    /// - Returns: What to do; the frontend answers with 6.
    public mutating func close() -> [HandshakeAction] {
        isRemoved || state == .closed ? [] : write(.closing)
    }

    /// Something that was to be done has failed.
    ///
    /// - Parameter reason: One sentence.
    /// - Returns: What to do instead of the rest.
    public mutating func fail(_ reason: String) -> [HandshakeAction] {
        guard !isRemoved else { return [] }
        return [.report(reason)] + detach() + write(.closing)
    }

    private mutating func detach() -> [HandshakeAction] {
        guard isAttached else { return [] }
        isAttached = false
        return [.disconnect]
    }

    private mutating func remove() -> [HandshakeAction] {
        isRemoved = true
        return [.remove]
    }

    private mutating func write(_ new: XenbusState) -> [HandshakeAction] {
        guard state != new else { return [] }
        state = new
        return [.writeState(new)]
    }
}
