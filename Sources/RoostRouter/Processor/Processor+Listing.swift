/// The tables, as they are listed.
extension Processor {
    // MARK: Routes

    /// The routes of some namespaces, by family and prefix.
    func routes(in namespaces: [RouterNamespace], limit: Int) -> Listing<RouteSnapshot> {
        var listing = Listing<RouteSnapshot>(rows: [], total: 0)
        for namespace in namespaces {
            list(IPv4Address.self, of: namespace, limit, into: &listing) { .ipv4($0) }
            list(IPv6Address.self, of: namespace, limit, into: &listing) { .ipv6($0) }
        }
        return listing
    }

    private func list<Address: RoutedAddress>(
        _ family: Address.Type, of namespace: RouterNamespace, _ limit: Int,
        into listing: inout Listing<RouteSnapshot>, _ prefix: (Prefix<Address>) -> IPPrefix
    ) {
        let keys = namespace.keys
        var found = listing
        // It throws for a namespace that is none only.
        try? forwarding.forEachRoute(under: Prefix<Address>.all, in: namespace.index) { route in
            found.total += 1
            guard found.rows.count < limit else { return true }
            let hops = route.nextHops.compactMap { hop in keys[hop.destination].map { ($0, hop) } }
            var row = RouteSnapshot(
                namespace: namespace.name, prefix: prefix(route.prefix),
                origin: RouteOrigin(rawValue: route.origin)?.shown ?? .configured,
                action: hops.first?.0.kind.name ?? "forward", metric: route.metric)
            row.nextHops = hops.compactMap { key, hop in
                guard let port = outbox.port(key.port) else { return nil }
                let link = view.neighbours.word(
                    view.destinations.link(of: hop.destination).neighbour)
                return NextHopSnapshot(
                    gateway: key.kind.gateway, port: port.configuration.name,
                    weight: Int(hop.weight), isUsable: key.kind.gateway == nil || link.isUsable)
            }
            found.rows.append(row)
            return true
        }
        listing = found
    }

    // MARK: Neighbours

    /// The neighbours of some namespaces.
    func neighbourRows(
        in namespaces: [RouterNamespace], limit: Int
    ) -> Listing<NeighbourSnapshot> {
        var listing = Listing<NeighbourSnapshot>(rows: [], total: 0)
        for namespace in namespaces {
            let left = max(limit - listing.rows.count, 0)
            let (rows, total) = neighbours.rows(of: namespace.index, limit: left)
            listing.total += total
            listing.rows += rows.map { row in
                var shown = NeighbourSnapshot(
                    namespace: namespace.name,
                    port: outbox.port(row.key.port)?.configuration.name ?? "lo",
                    address: IPAddress(row.key.family, row.key.high, row.key.low), mac: row.link,
                    state: row.phase.name)
                shown.queuedFrames = row.queued
                shown.references = row.holders
                shown.sinceConfirmed = row.confirmed.map {
                    .milliseconds(Int64(clamping: now.subtractingClamped($0)))
                }
                return shown
            }
        }
        return listing
    }

    // MARK: Traces

    /// A trace's record with names in it.
    func record(_ record: TraceLog.Record) -> TraceRecord {
        let event: TraceRecord.Event =
            switch record.event {
            case .collector(let pass): .collector(pass)
            case .packet(let note): .packet(trace(of: note))
            }
        return TraceRecord(
            sequence: record.sequence, time: sinceStart(record.time), event: event)
    }

    private func trace(of note: TraceLog.PacketNote) -> PacketTrace {
        let port = outbox.port(note.port)
        let namespace = port.map { namespaces[Int($0.namespace.rawValue)].name }
        var trace = PacketTrace(
            namespace: namespace ?? "", port: port?.configuration.name ?? "",
            byteCount: note.byteCount, decision: note.verdict.name)
        trace.headers = note.headers
        trace.outPort = note.verdict.port.flatMap { outbox.port($0)?.configuration.name }
        return trace
    }
}

extension Verdict {
    /// What became of the packet, in a word.
    var name: String {
        switch self {
        case .transmit: "forward"
        case .transmitAndRedirect: "forward-and-redirect"
        case .fragment: "fragment"
        case .punt(let punt): punt.reason.counter.name
        case .malformed(let error): error.name
        case .drop(let counter): counter.name
        }
    }

    /// The port that it goes out of.
    var port: PortIndex? {
        switch self {
        case .transmit(let port), .transmitAndRedirect(let port), .fragment(let port, _): port
        case .punt, .malformed, .drop: nil
        }
    }
}

extension RouteOrigin {
    fileprivate var shown: RouteSnapshot.Origin {
        switch self {
        case .connected: .connected
        case .local: .local
        case .broadcast: .broadcast
        case .configured: .configured
        }
    }
}

extension NextHopKey.Kind {
    /// The action in a listing.
    fileprivate var name: String {
        switch self {
        case .forward: "forward"
        case .local: "local"
        case .broadcast: "broadcast"
        case .blackhole: "blackhole"
        case .unreachable: "unreachable"
        case .prohibit: "prohibit"
        }
    }

    fileprivate var gateway: IPAddress? {
        if case .forward(let gateway) = self { return gateway }
        return nil
    }
}
