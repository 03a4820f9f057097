extension RouterConfiguration {
    /// Checks that a router can be made of it.
    ///
    /// - Throws: `RouterError` of kind `invalidValue` that names the first thing that cannot be.
    public func validate() throws(RouterError) {
        guard let fault = fault() else { return }
        let place =
            switch fault.place {
            case .router: "the router"
            case .namespace(let name): "namespace '\(name)'"
            case .port(let name): "port '\(name)'"
            case .route(let namespace, let index): "route \(index + 1) of namespace '\(namespace)'"
            }
        let key = fault.key.map { ", \($0)" } ?? ""
        throw RouterError(.invalidValue, "\(place)\(key): \(fault.reason)")
    }

    /// The first thing that cannot be; nil when all can.
    package func fault() -> ConfigurationFault? {
        do throws(ConfigurationFault) {
            try check()
            return nil
        } catch {
            return error
        }
    }

    private func check() throws(ConfigurationFault) {
        try Self.check(.router, "workers", workerCount, Self.workerCounts)
        try Self.check(
            .router, "slice-entries", collector.sliceEntryCount,
            CollectorConfiguration.sliceEntryCounts)
        let times = CollectorConfiguration.sliceMicroseconds
        guard
            collector.sliceTime >= .microseconds(times.lowerBound),
            collector.sliceTime <= .microseconds(times.upperBound)
        else {
            throw ConfigurationFault(
                .router, "slice-microseconds",
                "is \(collector.sliceTime): give \(times.lowerBound) to \(times.upperBound)")
        }
        guard !namespaces.isEmpty else {
            throw ConfigurationFault(.router, nil, "there is no namespace: give it at least one")
        }
        guard namespaces.count <= Self.namespaceLimit else {
            throw ConfigurationFault(
                .router, nil,
                "there are \(namespaces.count) namespaces: give it at most "
                    + "\(Self.namespaceLimit)")
        }
        try checkNames()
        for namespace in namespaces { try namespace.check() }
        try checkDevices()
    }

    private func checkNames() throws(ConfigurationFault) {
        var names: Set<String> = []
        for namespace in namespaces {
            let place = ConfigurationFault.Place.namespace(namespace.name)
            try Self.check(place, name: namespace.name)
            guard names.insert(namespace.name).inserted else {
                throw ConfigurationFault(
                    place, "name", "there are two namespaces '\(namespace.name)': rename one")
            }
        }
        let ports = namespaces.flatMap(\.ports)
        guard ports.count <= Self.portLimit else {
            throw ConfigurationFault(
                .router, nil, "there are \(ports.count) ports: give it at most \(Self.portLimit)")
        }
        // Each namespace has one port of its own, and there is one that drops all.
        guard ports.count + namespaces.count < PortTable.limit else {
            throw ConfigurationFault(
                .router, nil,
                "there are \(ports.count) ports and \(namespaces.count) namespaces: give it at most "
                    + "\(PortTable.limit - 1) together")
        }
        names = []
        for port in ports {
            let place = ConfigurationFault.Place.port(port.name)
            try Self.check(place, name: port.name)
            guard names.insert(port.name).inserted else {
                throw ConfigurationFault(
                    place, "name",
                    "there are two ports '\(port.name)': rename one, names are the "
                        + "router's, whatever the namespace")
            }
        }
    }

    /// A device is one port's, since two readers would share its frames at random.
    private func checkDevices() throws(ConfigurationFault) {
        var owners: [String: String] = [:]
        for port in namespaces.flatMap(\.ports) {
            guard case .tap(let device, let networkNamespace) = port.kind else { continue }
            // A name of a device has no slash.
            let key = "\(networkNamespace ?? "")/\(device)"
            if let owner = owners[key] {
                throw ConfigurationFault(
                    .port(port.name), "device",
                    "the device \(device) is port '\(owner)' already: name another")
            }
            owners[key] = port.name
        }
    }

    static func check(
        _ place: ConfigurationFault.Place, name: String
    ) throws(ConfigurationFault) {
        guard ConfigurationName.isName(name) else {
            throw ConfigurationFault(
                place, "name", "'\(name)' cannot be a name: \(ConfigurationName.rule)")
        }
    }

    static func check<Number: BinaryInteger>(
        _ place: ConfigurationFault.Place, _ key: String, _ value: Number,
        _ range: ClosedRange<Number>
    ) throws(ConfigurationFault) {
        guard range.contains(value) else {
            throw ConfigurationFault(
                place, key,
                "is \(value): give a number from \(range.lowerBound) to \(range.upperBound)")
        }
    }
}
