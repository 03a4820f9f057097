internal import RoostRouter

/// What a configuration file comes to that a router can be started by.
public struct NetworkCheck: Codable, Equatable, Sendable {
    /// The file.
    public var file: String
    /// How many namespaces it has.
    public var namespaces: Int
    /// How many ports.
    public var ports: Int
    /// How many routes, besides those that ports' addresses make.
    public var routes: Int
    /// What is to be known before the start, a sentence each.
    public var notes: [String]

    init(_ configuration: RouterConfiguration, file: String, notes: [String]) {
        self.file = file
        self.notes = notes
        namespaces = configuration.namespaces.count
        ports = configuration.namespaces.reduce(0) { $0 + $1.ports.count }
        routes = configuration.namespaces.reduce(0) { $0 + $1.routes.count }
    }
}
