/// The best route to a prefix, as the trie has it.
struct RouteValue: PrefixValue, Hashable {
    /// Its next hops.
    var group: PathGroupIndex
    /// The caller's mark.
    var origin: UInt8
    /// Whether there are routes of higher metric.
    var hasOthers = false
    /// Lowest wins.
    var metric: UInt32

    var leaf: UInt16 { group.rawValue }
}

/// The routes of a family in a namespace.
///
/// The trie has the best route of each prefix, from which the poptrie is compiled; worse ones, which few
/// prefixes have, lie beside it. A change is made whole or not at all. The processor's alone.
struct RouteTable<Address: TrieAddress>: Sendable {
    /// The best routes.
    private(set) var trie = RadixTrie<Address, RouteValue>()
    private var poptrie: Poptrie<Address>
    /// The other routes of a prefix, by metric.
    private var others: [Prefix<Address>: [RouteValue]] = [:]
    private let prefixLimit: Int

    /// A table with no routes.
    init(namespace: NamespaceIndex, prefixLimit: Int) {
        poptrie = Poptrie(namespace: namespace)
        self.prefixLimit = prefixLimit
    }

    /// The routes to exactly this prefix, the best first.
    func routes(at prefix: Prefix<Address>) -> [RouteValue] {
        guard let best = trie.value(at: prefix) else { return [] }
        return best.hasOthers ? [best] + (others[prefix] ?? []) : [best]
    }

    /// How a route that is there already takes another's next hops.
    enum Union {
        /// The new ones join those that are there.
        case join
        /// The new ones take their place.
        case replace
    }

    /// Adds a route, or changes the one of the same prefix and metric.
    ///
    /// - Parameters:
    ///   - route: The route.
    ///   - union: What becomes of the next hops that are there already.
    ///   - groups: The namespace's.
    ///   - pool: Where the blocks come from.
    /// - Returns: What that changed.
    /// - Throws: `RouterError` of kind `exists` when all next hops to join are there already; of kind
    ///   `invalidValue` or `limit`; then nothing is changed.
    mutating func put(
        _ route: Route<Address>, _ union: Union, groups: inout PathGroups, pool: inout TriePool
    ) throws(RouterError) -> RouteChange<Address> {
        var routes = routes(at: route.prefix)
        guard !routes.isEmpty || trie.count < prefixLimit else {
            throw RouterError(
                .limit,
                "a table has at most \(prefixLimit) prefixes: cannot add \(route.prefix)")
        }
        let place = routes.firstIndex { $0.metric >= route.metric } ?? routes.count
        let isThere = place < routes.count && routes[place].metric == route.metric
        let old = isThere ? routes[place].group : .none
        let oldHops = groups.members(of: old)
        var nextHops = route.nextHops
        if union == .join {
            let joining = route.nextHops.filter { hop in
                !oldHops.contains { $0.destination == hop.destination }
            }
            guard !joining.isEmpty || nextHops.isEmpty else {
                throw RouterError(
                    .exists, "the route to \(route.prefix) of metric \(route.metric) is there")
            }
            nextHops = oldHops + joining
        }
        let group = try groups.use(nextHops, replacing: old, pool: &pool)
        let value = RouteValue(group: group, origin: route.origin, metric: route.metric)
        if isThere { routes[place] = value } else { routes.insert(value, at: place) }
        do {
            let answers = try apply(routes, at: route.prefix, pool: &pool)
            if !old.isNone { groups.release(old, epoch: pool.commit(), pool: &pool) }
            return change(of: route.prefix, answers, from: oldHops, to: groups.members(of: group))
        } catch {
            groups.release(group, epoch: 0, pool: &pool)
            throw error
        }
    }

    /// Removes a route, or one of its next hops.
    ///
    /// - Parameters:
    ///   - prefix: The route's prefix.
    ///   - metric: Its metric.
    ///   - nextHop: The one to remove; nil to remove all.
    ///   - groups: The namespace's.
    ///   - pool: Where the blocks come from.
    /// - Returns: What that changed.
    /// - Throws: `RouterError` of kind `notFound`, or `limit` when even what the pool keeps for removals is
    ///   exhausted; then nothing is changed.
    mutating func remove(
        _ prefix: Prefix<Address>, metric: UInt32, nextHop: DestinationHandle?,
        groups: inout PathGroups, pool: inout TriePool
    ) throws(RouterError) -> RouteChange<Address> {
        var routes = routes(at: prefix)
        guard let place = routes.firstIndex(where: { $0.metric == metric }) else {
            throw RouterError(.notFound, "there is no route to \(prefix) of metric \(metric)")
        }
        let old = routes[place].group
        let oldHops = groups.members(of: old)
        let nextHops = nextHop.map { gone in oldHops.filter { $0.destination != gone } } ?? []
        guard nextHops.count < oldHops.count else {
            throw RouterError(
                .notFound, "the route to \(prefix) of metric \(metric) has no such next hop")
        }
        var group = PathGroupIndex.none
        if nextHops.isEmpty {
            routes.remove(at: place)
        } else {
            group = try groups.use(nextHops, replacing: old, pool: &pool)
            routes[place].group = group
        }
        do {
            let answers = try apply(routes, at: prefix, pool: &pool)
            groups.release(old, epoch: pool.commit(), pool: &pool)
            return change(of: prefix, answers, from: oldHops, to: nextHops)
        } catch {
            groups.release(group, epoch: 0, pool: &pool)
            throw error
        }
    }

    /// Removes all routes; the groups go with their namespace.
    mutating func removeAll(pool: inout TriePool) {
        poptrie.removeAll(pool: &pool)
        trie = RadixTrie()
        others = [:]
    }

    /// What addresses of a prefix find that no longer one covers.
    private func answer(at prefix: Prefix<Address>) -> PathGroupIndex {
        (trie.value(at: prefix) ?? trie.covering(prefix)?.value)?.group ?? .none
    }

    /// Gives a prefix its routes, by metric, and readers the best of them.
    private mutating func apply(
        _ routes: [RouteValue], at prefix: Prefix<Address>, pool: inout TriePool
    ) throws(RouterError) -> (before: PathGroupIndex, after: PathGroupIndex) {
        let before = answer(at: prefix)
        let old: RouteValue?
        if var best = routes.first {
            best.hasOthers = routes.count > 1
            old = trie.set(best, at: prefix)
        } else {
            old = trie.remove(prefix)
        }
        if old?.group != routes.first?.group {
            do {
                try poptrie.update(prefix, from: trie, pool: &pool)
            } catch {
                if let old { trie.set(old, at: prefix) } else { trie.remove(prefix) }
                throw error
            }
        }
        if routes.count > 1 || old?.hasOthers == true {
            let rest = routes.dropFirst().map { route in
                RouteValue(group: route.group, origin: route.origin, metric: route.metric)
            }
            others[prefix] = rest.isEmpty ? nil : rest
        }
        return (before, answer(at: prefix))
    }

    private func change(
        of prefix: Prefix<Address>, _ answers: (before: PathGroupIndex, after: PathGroupIndex),
        from old: [NextHop], to new: [NextHop]
    ) -> RouteChange<Address> {
        RouteChange(
            prefix: prefix, before: answers.before, after: answers.after,
            added: new.filter { !old.contains($0) }, removed: old.filter { !new.contains($0) })
    }
}
