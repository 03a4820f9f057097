internal import RoostRouter
internal import TOMLKit

/// A configuration of a router as it is read from a file's tables.
struct RouterConfigurationReading {
    /// Where parts of the configuration stand in the file, for what only the whole shows.
    private struct Origins {
        var namespaces: [String: ConfigurationTable] = [:]
        var ports: [String: ConfigurationTable] = [:]
        /// Of each namespace its routes.
        var routes: [String: [ConfigurationTable]] = [:]
    }

    private let root: ConfigurationTable
    private let collector: ConfigurationTable?
    private var namespaces: [NamespaceConfiguration] = []
    private var origins = Origins()

    /// Takes a file's content.
    ///
    /// - Throws: `HostError` for a key at the top that means nothing.
    init(_ document: TOMLTable, of file: ConfigurationText) throws(HostError) {
        root = try ConfigurationTable(
            document, "", nil, of: file,
            keys: ["workers", "collector", "namespace", "port", "route"])
        collector = try root.table(
            "collector", header: "collector", keys: ["slice-entries", "slice-microseconds"])
    }

    /// Reads everything.
    ///
    /// - Throws: `HostError` for the first thing that cannot be.
    mutating func configuration() throws(HostError) -> RouterConfiguration {
        try readNamespaces()
        for table in try root.tables("port", keys: PortReading.keys) {
            let place = try namespace(of: table)
            let port = try PortReading.port(table)
            origins.ports[port.name] = table
            namespaces[place].ports.append(port)
        }
        for table in try root.tables("route", keys: RouteReading.keys) {
            let place = try namespace(of: table)
            let route = try RouteReading.route(table, among: namespaces[place].ports)
            origins.routes[namespaces[place].name, default: []].append(table)
            namespaces[place].routes.append(route)
        }
        var configuration = RouterConfiguration(namespaces: namespaces)
        if let count = try root.integer("workers") { configuration.workerCount = count }
        if let count = try collector?.integer("slice-entries") {
            configuration.collector.sliceEntryCount = count
        }
        if let time = try collector?.integer(
            "slice-microseconds", CollectorConfiguration.sliceMicroseconds)
        {
            configuration.collector.sliceTime = .microseconds(time)
        }
        if let fault = configuration.fault() { throw refusal(fault) }
        return configuration
    }

    private mutating func readNamespaces() throws(HostError) {
        for table in try root.tables("namespace", keys: ["name", "limits"]) {
            let name = try table.requiredString("name", "a name, such as \"red\"")
            var namespace = NamespaceConfiguration(name: name)
            if let limits = try table.table(
                "limits", header: "namespace.limits", keys: LimitsReading.keys)
            {
                namespace.limits = try LimitsReading.limits(limits)
            }
            origins.namespaces[name] = table
            namespaces.append(namespace)
        }
        guard namespaces.isEmpty else { return }
        namespaces = [NamespaceConfiguration(name: RouterConfigurationFile.defaultNamespace)]
    }

    /// The namespace that a port or route is in.
    private func namespace(of table: ConfigurationTable) throws(HostError) -> Int {
        let names = namespaces.map(\.name)
        guard let name = try table.string("namespace") else {
            guard names.count == 1 else {
                throw table.refusal(
                    "namespace", "is missing: give one of \(names.joined(separator: ", "))")
            }
            return 0
        }
        guard let index = names.firstIndex(of: name) else {
            throw table.refusal(
                "namespace",
                "there is no namespace '\(name)': give one of \(names.joined(separator: ", ")), or "
                    + "add it under [[namespace]]")
        }
        return index
    }

    private func refusal(_ fault: ConfigurationFault) -> HostError {
        let table =
            switch fault.place {
            case .router: fault.key?.hasPrefix("slice-") == true ? collector : root
            case .namespace(let name): origins.namespaces[name]
            case .port(let name): origins.ports[name]
            case .route(let namespace, let index): origins.routes[namespace]?[index]
            }
        return (table ?? root).refusal(fault.key, fault.reason)
    }
}

/// The table `[namespace.limits]`.
enum LimitsReading {
    static let keys = [
        "destinations", "exceptions", "neighbours", "pending-frames", "icmp-errors-per-second",
        "icmp-error-burst",
    ]

    static func limits(_ table: ConfigurationTable) throws(HostError) -> NamespaceLimits {
        var limits = NamespaceLimits()
        let entries = NamespaceLimits.entryCounts
        let rates = NamespaceLimits.rates
        limits.destinations = try table.integer("destinations", entries) ?? limits.destinations
        limits.exceptions = try table.integer("exceptions", entries) ?? limits.exceptions
        limits.neighbours = try table.integer("neighbours", entries) ?? limits.neighbours
        limits.pendingFrames = try table.integer("pending-frames", rates) ?? limits.pendingFrames
        limits.icmpErrorsPerSecond =
            try table.integer("icmp-errors-per-second", rates) ?? limits.icmpErrorsPerSecond
        limits.icmpErrorBurst =
            try table.integer("icmp-error-burst", rates) ?? limits.icmpErrorBurst
        return limits
    }
}
