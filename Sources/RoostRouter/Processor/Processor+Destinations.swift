/// The destinations, as they are listed.
extension Processor {
    /// The destinations of some namespaces.
    func destinations(
        in namespaces: [RouterNamespace], limit: Int
    ) -> Listing<DestinationSnapshot> {
        var listing = Listing<DestinationSnapshot>(rows: [], total: 0)
        let names = Dictionary(
            namespaces.map { ($0.index, $0.name) }, uniquingKeysWith: { first, _ in first })
        let places = exceptionPlaces(in: namespaces)
        let ways = routesByDestination(in: namespaces)
        for detail in destinations.entries(limit: .max) {
            guard let name = names[detail.word.namespace] else { continue }
            listing.total += 1
            guard listing.rows.count < limit else { continue }
            var row = snapshot(of: detail, in: name, places[detail.id.handle])
            if let ways = ways[detail.id.handle] {
                row.prefixes = ways.prefixes
                row.routeCount = ways.count
            }
            listing.rows.append(row)
        }
        return listing
    }

    /// How many prefixes of an entry are shown.
    private static let prefixLimit = 4

    private typealias RoutesByDestination = [DestinationHandle: (prefixes: [IPPrefix], count: Int)]

    /// Of each entry that routes lead to the first prefixes, and how many there are.
    private func routesByDestination(in namespaces: [RouterNamespace]) -> RoutesByDestination {
        var ways: RoutesByDestination = [:]
        for namespace in namespaces {
            add(IPv4Address.self, of: namespace.index, to: &ways) { .ipv4($0) }
            add(IPv6Address.self, of: namespace.index, to: &ways) { .ipv6($0) }
        }
        return ways
    }

    private func add<Address: RoutedAddress>(
        _ family: Address.Type, of namespace: NamespaceIndex, to ways: inout RoutesByDestination,
        _ prefix: (Prefix<Address>) -> IPPrefix
    ) {
        // It throws for a namespace that is none only.
        try? forwarding.forEachRoute(under: Prefix<Address>.all, in: namespace) { route in
            for hop in route.nextHops {
                ways[hop.destination, default: ([], 0)].count += 1
                guard ways[hop.destination, default: ([], 0)].prefixes.count < Self.prefixLimit
                else { continue }
                ways[hop.destination, default: ([], 0)].prefixes.append(prefix(route.prefix))
            }
            return true
        }
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
