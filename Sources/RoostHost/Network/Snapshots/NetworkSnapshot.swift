public import RoostRouter

/// A router as its control socket describes it.
public struct NetworkSnapshot: Codable, Equatable, Sendable {
    /// How full a table is.
    public struct Usage: Codable, Equatable, Sendable {
        /// Which table.
        public var table: String
        /// Entries there are.
        public var used: Int
        /// The most there may be.
        public var limit: Int
        /// How many were refused since there was no room.
        public var refused: UInt64
    }

    /// Counted references of one kind and holder.
    public struct Holder: Codable, Equatable, Sendable {
        /// The kind of holder.
        public var kind: String
        /// Which one.
        public var holder: String
        /// The port of its entries, where they share one.
        public var port: String?
        /// How many references.
        public var count: Int
        /// How long the oldest is held, in seconds.
        public var oldestSeconds: Double
    }

    /// A namespace.
    public struct Namespace: Codable, Equatable, Sendable {
        /// Its name.
        public var name: String
        /// Its ports.
        public var ports: [NetworkPort]
        /// What its packets met.
        public var statistics: NetworkStatistics
        /// How full its tables are.
        public var usage: [Usage]
        /// Who holds counted references.
        public var holders: [Holder]
    }

    /// The router's name.
    public var name: String
    /// The process that runs it.
    public var processID: Int32
    /// How long it runs, in seconds.
    public var uptimeSeconds: Double
    /// How many threads forward.
    public var workers: Int
    /// Its namespaces.
    public var namespaces: [Namespace]
    /// The collector's last passes.
    public var collector: [NetworkTraceRecord.Pass]

    /// Describes a router.
    ///
    /// - Parameters:
    ///   - router: How it is.
    ///   - name: Its name.
    ///   - processID: The process that runs it.
    public init(_ router: RouterSnapshot, name: String, processID: Int32) {
        self.name = name
        self.processID = processID
        uptimeSeconds = router.uptime.inSeconds
        workers = router.workerCount
        namespaces = router.namespaces.map(Namespace.init)
        collector = router.collector.map(NetworkTraceRecord.Pass.init)
    }
}

extension NetworkSnapshot.Namespace {
    init(_ namespace: NamespaceSnapshot) {
        name = namespace.name
        ports = namespace.ports.map(NetworkPort.init)
        statistics = NetworkStatistics(namespace.statistics)
        usage = namespace.usage.map { table in
            NetworkSnapshot.Usage(
                table: table.table, used: table.used, limit: table.limit, refused: table.refused)
        }
        holders = namespace.holders.map { holder in
            NetworkSnapshot.Holder(
                kind: holder.kind, holder: holder.holder, port: holder.port, count: holder.count,
                oldestSeconds: holder.oldest.inSeconds)
        }
    }
}

extension Duration {
    /// The duration in seconds.
    var inSeconds: Double { self / .seconds(1) }
}
