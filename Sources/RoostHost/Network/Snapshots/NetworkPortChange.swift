public import RoostRouter

/// What a change by hand has done to a router's port.
public struct NetworkPortChange: Codable, Equatable, Sendable {
    /// The port's name.
    public var port: String
    /// The name of its namespace.
    public var namespace: String
    /// What was asked for: `up`, `down` or `remove`.
    public var change: String
    /// `up` or `down`.
    public var before: String
    /// `up`, `down` or `removed`.
    public var after: String
    /// Whether anything is otherwise than before.
    public var isChanged: Bool
    /// How many routes by it were withdrawn, or are there again.
    public var routes: Int

    /// Describes a change.
    public init(_ result: PortChangeResult) {
        port = result.port
        namespace = result.namespace
        change = result.change.rawValue
        before = result.before.rawValue
        after = result.after?.rawValue ?? "removed"
        isChanged = result.isChanged
        routes = result.routeCount
    }

    /// The change as a sentence for a person.
    public var line: String {
        let routes = routes == 1 ? "1 route" : "\(routes) routes"
        switch (change, before == after, isChanged) {
        case ("remove", _, _):
            return "port \(port): removed with its routes, until the router is started again"
        case ("down", true, true):
            return "port \(port): was down already, and stays so whatever its device does until "
                + "'roost net ports --up \(port)'"
        case (_, true, _): return "port \(port): was \(after) already"
        case ("down", _, _):
            return "port \(port): down, \(routes) withdrawn; 'roost net ports --up \(port)' takes "
                + "it up again"
        default: return "port \(port): up, \(routes) there again"
        }
    }
}

/// The changes that one command has made.
public struct NetworkPortChanges: Codable, Equatable, Sendable {
    /// The changes in their order.
    public var changes: [NetworkPortChange]

    /// Collects changes.
    public init(_ changes: [NetworkPortChange]) {
        self.changes = changes
    }
}
