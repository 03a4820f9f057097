/// What may be done to a port by hand.
public enum PortChange: String, CaseIterable, Sendable {
    /// Frames pass again.
    case up
    /// No frames pass, and what was learned through the port is forgotten.
    case down
    /// It is taken from the router for good.
    case remove
}

/// What a change by hand has done to a port.
public struct PortChangeResult: Equatable, Sendable {
    /// What was asked for.
    public var change: PortChange
    /// The port's name.
    public var port: String
    /// The name of its namespace.
    public var namespace: String
    /// How it was before.
    public var before: PortSnapshot.State
    /// How it is now; nil when it is no more.
    public var after: PortSnapshot.State?
    /// Whether anything is otherwise than before: that it stays down whatever its device does, too.
    public var isChanged: Bool
    /// How many routes by it were withdrawn, or are there again.
    public var routeCount: Int

    /// Describes a change.
    public init(
        _ change: PortChange, of port: String, in namespace: String, before: PortSnapshot.State,
        after: PortSnapshot.State?, isChanged: Bool, routeCount: Int
    ) {
        self.change = change
        self.port = port
        self.namespace = namespace
        self.before = before
        self.after = after
        self.isChanged = isChanged
        self.routeCount = routeCount
    }
}
