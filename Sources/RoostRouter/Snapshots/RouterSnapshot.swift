/// How a router is, at one moment.
public struct RouterSnapshot: Equatable, Sendable {
    /// How long it runs.
    public var uptime: Duration
    /// How many threads forward.
    public var workerCount: Int
    /// Its namespaces.
    public var namespaces: [NamespaceSnapshot]
    /// The collector's last passes, the latest last; at most 32.
    public var collector: [CollectorPass]

    /// Describes a router.
    public init(
        uptime: Duration, workerCount: Int, namespaces: [NamespaceSnapshot],
        collector: [CollectorPass] = []
    ) {
        self.uptime = uptime
        self.workerCount = workerCount
        self.namespaces = namespaces
        self.collector = collector
    }
}

/// How a namespace is.
public struct NamespaceSnapshot: Equatable, Sendable {
    /// Its name.
    public var name: String
    /// Its ports, by index.
    public var ports: [PortSnapshot]
    /// What its packets met.
    public var statistics: RouterStatistics
    /// How full its tables are.
    public var usage: [TableUsage]
    /// Who holds counted references in it.
    public var holders: [HolderSnapshot]

    /// Describes a namespace.
    public init(
        name: String, ports: [PortSnapshot] = [], statistics: RouterStatistics = RouterStatistics(),
        usage: [TableUsage] = [], holders: [HolderSnapshot] = []
    ) {
        self.name = name
        self.ports = ports
        self.statistics = statistics
        self.usage = usage
        self.holders = holders
    }
}

/// How full a table of a namespace is.
public struct TableUsage: Equatable, Sendable {
    /// Which table: `destinations`, `exceptions`, `neighbours`, `pending-frames` and so on.
    public var table: String
    /// Entries there are.
    public var used: Int
    /// The most entries there may be.
    public var limit: Int
    /// How many were refused since there was no room.
    public var refused: UInt64

    /// Describes a table.
    public init(table: String, used: Int, limit: Int, refused: UInt64) {
        self.table = table
        self.used = used
        self.limit = limit
        self.refused = refused
    }
}

/// Counted references of one kind that one holder has.
public struct HolderSnapshot: Equatable, Sendable {
    /// What kind of holder: `route`, `exception`, `queued-packet`, `control` and so on.
    public var kind: String
    /// Which one.
    public var holder: String
    /// The port that its entries are on; nil when they are on several.
    public var port: String?
    /// How many references.
    public var count: Int
    /// For how long the oldest one is held.
    public var oldest: Duration

    /// Describes a holder.
    public init(kind: String, holder: String, port: String? = nil, count: Int, oldest: Duration) {
        self.kind = kind
        self.holder = holder
        self.port = port
        self.count = count
        self.oldest = oldest
    }
}
