internal import RoostMemory

/// A router's tables, as a configuration asks for them.
extension Processor {
    /// Makes the tables of a configuration whose ports are open, with all its routes.
    ///
    /// - Parameters:
    ///   - configuration: What they are to be.
    ///   - open: Its ports.
    ///   - isCancelled: Whether the caller no longer wants them; asked again and again.
    /// - Returns: Their writer.
    /// - Throws: `RouterError` when a bound is reached or there is no memory, and of kind `cancelled`.
    static func make(
        _ configuration: RouterConfiguration, _ open: [OpenPort],
        unless isCancelled: @Sendable () -> Bool = { false }
    ) throws(RouterError) -> sending Processor {
        let workers = configuration.workerCount
        // The processor reads as a worker does.
        let quiescence = try Quiescence(readerLimit: workers + 1)
        let destinations = try DestinationTable(
            limits: DestinationLimits(configuration), workerCount: workers + 1,
            quiescence: quiescence)
        let forwarding = try ForwardingTables(quiescence: quiescence)
        let quotas = try QuotaLedger(ceilings: QuotaLimits(each: UInt32(QuotaLimits.ceiling)))
        let exceptions = try ExceptionTable(slab: destinations.slab, quotas: quotas)
        let longest = open.map(\.configuration.mtu).max() ?? 1_500
        let frameLimit = longest + FrameLength.longestHeader
        var neighbourLimits = NeighbourLimits(configuration)
        neighbourLimits.frameByteCount = frameLimit
        let neighbours = try NeighbourTable(
            limits: neighbourLimits, timing: NeighbourTiming(), quiescence: quiescence)
        let ports = try PortTable()
        let view = RouterView(
            quiescence: quiescence, forwarding: forwarding.reader, destinations: destinations.slab,
            exceptions: exceptions.index, neighbours: neighbours.view, ports: ports.view,
            modes: try PortModes(), counters: try PacketCounters(workerCount: workers + 1))
        let directory = PortDirectory()
        let now = SystemCollectorClock().ticks()
        var processor = Processor(
            view: view, directory: directory, traces: TraceLog(),
            step: ForwardingStep(view: view, worker: workers), ports: ports,
            destinations: destinations, forwarding: forwarding, exceptions: exceptions,
            neighbours: neighbours, budget: try ICMPBudget(now: now),
            outbox: try Outbox(
                view: view, directory: directory, worker: workers, frameLimit: frameLimit),
            built: try .making(frameLimit: frameLimit, for: "the processor's frames"),
            pieces: try .making(frameLimit: frameLimit, for: "the processor's frames"),
            frameLimit: frameLimit, now: now, startedAt: now,
            identification: .random(in: 0 ... .max))
        try processor.setUp(configuration, open, unless: isCancelled)
        return processor
    }

    private mutating func setUp(
        _ configuration: RouterConfiguration, _ ports: [OpenPort],
        unless isCancelled: @Sendable () -> Bool
    ) throws(RouterError) {
        for (number, namespace) in configuration.namespaces.enumerated() {
            try Self.adding(.namespace(namespace.name), unless: isCancelled) {
                () throws(RouterError) in
                try add(namespace, NamespaceIndex(rawValue: UInt16(number)))
            }
        }
        for port in ports {
            try Self.adding(.port(port.configuration.name), unless: isCancelled) {
                () throws(RouterError) in try add(port)
            }
        }
        for (number, namespace) in configuration.namespaces.enumerated() {
            for (index, route) in namespace.routes.enumerated() {
                let place = ConfigurationFault.Place.route(namespace: namespace.name, index: index)
                try Self.adding(place, unless: isCancelled) { () throws(RouterError) in
                    try add(route, in: NamespaceIndex(rawValue: UInt16(number)))
                }
            }
        }
    }

    /// Adds a part of a configuration, and says which it was when it cannot be.
    private static func adding(
        _ place: ConfigurationFault.Place, unless isCancelled: @Sendable () -> Bool,
        _ add: () throws(RouterError) -> Void
    ) throws(RouterError) {
        guard !isCancelled() else { throw RouterError.cancelled }
        do throws(RouterError) {
            try add()
        } catch {
            throw error.about(place)
        }
    }

    private mutating func add(
        _ namespace: NamespaceConfiguration, _ index: NamespaceIndex
    ) throws(RouterError) {
        let loopback = try ports.add(
            Port(
                name: "lo", kind: .loopback, namespace: index, mac: MACAddress(rawValue: 0),
                mtu: Port.mtuLimits.upperBound, isUp: true))
        try destinations.addNamespace(index, loopback: loopback)
        try forwarding.addNamespace(index)
        budget.setPace(
            TokenBucket.Pace(
                perSecond: UInt32(clamping: namespace.limits.icmpErrorsPerSecond),
                burst: UInt32(clamping: namespace.limits.icmpErrorBurst)), of: index)
        var quota = NeighbourQuota()
        quota.entries = namespace.limits.neighbours
        quota.frames = namespace.limits.pendingFrames
        try neighbours.setQuota(quota, of: index)
        var limits = QuotaLimits(each: 0)
        limits[.entries] = UInt32(clamping: namespace.limits.destinations)
        limits[.exceptions] = UInt32(clamping: namespace.limits.exceptions)
        limits[.probation] = UInt32(clamping: namespace.limits.exceptions / 8)
        try exceptions.quotas.setLimits(limits, of: index)
        namespaces.append(
            RouterNamespace(index: index, name: namespace.name, loopback: loopback))
    }

    private mutating func add(_ opened: OpenPort) throws(RouterError) {
        let configuration = opened.configuration
        let index = try self.ports.add(
            Port(
                name: configuration.name, kind: opened.kind, namespace: opened.namespace,
                mac: opened.mac, mtu: configuration.mtu, isUp: true))
        let entry = PortEntry(
            configuration, index, in: opened.namespace, place: opened.place, mac: opened.mac)
        while outbox.ports.count <= Int(index.rawValue) { outbox.ports.append(nil) }
        outbox.ports[Int(index.rawValue)] = entry
        view.modes.set(
            PortMode(
                reversePath: configuration.reversePath,
                sendsRedirects: configuration.sendsRedirects), of: index)
        let loopback = namespaces[Int(opened.namespace.rawValue)].loopback
        try destinations.addPort(index, namespace: opened.namespace)
        neighbours.addPort(index, namespace: opened.namespace, loopback: loopback)
        directory.set(opened.port, at: index)
        namespaces[Int(opened.namespace.rawValue)].ports[configuration.name] = index
        try addRoutes(of: entry)
    }
}

extension NeighbourLimits {
    /// The most neighbours of a router: some 1.5 GB.
    static let mostEntries = 1 << 22
    /// The most packets that wait in a router: at the usual length some 400 MB.
    static let mostFrames = 1 << 18

    /// Room for the shares of all namespaces, so that none takes from another; memory that is not used
    /// is not taken.
    fileprivate init(_ configuration: RouterConfiguration) {
        self.init()
        let shares = configuration.namespaces.map(\.limits)
        entries = max(entries, min(shares.reduce(0) { $0 + $1.neighbours }, Self.mostEntries))
        frames = max(frames, min(shares.reduce(0) { $0 + $1.pendingFrames }, Self.mostFrames))
    }
}

extension DestinationLimits {
    /// What a configuration asks for, and room for the shares of all namespaces.
    fileprivate init(_ configuration: RouterConfiguration) {
        self.init()
        let shares = configuration.namespaces.reduce(0) { $0 + $1.limits.destinations }
        entryCount = max(entryCount, min(shares, Self.largestCount))
        holderCount = max(holderCount, entryCount)
        ipv4 = Family(threshold: entryCount / 4 * 3, ceiling: entryCount)
        ipv6 = ipv4
        sliceEntryCount = configuration.collector.sliceEntryCount
        let time = configuration.collector.sliceTime.components
        sliceNanoseconds =
            UInt64(time.seconds) * 1_000_000_000 + UInt64(time.attoseconds / 1_000_000_000)
    }
}
