internal import RoostRouter
internal import TOMLKit

/// A configuration of a router as it is read from a file's tables.
struct RouterConfigurationReading {
    private let root: ConfigurationTable
    private let collector: ConfigurationTable?
    private let isCancelled: () -> Bool
    private var namespaces: [NamespaceConfiguration] = []
    /// The namespaces' places by name.
    private var indices: [String: Int] = [:]
    /// Where everything stands.
    private(set) var places: ConfigurationPlaces

    /// Takes a file's content.
    ///
    /// - Parameters:
    ///   - document: The content.
    ///   - file: The file.
    ///   - isCancelled: Whether nobody wants it any more; asked before each table.
    /// - Throws: `HostError` for a key at the top that means nothing.
    init(
        _ document: TOMLTable, of file: ConfigurationText, unless isCancelled: @escaping () -> Bool
    ) throws(HostError) {
        self.isCancelled = isCancelled
        places = ConfigurationPlaces(file: file)
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
        try root.forEachTable("port", keys: PortReading.keys) { (index, table) throws(HostError) in
            try goOn()
            let place = try namespace(of: table)
            let port = try PortReading.port(table)
            places.ports[port.name] = index
            namespaces[place].ports.append(port)
        }
        let links = namespaces.map { RouteReading.Links($0.ports) }
        try root.forEachTable("route", keys: RouteReading.keys) {
            (index, table) throws(HostError) in
            try goOn()
            let place = try namespace(of: table)
            let route = try RouteReading.route(table, among: links[place])
            places.routes[namespaces[place].name, default: []].append(index)
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
        try goOn()
        if let fault = configuration.fault() { throw places.refusal(fault) }
        return configuration
    }

    private func goOn() throws(HostError) {
        guard isCancelled() else { return }
        throw HostError(.cancelled, path: places.file.path, "stopped reading \(places.file.path)")
    }

    private mutating func readNamespaces() throws(HostError) {
        try root.forEachTable("namespace", keys: ["name", "limits"]) {
            (index, table) throws(HostError) in
            try goOn()
            let name = try table.requiredString("name", "a name, such as \"red\"")
            var namespace = NamespaceConfiguration(name: name)
            if let limits = try table.table(
                "limits", header: "namespace.limits", keys: LimitsReading.keys)
            {
                namespace.limits = try LimitsReading.limits(limits)
            }
            // Of two of one name the second is refused.
            places.namespaces[name] = index
            indices[name] = namespaces.count
            namespaces.append(namespace)
        }
        guard namespaces.isEmpty else { return }
        let name = RouterConfigurationFile.defaultNamespace
        indices[name] = 0
        namespaces = [NamespaceConfiguration(name: name)]
    }

    /// The namespace that a port or route is in.
    private func namespace(of table: ConfigurationTable) throws(HostError) -> Int {
        guard let name = try table.string("namespace") else {
            guard namespaces.count == 1 else {
                throw table.refusal("namespace", "is missing: give one of \(names)")
            }
            return 0
        }
        guard let index = indices[name] else {
            throw table.refusal(
                "namespace",
                "there is no namespace '\(name)': give one of \(names), or add it under "
                    + "[[namespace]]")
        }
        return index
    }

    /// The namespaces' names, as many as a sentence holds.
    private var names: String {
        let shown = namespaces.prefix(8).map(\.name).joined(separator: ", ")
        return namespaces.count > 8 ? "\(shown) and \(namespaces.count - 8) more" : shown
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
