/// Which learned state is to be forgotten: what matches all that is given.
public struct FlushSelector: Equatable, Sendable {
    /// Of the namespace of this name.
    public var namespace: String?
    /// Of destinations in this prefix.
    public var prefix: IPPrefix?
    /// Of what is reached by this next hop.
    public var nextHop: IPAddress?

    /// Selects everything.
    public init() {}
}

/// How much was forgotten.
public struct FlushResult: Equatable, Sendable {
    /// Exceptions of single destinations.
    public var exceptions: Int
    /// Neighbours.
    public var neighbours: Int

    /// Counts what was forgotten.
    public init(exceptions: Int, neighbours: Int) {
        self.exceptions = exceptions
        self.neighbours = neighbours
    }
}
