/// Forgetting at an operator's word.
extension Processor {
    /// Forgets what was learned about destinations and neighbours.
    ///
    /// - Parameters:
    ///   - selector: Which prefix and next hop.
    ///   - namespaces: In which namespaces.
    /// - Returns: How many were forgotten; a neighbour that a route needs is asked for anew.
    mutating func flush(
        _ selector: FlushSelector, in namespaces: [RouterNamespace]
    ) -> FlushResult {
        var result = FlushResult(exceptions: 0, neighbours: 0)
        for namespace in namespaces {
            for place in exceptions.places(in: namespace.index, limit: .max)
            where matches(place, selector) {
                let handle = exceptions.index.keys.find(place.key)
                guard handle != 0 else { continue }
                exceptions.remove(handle, from: &destinations, now: now)
                result.exceptions += 1
            }
            for (key, use) in namespace.nextHops where matches(key, selector) {
                exceptions.nextHopAnswered(use.destination, in: &destinations)
            }
            // A prefix says destinations, of which neighbours on a link are some.
            let rows = neighbours.rows(of: namespace.index, limit: .max).rows
            for row in rows where matches(row, selector) {
                neighbours.flushOut(row.handle, &outbox)
                result.neighbours += 1
            }
        }
        return result
    }

    private func matches(_ place: ExceptionPlace, _ selector: FlushSelector) -> Bool {
        let address = IPAddress(place.family, place.high, place.low)
        if let prefix = selector.prefix, !prefix.contains(address) { return false }
        guard let nextHop = selector.nextHop else { return true }
        // On a link each destination is its own next hop.
        let isOnLink = view.destinations.word(of: place.nextHop).flags.contains(.isOnLink)
        let (high, low) = view.destinations.gateway(of: place.nextHop)
        return nextHop == (isOnLink ? address : IPAddress(place.family, high, low))
    }

    /// A failure of a gateway is one of all destinations behind it; those of some are not known apart.
    private func matches(_ key: NextHopKey, _ selector: FlushSelector) -> Bool {
        guard case .forward(.some(let gateway)) = key.kind, selector.prefix == nil else {
            return false
        }
        return selector.nextHop == nil || selector.nextHop == gateway
    }

    private func matches(_ row: NeighbourRow, _ selector: FlushSelector) -> Bool {
        let address = IPAddress(row.key.family, row.key.high, row.key.low)
        guard row.phase != .permanent, row.phase != .noARP, !row.isDead else { return false }
        if let prefix = selector.prefix, !prefix.contains(address) { return false }
        return selector.nextHop == nil || selector.nextHop == address
    }
}
