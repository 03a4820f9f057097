/// The router as a whole, as it is shown.
extension Processor {
    /// The namespaces that a name stands for.
    ///
    /// - Parameter name: A namespace's, or nil for all.
    /// - Returns: That one, or all.
    /// - Throws: `RouterError` of kind `notFound`.
    func namespaces(named name: String?) throws(RouterError) -> [RouterNamespace] {
        guard let name else { return namespaces }
        let found = namespaces.filter { $0.name == name }
        guard !found.isEmpty else {
            let known = ConfigurationName.list(namespaces.map(\.name))
            throw RouterError(.notFound, "there is no namespace '\(name)': give one of \(known)")
        }
        return found
    }

    /// The port of a name.
    ///
    /// - Throws: `RouterError` of kind `notFound`.
    func port(named name: String) throws(RouterError) -> PortIndex {
        for case .some(let entry) in outbox.ports where entry.configuration.name == name {
            return entry.index
        }
        let known = outbox.ports.compactMap { $0?.configuration.name }
        throw RouterError(
            .notFound,
            "there is no port '\(name)'"
                + (known.isEmpty
                    ? ", and no other: all were removed or have gone"
                    : ": give one of \(ConfigurationName.list(known))"))
    }

    /// How long after the router's start a time is.
    func sinceStart(_ time: UInt64) -> Duration {
        .milliseconds(Int64(clamping: time.subtractingClamped(startedAt)))
    }

    /// What the router is and has done.
    func snapshot(workerCount: Int) -> RouterSnapshot {
        RouterSnapshot(
            uptime: sinceStart(now),
            workerCount: workerCount,
            namespaces: namespaces.map { snapshot(of: $0) }, collector: passes)
    }

    private func snapshot(of namespace: RouterNamespace) -> NamespaceSnapshot {
        let ports = outbox.ports.compactMap { $0 }.filter { $0.namespace == namespace.index }
        return NamespaceSnapshot(
            name: namespace.name, ports: ports.map { snapshot(of: $0) },
            statistics: statistics(of: namespace, ports), usage: usage(of: namespace),
            holders: holders(of: namespace))
    }

    private func snapshot(of port: PortEntry) -> PortSnapshot {
        let configuration = port.configuration
        var shown = PortSnapshot(
            index: port.index, name: configuration.name, kind: port.place,
            state: port.isUp ? .up : .down, mac: port.mac, mtu: configuration.mtu,
            addresses: configuration.addresses, reversePath: configuration.reversePath)
        if let counters = directory.port(port.index)?.counters {
            shown.receivedFrames = counters.total(.receivedFrames)
            shown.receivedBytes = counters.total(.receivedBytes)
            shown.sentFrames = counters.total(.sentFrames)
            shown.sentBytes = counters.total(.sentBytes)
            shown.drops += PortCounter.allCases.filter(\.isDrop).map {
                DropCount(reason: $0.name, count: counters.total($0))
            }
        }
        shown.drops += PacketCounter.allCases.filter(\.isDrop).map {
            DropCount(reason: $0.name, count: view.counters.total($0, of: port.index))
        }
        shown.drops += PacketError.allCases.map {
            DropCount(reason: $0.name, count: view.counters.total($0, of: port.index))
        }
        shown.drops.removeAll { $0.count == 0 }
        return shown
    }

    private func statistics(
        of namespace: RouterNamespace, _ ports: [PortEntry]
    ) -> RouterStatistics {
        func sum(_ counters: PacketCounter...) -> UInt64 {
            ports.reduce(0) { sum, port in
                sum + counters.reduce(0) { $0 + view.counters.total($1, of: port.index) }
            }
        }
        let account = destinations.account(of: namespace.index)
        var shown = RouterStatistics()
        shown.entries = UInt64(account.entries)
        shown.inHit = sum(.forwarded, .fragmented)
        shown.inSlowTotal = sum(
            .delivered, .askedForNeighbour, .noRoute, .unreachable, .prohibited, .beyondScope,
            .timeToLiveExceeded, .tooBig)
        shown.inSlowMulticast = sum(.multicast)
        shown.inNoRoute = sum(.noRoute)
        shown.inBroadcast = sum(.broadcast)
        shown.inMartianDestination = sum(.martianDestination)
        shown.inMartianSource = sum(.martianSource)
        shown.outHit = namespace.ownPackets.resolved
        shown.outSlowTotal = namespace.ownPackets.unresolved
        shown.collectorTotal = account.collections
        shown.collectorIgnored = account.ignoredCollections
        shown.collectorGoalMiss = account.missedGoals
        shown.overflow = account.overflows
        return shown
    }

    private func usage(of namespace: RouterNamespace) -> [TableUsage] {
        let account = destinations.account(of: namespace.index)
        let neighbours = neighbours.usage(of: namespace.index)
        return [
            TableUsage(
                table: "destinations", used: account.entries,
                limit: exceptions.quotas.limit(.entries, of: namespace.index),
                refused: account.overflows),
            quota("exceptions", .exceptions, namespace), quota("probation", .probation, namespace),
            TableUsage(
                table: "neighbours", used: neighbours.entries, limit: neighbours.quota.entries,
                refused: neighbours.refusedEntries),
            TableUsage(
                table: "pending-frames", used: neighbours.frames, limit: neighbours.quota.frames,
                refused: neighbours.refusedFrames),
            TableUsage(
                table: "icmp-destinations", used: budget.destinationCount(of: namespace.index),
                limit: ICMPLimits().destinationsPerNamespace,
                refused: budget.refused(to: namespace.index)),
        ]
    }

    private func quota(
        _ table: String, _ kind: QuotaKind, _ namespace: RouterNamespace
    ) -> TableUsage {
        let quotas = exceptions.quotas
        return TableUsage(
            table: table, used: quotas.used(kind, by: namespace.index),
            limit: quotas.limit(kind, of: namespace.index),
            refused: quotas.refused(kind, to: namespace.index))
    }

    /// How many holders are looked at for a snapshot.
    private static let holderLimit = 65_536

    private func holders(of namespace: RouterNamespace) -> [HolderSnapshot] {
        struct Group: Hashable {
            let kind: HolderKind
            let port: PortIndex
        }
        let slab = view.destinations
        let found = slab.holders(limit: Self.holderLimit) {
            slab.word(of: $0.handle).namespace == namespace.index
        }
        let groups = Dictionary(grouping: found) { holder in
            Group(kind: holder.kind, port: slab.word(of: holder.handle).port)
        }
        return groups.map { group, holders in
            let oldest = holders.map { $0.age(at: now) }.max() ?? 0
            return HolderSnapshot(
                kind: group.kind.description, holder: holderName(group.kind),
                port: outbox.port(group.port)?.configuration.name, count: holders.count,
                oldest: .milliseconds(Int64(clamping: oldest)))
        }.sorted { ($0.kind, $0.port ?? "") < ($1.kind, $1.port ?? "") }
    }

    private func holderName(_ kind: HolderKind) -> String {
        switch kind {
        case .route: "forwarding table"
        case .exception: "exceptions"
        case .child: "stacked destinations"
        case .queuedPacket: "packets that wait for a neighbour"
        case .pendingResolution: "resolutions"
        case .control: "control"
        case .session: "sessions"
        }
    }
}
