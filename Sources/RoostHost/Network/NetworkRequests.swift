internal import RoostRouter

/// Which rows of a table are asked for.
public struct NetworkTableRequest: Codable, Equatable, Sendable {
    /// The most rows of an answer; fewer when they do not fit into the bytes that a client takes.
    public static let rowLimit = 8000

    /// The namespace's name; nil for all.
    public var namespace: String?
    /// At most how many rows.
    public var limit: Int

    /// Asks for rows.
    public init(namespace: String? = nil, limit: Int = 1000) {
        self.namespace = namespace
        self.limit = limit
    }
}

/// Which learned state is to be forgotten.
public struct NetworkFlushRequest: Codable, Equatable, Sendable {
    /// Of the namespace of this name.
    public var namespace: String?
    /// Of destinations in this prefix.
    public var prefix: String?
    /// Of what is reached by this next hop.
    public var nextHop: String?

    /// Asks to forget what matches all that is given.
    public init(namespace: String? = nil, prefix: String? = nil, nextHop: String? = nil) {
        self.namespace = namespace
        self.prefix = prefix
        self.nextHop = nextHop
    }

    func selector() throws(HostError) -> FlushSelector {
        var selector = FlushSelector()
        selector.namespace = namespace
        if let prefix {
            guard let read = IPPrefix(prefix) else {
                throw HostError(
                    .network,
                    "'\(prefix)' is no prefix: give one such as 192.0.2.0/24, whose bits "
                        + "past its length are 0")
            }
            selector.prefix = read
        }
        if let nextHop {
            guard let read = IPAddress(nextHop) else {
                throw HostError(.network, "'\(nextHop)' is no address: give that of a next hop")
            }
            selector.nextHop = read
        }
        return selector
    }
}

/// How much was forgotten.
public struct NetworkFlushed: Codable, Equatable, Sendable {
    /// Exceptions of single destinations.
    public var exceptions: Int
    /// Neighbours.
    public var neighbours: Int
}

/// What is to be done to a port.
public struct NetworkPortRequest: Codable, Equatable, Sendable {
    /// The port's name.
    public var port: String
    /// `up`, `down` or `remove`.
    public var change: String

    /// Asks to change a port.
    public init(port: String, change: String) {
        self.port = port
        self.change = change
    }
}

/// What is to be traced.
public struct NetworkTraceRequest: Codable, Equatable, Sendable {
    /// `packets`, `collector`, or both.
    public var kinds: [String]
    /// The number that the last answer ended with; nil for what happens from now on.
    public var after: UInt64?
    /// The most records of an answer.
    public static let recordLimit = 1000

    /// Asks for what happened.
    public init(kinds: [String], after: UInt64? = nil) {
        self.kinds = kinds
        self.after = after
    }
}
