internal import RoostMemory

/// What a change did to exceptions.
struct ExceptionInvalidation: Equatable, Sendable {
    /// How many exceptions are gone because their answer changed.
    var removed = 0
    /// How many exceptions were looked at: those gone, and one for each more specific route passed.
    var visited = 0
    /// Whether it was too much at once, so that the namespace's generation changed instead.
    var isWhole = false
}

/// Routes, next hops, neighbours and ports change: exceptions whose answer changes go, no others.
///
/// An exception is right as long as its next hop is among those of the route that its destination
/// matches. So only next hops that a route *lost* matter, and of their exceptions, in the order of
/// addresses, those within the route's prefix that no more specific route covers.
extension ExceptionTable {
    /// A route lost next hops: it changed, went, or a more specific one came in its place.
    ///
    /// - Parameters:
    ///   - prefix: The route's prefix.
    ///   - lost: Next hops by which addresses of the prefix went before and no longer go.
    ///   - namespace: The route's namespace.
    ///   - table: The entries.
    ///   - now: In milliseconds.
    ///   - matchLength: The length of the prefix that an address matches after the change, 0 if none.
    /// - Returns: What it did.
    mutating func routeChanged<Address: NetworkAddress>(
        _ prefix: Prefix<Address>, lost: [DestinationHandle], in namespace: NamespaceIndex,
        of table: inout DestinationTable, now: UInt64, matchLength: (Address) -> Int
    ) -> ExceptionInvalidation {
        func match(_ key: IndexKey) -> Prefix<Address> {
            let address = Address(high: key.high, low: key.low)
            return Prefix(address, length: max(matchLength(address), prefix.length))
        }
        var done = ExceptionInvalidation()
        for nextHop in Set(lost) {
            var from: IndexKey? = IndexKey(scope: nextHop.rawValue, address: prefix.address)
            while let start = from, case let handle = order.first(notBelow: start), handle != 0,
                case let key = order.key(of: handle), key.scope == nextHop.rawValue,
                case let covering = match(key), prefix.contains(covering)
            {
                done.visited += 1
                guard done.visited <= limits.exactChange else {
                    startGeneration(of: namespace)
                    done.isWhole = true
                    return done
                }
                if covering.length > prefix.length {
                    from = Self.key(after: covering, scope: nextHop.rawValue)
                } else {
                    remove(handle, from: &table, now: now)
                    counts.invalidated += 1
                    done.removed += 1
                }
            }
        }
        return done
    }

    /// The first key past a prefix; nil when it reaches the end of all addresses.
    private static func key<Address>(after prefix: Prefix<Address>, scope: UInt32) -> IndexKey? {
        let (high, low) = prefix.address.halves
        let hostBits = Address.bitWidth - prefix.length
        if hostBits < 64 {
            let (next, overflow) = low.addingReportingOverflow(1 << UInt64(hostBits))
            guard overflow else { return IndexKey(scope: scope, high: high, low: next) }
        }
        let step = hostBits <= 64 ? 1 : UInt64(1) << UInt64(hostBits - 64)
        let (next, overflow) = high.addingReportingOverflow(step)
        return overflow || hostBits == 128 ? nil : IndexKey(scope: scope, high: next, low: 0)
    }

    /// A next hop goes: no route leads to it any more.
    ///
    /// Called until it answers true, for every next hop that is retired.
    mutating func nextHopLost(
        _ nextHop: DestinationHandle, of table: inout DestinationTable, now: UInt64, budget: Int
    ) -> Bool {
        if nextHops[nextHop.index].failureExpires != 0 {
            timers.cancel(nextHop.rawValue)
            nextHops[nextHop.index].failureExpires = 0
        }
        for _ in 0..<budget {
            guard case let oldest = byNextHop.first(nextHop.index), oldest != 0 else { break }
            remove(oldest, from: &table, now: now)
            counts.invalidated += 1
        }
        return byNextHop.count(nextHop.index) == 0
    }

    /// A port went down or goes.
    ///
    /// Called until it answers true. The entries themselves discard already, by what
    /// ``DestinationTable`` does about the port.
    mutating func portLost(
        _ port: PortIndex, of table: inout DestinationTable, now: UInt64, budget: Int
    ) -> Bool {
        for _ in 0..<budget {
            guard case let oldest = byPort.first(Int(port.rawValue)), oldest != 0 else { break }
            remove(oldest, from: &table, now: now)
            counts.invalidated += 1
        }
        return byPort.count(Int(port.rawValue)) == 0
    }

    /// A neighbour fails or goes: redirects to it end, other facts of their destinations stay.
    ///
    /// Called until it answers true.
    mutating func neighbourLost(
        _ neighbour: NeighbourHandle, of table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64, budget: Int
    ) -> Bool {
        let list = Int(neighbour.rawValue)
        guard list <= limits.greatestNeighbour else { return true }
        for _ in 0..<budget {
            guard case let oldest = byNeighbour.first(list), oldest != 0 else { break }
            var facts = records[Int(oldest)].facts
            facts.redirect = nil
            counts.invalidated += 1
            replaceOrRemove(
                facts, at: records[Int(oldest)].place, of: oldest, in: &table,
                operations: &operations, now: now)
        }
        return byNeighbour.count(list) == 0
    }

    /// A namespace goes: called until it answers true.
    mutating func namespaceLost(
        _ namespace: NamespaceIndex, of table: inout DestinationTable, now: UInt64, budget: Int
    ) -> Bool {
        let list = Int(namespace.rawValue)
        for _ in 0..<budget {
            guard case let oldest = members.first(list), oldest != 0 else { break }
            remove(oldest, from: &table, now: now)
            counts.invalidated += 1
        }
        return members.count(list) == 0
    }

    /// Much changed at once: no exception of a namespace is believed until it was looked at.
    ///
    /// ``revalidate(of:now:budget:isAnswer:)`` does that. The change itself is one store.
    mutating func startGeneration(of namespace: NamespaceIndex) {
        index.startGeneration(of: namespace)
        sweeps.removeAll { $0.namespace == namespace }
        sweeps.append(
            ExceptionSweep(
                namespace: namespace, cursor: members.first(Int(namespace.rawValue))))
    }

    /// Looks at exceptions of namespaces whose generation changed.
    ///
    /// - Parameters:
    ///   - table: The entries.
    ///   - now: In milliseconds.
    ///   - budget: How many it looks at, at most.
    ///   - isAnswer: Whether a destination of a namespace goes by its next hop still.
    /// - Returns: Whether all were looked at.
    mutating func revalidate(
        of table: inout DestinationTable, now: UInt64, budget: Int,
        isAnswer: (ExceptionPlace, NamespaceIndex) -> Bool
    ) -> Bool {
        var left = budget
        while let sweep = sweeps.first {
            guard sweep.cursor != 0 else {
                sweeps.removeFirst()
                continue
            }
            guard left > 0 else { return false }
            left -= 1
            sweeps[0].cursor = members.next(sweep.cursor)
            if isAnswer(records[Int(sweep.cursor)].place, sweep.namespace) {
                table.setGeneration(
                    index.generation(of: sweep.namespace),
                    of: DestinationHandle(rawValue: sweep.cursor))
            } else {
                counts.invalidated += 1
                remove(sweep.cursor, from: &table, now: now)
            }
        }
        return true
    }
}
