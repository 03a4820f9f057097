internal import RoostRouter

/// Rows of a router's table, and how many there are in all.
public struct NetworkListing<Row: Codable & Equatable & Sendable>: Codable, Equatable, Sendable {
    /// The rows, as many as were asked for.
    public var rows: [Row]
    /// How many there are.
    public var total: Int

    /// The most bytes of all rows, within those that a client takes.
    private static var byteLimit: Int { ControlClient.answerLimit - (64 << 10) }

    /// Takes as many rows as a client takes bytes.
    init(fitting rows: [Row], total: Int) throws {
        var left = Self.byteLimit
        self.rows = Array(
            try rows.prefix { row in
                left -= try ControlJSON.encode(row).count + 1
                return left >= 0
            })
        self.total = total
    }
}

/// A route as a router's control socket describes it.
public struct NetworkRoute: Codable, Equatable, Sendable {
    /// A next hop of the route.
    public struct NextHop: Codable, Equatable, Sendable {
        /// The router there; missing when the destinations are on the link themselves.
        public var via: String?
        /// The port's name.
        public var port: String
        /// Its share of the flows.
        public var weight: Int
        /// Whether its port is up.
        public var isUsable: Bool
    }

    /// The namespace's name.
    public var namespace: String
    /// The destinations it is for.
    public var prefix: String
    /// Why it is there: `connected`, `local`, `broadcast` or `configured`.
    public var origin: String
    /// What becomes of packets.
    public var action: String
    /// Which of two routes of one prefix holds: the lower one.
    public var metric: UInt32
    /// Where packets go.
    public var nextHops: [NextHop]

    init(_ route: RouteSnapshot) {
        namespace = route.namespace
        prefix = route.prefix.description
        origin = route.origin.rawValue
        action = route.action
        metric = route.metric
        nextHops = route.nextHops.map { hop in
            NextHop(
                via: hop.gateway?.description, port: hop.port, weight: hop.weight,
                isUsable: hop.isUsable)
        }
    }
}

/// A neighbour as a router's control socket describes it.
public struct NetworkNeighbour: Codable, Equatable, Sendable {
    /// The namespace's name.
    public var namespace: String
    /// The port's name.
    public var port: String
    /// Its address.
    public var address: String
    /// Its link-layer address, once known.
    public var mac: String?
    /// Its state.
    public var state: String
    /// Frames that wait for it.
    public var queuedFrames: Int
    /// Counted references to it.
    public var references: Int
    /// How long ago it was confirmed, in seconds.
    public var confirmedSeconds: Double?

    init(_ neighbour: NeighbourSnapshot) {
        namespace = neighbour.namespace
        port = neighbour.port
        address = neighbour.address.description
        mac = neighbour.mac?.description
        state = neighbour.state
        queuedFrames = neighbour.queuedFrames
        references = neighbour.references
        confirmedSeconds = neighbour.sinceConfirmed?.inSeconds
    }
}

/// A destination entry as a router's control socket describes it.
public struct NetworkDestination: Codable, Equatable, Sendable {
    /// The namespace's name.
    public var namespace: String
    /// What it stands for: `next-hop`, `link`, `exception`, `local`, `discard` or `garbage`.
    public var kind: String
    /// The port's name.
    public var port: String?
    /// The destination, of an exception.
    public var address: String?
    /// The first prefixes whose routes lead here.
    public var prefixes: [String]
    /// How many routes lead here.
    public var routeCount: Int
    /// The next hop.
    public var via: String?
    /// What becomes of packets that come in.
    public var input: String
    /// What becomes of packets that go out.
    public var output: String
    /// The longest packet that it takes, in bytes.
    public var pathMTU: Int
    /// How long it will last, in seconds.
    public var expiresSeconds: Double?
    /// The error that packets to it are answered with.
    public var error: String?
    /// Why it is no longer wanted.
    public var obsolete: String?
    /// Counted references to it.
    public var references: Int
    /// Packets that used it.
    public var uses: UInt64
    /// How long ago it was used, in seconds.
    public var usedSeconds: Double?
    /// The state of its neighbour.
    public var neighbour: String?

    init(_ destination: DestinationSnapshot) {
        namespace = destination.namespace
        kind = destination.kind.rawValue
        port = destination.port
        address = destination.address?.description
        prefixes = destination.prefixes.map(\.description)
        routeCount = destination.routeCount
        via = destination.gateway?.description
        input = destination.inputAction
        output = destination.outputAction
        pathMTU = destination.pathMTU
        expiresSeconds = destination.expires?.inSeconds
        error = destination.error
        obsolete = destination.obsolete
        references = destination.references
        uses = destination.uses
        usedSeconds = destination.sinceUsed?.inSeconds
        neighbour = destination.neighbourState
    }
}

extension NetworkDestination {
    /// What it is for, in a word or two: the destination, or the prefixes that lead to it.
    public var purpose: String {
        if let address { return address }
        // What routes no longer lead to waits for its last user.
        guard let first = prefixes.first else { return via ?? "no route" }
        return routeCount > 1 ? "\(first) and \(routeCount - 1) more" : first
    }

    /// Where its packets go, in a word or two.
    public var way: String {
        if let via { return via }
        switch kind {
        case "link": return "on link"
        case "local": return "this router"
        default: return "-"
        }
    }
}
