extension RouterConfiguration {
    /// Checks that a router can be made of it.
    ///
    /// - Throws: `RouterError` of kind `invalidValue` that names the first thing that cannot be.
    public func validate() throws(RouterError) {
        if let fault = fault() { throw fault.error() }
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

    /// How many things that may be meant otherwise are told.
    private static let noteLimit = 8

    /// What can be, but may be meant otherwise, a sentence each.
    var notes: [String] {
        namespaces.flatMap(\.notes).prefix(Self.noteLimit).map { $0.error().description }
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
        try NamespaceLimits.check(namespaces)
        try checkDevices()
        try checkLinkAddresses()
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
        guard !ports.isEmpty else {
            throw ConfigurationFault(
                .router, nil,
                "there is no port, by which packets would come and go: add one under [[port]]")
        }
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

    /// A link address is one port's: on one link, two would take each other's frames.
    private func checkLinkAddresses() throws(ConfigurationFault) {
        var owners: [MACAddress: String] = [:]
        for port in namespaces.flatMap(\.ports) {
            guard let mac = port.mac else { continue }
            if let owner = owners[mac] {
                throw ConfigurationFault(
                    .port(port.name), "mac",
                    "\(mac) is that of port '\(owner)' already: give another, or leave it out for "
                        + "one chosen at random")
            }
            owners[mac] = port.name
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
