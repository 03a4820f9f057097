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

    // MARK: Destinations

    /// The destinations of some namespaces.
    func destinations(
        in namespaces: [RouterNamespace], limit: Int
    ) -> Listing<DestinationSnapshot> {
        var listing = Listing<DestinationSnapshot>(rows: [], total: 0)
        let names = Dictionary(
            namespaces.map { ($0.index, $0.name) }, uniquingKeysWith: { first, _ in first })
        let places = exceptionPlaces(in: namespaces)
        for detail in destinations.entries(limit: .max) {
            guard let name = names[detail.word.namespace] else { continue }
            listing.total += 1
            guard listing.rows.count < limit else { continue }
            listing.rows.append(snapshot(of: detail, in: name, places[detail.id.handle]))
        }
        return listing
    }

    private func exceptionPlaces(
        in namespaces: [RouterNamespace]
    ) -> [DestinationHandle: ExceptionPlace] {
        var places: [DestinationHandle: ExceptionPlace] = [:]
        for namespace in namespaces {
            for place in exceptions.places(in: namespace.index, limit: .max) {
                let found = view.exceptions.find(
                    nextHop: place.nextHop, high: place.high, low: place.low,
                    namespace: namespace.index)
                if !found.isNone { places[found] = place }
            }
        }
        return places
    }

    private func snapshot(
        of detail: EntrySnapshot, in namespace: String, _ place: ExceptionPlace?
    ) -> DestinationSnapshot {
        let word = detail.word
        var row = DestinationSnapshot(
            namespace: namespace, kind: kind(of: detail),
            port: outbox.port(word.port)?.configuration.name, inputAction: word.input.name,
            outputAction: word.output.name)
        if let place { row.address = IPAddress(place.family, place.high, place.low) }
        if detail.gateway != (0, 0) {
            row.gateway = IPAddress(detail.family, detail.gateway.high, detail.gateway.low)
        }
        let ofPort = view.ports.mtu(word.port)
        row.pathMTU = detail.pathMTU == 0 ? ofPort : Int(detail.pathMTU)
        if detail.expires > 0 {
            row.expires = .milliseconds(Int64(clamping: detail.expires.subtractingClamped(now)))
        }
        if word.error != .none { row.error = word.error.name }
        if word.flags.contains(.isKilled) { row.obsolete = "dead" }
        row.references = detail.referenceCount
        row.uses = detail.usage.packetCount
        if detail.usage.lastUse > 0 {
            row.sinceUsed = .milliseconds(
                Int64(clamping: now.subtractingClamped(detail.usage.lastUse)))
        }
        if !detail.neighbour.isNone {
            row.neighbourState = neighbours.state(of: detail.neighbour).phase.name
        }
        return row
    }

    private func kind(of detail: EntrySnapshot) -> DestinationSnapshot.Kind {
        if detail.state == .garbage || detail.state == .waiting { return .garbage }
        let word = detail.word
        if word.flags.contains(.isException) { return .exception }
        switch word.input {
        case .deliver: return .local
        case .forward: return word.flags.contains(.isOnLink) ? .link : .nextHop
        default: return .discard
        }
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
            sequence: record.sequence,
            time: .milliseconds(Int64(clamping: record.time.subtractingClamped(startedAt))),
            event: event)
    }

    private func trace(of note: TraceLog.PacketNote) -> PacketTrace {
        let port = outbox.port(note.port)
        let namespace = port.map { namespaces[Int($0.namespace.rawValue)].name }
        var trace = PacketTrace(
            namespace: namespace ?? "", port: port?.configuration.name ?? "",
            byteCount: note.byteCount, decision: note.verdict.name)
        switch note.header {
        case .none: break
        case .ipv4(let source, let destination, let protocolNumber):
            trace.source = .ipv4(source)
            trace.destination = .ipv4(destination)
            trace.protocolNumber = protocolNumber
        case .ipv6(let source, let destination, let protocolNumber):
            trace.source = .ipv6(source)
            trace.destination = .ipv6(destination)
            trace.protocolNumber = protocolNumber
        }
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

extension DestinationAction {
    /// The action in a listing.
    fileprivate var name: String {
        switch self {
        case .discard: "discard"
        case .forward: "forward"
        case .deliver: "deliver"
        case .answerError: "error"
        case .broadcast: "broadcast"
        case .multicast: "multicast"
        }
    }
}

extension DestinationError {
    /// The error in a listing.
    fileprivate var name: String {
        switch self {
        case .none: "none"
        case .networkUnreachable: "network-unreachable"
        case .hostUnreachable: "host-unreachable"
        case .prohibited: "prohibited"
        case .invalid: "invalid"
        case .blackhole: "blackhole"
        case .timedOut: "timed-out"
        }
    }
}
