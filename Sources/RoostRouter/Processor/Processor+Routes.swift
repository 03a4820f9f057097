/// Routes and the destinations that they lead to.
extension Processor {
    /// The metric of routes that a port's own addresses make: no other comes before them.
    private static let ownMetric: UInt32 = 0
    /// The metric of broadcasts: an address of the router may be the last one of a smaller subnet.
    private static let broadcastMetric: UInt32 = 1

    // MARK: What a port's addresses make

    /// Adds the routes of a port that was opened: its own addresses, its subnets, their broadcasts.
    mutating func addRoutes(of port: PortEntry) throws(RouterError) {
        for own in port.addresses4 {
            try add(Prefix(own.address, length: 32), .local, .local, port)
            if own.subnet.length < 32 {
                try add(own.subnet, .forward(gateway: nil), .connected, port)
            }
            // A subnet of two addresses has neither a broadcast nor an unused one (RFC 3021).
            guard own.subnet.length < 31 else { continue }
            let last = IPv4Address(
                rawValue: own.subnet.address.rawValue | UInt32.max >> UInt32(own.subnet.length))
            for address in [own.subnet.address, last] where address != own.address {
                try add(Prefix(address, length: 32), .broadcast, .broadcast, port)
            }
        }
        for own in port.addresses6 {
            try add(Prefix(own.address, length: 128), .local, .local, port)
            // Link-local subnets are on every port; packets to them never leave theirs.
            guard own.subnet.length < 128, !own.address.isLinkLocal else { continue }
            try add(own.subnet, .forward(gateway: nil), .connected, port)
        }
    }

    private mutating func add<Address: RoutedAddress>(
        _ prefix: Prefix<Address>, _ kind: NextHopKey.Kind, _ origin: RouteOrigin, _ port: PortEntry
    ) throws(RouterError) {
        let key = NextHopKey(kind: kind, family: Address.family, port: port.index)
        let hop = try nextHop(key, in: port.namespace)
        do throws(RouterError) {
            try add(
                Route(
                    prefix, metric: kind == .broadcast ? Self.broadcastMetric : Self.ownMetric,
                    origin: origin.rawValue, nextHops: [NextHop(hop)]), in: port.namespace)
        } catch {
            // Two addresses in one subnet have its route in common.
            guard error.kind == .exists else { throw error }
        }
    }

    // MARK: Routes that were asked for

    /// Adds a route of the configuration.
    ///
    /// - Throws: `RouterError` when a port is not there or a bound is reached; nothing is changed then.
    mutating func add(
        _ route: RouteConfiguration, in namespace: NamespaceIndex
    ) throws(RouterError) {
        switch route.prefix {
        case .ipv4(let prefix): try add(route, prefix, in: namespace)
        case .ipv6(let prefix): try add(route, prefix, in: namespace)
        }
    }

    private mutating func add<Address: RoutedAddress>(
        _ route: RouteConfiguration, _ prefix: Prefix<Address>, in namespace: NamespaceIndex
    ) throws(RouterError) {
        var hops: [NextHop] = []
        for (key, weight) in try keys(of: route, Address.family, in: namespace) {
            do throws(RouterError) {
                hops.append(NextHop(try nextHop(key, in: namespace), weight: weight))
            } catch {
                dropUnused(in: namespace)
                throw error
            }
        }
        try add(
            Route(
                prefix, metric: route.metric, origin: RouteOrigin.configured.rawValue,
                nextHops: hops), in: namespace)
    }

    private func keys(
        of route: RouteConfiguration, _ family: AddressFamily, in namespace: NamespaceIndex
    ) throws(RouterError) -> [(NextHopKey, UInt8)] {
        let kind: NextHopKey.Kind
        switch route.action {
        case .forward(let hops):
            var keys: [(NextHopKey, UInt8)] = []
            for hop in hops {
                guard let port = namespaces[Int(namespace.rawValue)].ports[hop.port] else {
                    throw RouterError(
                        .notFound,
                        "the route to \(route.prefix) goes by port \(hop.port), which is not there")
                }
                keys.append(
                    (
                        NextHopKey(
                            kind: .forward(gateway: hop.gateway), family: family, port: port),
                        UInt8(clamping: hop.weight)
                    ))
            }
            return keys
        case .blackhole: kind = .blackhole
        case .unreachable: kind = .unreachable
        case .prohibit: kind = .prohibit
        }
        return [(NextHopKey(kind: kind, family: family, port: .blackhole), 1)]
    }

    private mutating func add<Address: RoutedAddress>(
        _ route: Route<Address>, in namespace: NamespaceIndex
    ) throws(RouterError) {
        let change: RouteChange<Address>
        do throws(RouterError) {
            change = try forwarding.put(route, .join, in: namespace)
        } catch {
            dropUnused(in: namespace)
            throw error
        }
        follow(change, in: namespace)
    }

    // MARK: Routes of ports that go and come

    /// Takes every route by a port out of the tables, and those next hops that nothing leads to then.
    ///
    /// - Returns: The routes, to be added again should the port come back.
    mutating func withdrawRoutes(by port: PortEntry) -> [WithdrawnRoute] {
        let four: [WithdrawnRoute.Part<IPv4Address>] = withdraw(by: port)
        let six: [WithdrawnRoute.Part<IPv6Address>] = withdraw(by: port)
        dropUnused(in: port.namespace)
        return four.map { .ipv4($0) } + six.map { .ipv6($0) }
    }

    private mutating func withdraw<Address: RoutedAddress>(
        by port: PortEntry
    ) -> [WithdrawnRoute.Part<Address>] {
        let namespace = port.namespace
        let keys = namespaces[Int(namespace.rawValue)].keys
        var found: [(hop: DestinationHandle, route: WithdrawnRoute.Part<Address>)] = []
        // It throws for a namespace that is none only.
        try? forwarding.forEachRoute(under: Prefix<Address>.all, in: namespace) { route in
            for hop in route.nextHops {
                guard let key = keys[hop.destination], key.port == port.index else { continue }
                found.append(
                    (
                        hop.destination,
                        .init(
                            prefix: route.prefix, metric: route.metric, origin: route.origin,
                            key: key, weight: hop.weight)
                    ))
            }
            return true
        }
        var withdrawn: [WithdrawnRoute.Part<Address>] = []
        for (hop, part) in found {
            do throws(RouterError) {
                let change = try forwarding.take(
                    part.prefix, metric: part.metric, nextHop: hop, in: namespace)
                follow(change, in: namespace)
                withdrawn.append(part)
            } catch {
                // Even the memory kept for removals is spent: the route stays, and its entry discards.
                continue
            }
        }
        return withdrawn
    }

    /// Adds a route of a port again that has come back.
    mutating func restore(
        _ route: WithdrawnRoute, in namespace: NamespaceIndex
    ) throws(RouterError) {
        switch route {
        case .ipv4(let part): try restore(part, in: namespace)
        case .ipv6(let part): try restore(part, in: namespace)
        }
    }

    private mutating func restore<Address: RoutedAddress>(
        _ part: WithdrawnRoute.Part<Address>, in namespace: NamespaceIndex
    ) throws(RouterError) {
        let hop = NextHop(try nextHop(part.key, in: namespace), weight: part.weight)
        try add(
            Route(part.prefix, metric: part.metric, origin: part.origin, nextHops: [hop]),
            in: namespace)
    }

    /// Takes account of a change: who uses which next hop, and what was learned that holds no more.
    private mutating func follow<Address: RoutedAddress>(
        _ change: RouteChange<Address>, in namespace: NamespaceIndex
    ) {
        let place = Int(namespace.rawValue)
        for hop in change.added { namespaces[place].count(1, of: hop.destination) }
        for hop in change.removed { namespaces[place].count(-1, of: hop.destination) }
        if change.changesForwarding {
            followExceptions(change, in: namespace)
        }
        dropUnused(in: namespace)
    }

    /// Forgets what was learned behind next hops that the addresses of a changed prefix have lost.
    private mutating func followExceptions<Address: RoutedAddress>(
        _ change: RouteChange<Address>, in namespace: NamespaceIndex
    ) {
        // They throw for a namespace that is none only.
        let before = (try? forwarding.nextHops(of: change.before, in: namespace)) ?? []
        let after = (try? forwarding.nextHops(of: change.after, in: namespace)) ?? []
        let kept = Set(after.map(\.destination))
        let lost = (before + change.removed).map(\.destination).filter { !kept.contains($0) }
        guard !lost.isEmpty else { return }
        Self.followExceptions(
            change.prefix, Array(Set(lost)), in: namespace, forwarding, &exceptions, &destinations,
            now)
    }

    private static func followExceptions<Address: RoutedAddress>(
        _ prefix: Prefix<Address>, _ lost: [DestinationHandle], in namespace: NamespaceIndex,
        _ forwarding: borrowing ForwardingTables, _ exceptions: inout ExceptionTable,
        _ destinations: inout DestinationTable, _ now: UInt64
    ) {
        _ = exceptions.routeChanged(
            prefix, lost: lost, in: namespace, of: &destinations, now: now
        ) { address in
            // It throws for a namespace that is none only.
            (try? forwarding.longestPrefix(of: address, in: namespace))??.length ?? 0
        }
    }

    // MARK: Next hops

    /// The entry of a next hop, made if there is none.
    private mutating func nextHop(
        _ key: NextHopKey, in namespace: NamespaceIndex
    ) throws(RouterError) -> DestinationHandle {
        let place = Int(namespace.rawValue)
        if let known = namespaces[place].nextHops[key] { return known.destination }
        let handle =
            exceptions.quotas.has(
                .entries, beside: destinations.account(of: namespace).entries, for: namespace)
            ? destinations.allocate(
                key.family, namespace: namespace, now: now, operations: &remains) : .none
        guard !handle.isNone else {
            throw RouterError(
                .limit,
                "namespace '\(namespaces[place].name)' has as many destinations as it may, "
                    + "\(exceptions.quotas.limit(.entries, of: namespace)): raise its "
                    + "limits.destinations, or let routes share next hops")
        }
        destinations.finish(handle, as: contents(of: key))
        namespaces[place].add(key, handle)
        return handle
    }

    private mutating func contents(of key: NextHopKey) -> DestinationContents {
        var contents = DestinationContents()
        contents.port = key.port
        switch key.kind {
        case .forward(let gateway):
            contents.input = .forward
            contents.output = .forward
            if let gateway {
                contents.gateway = gateway.halves
                let (high, low) = gateway.halves
                contents.neighbour = neighbours.acquire(
                    NeighbourKey(key.port, key.family, high: high, low: low), &outbox)
            } else {
                contents.flags.insert(.isOnLink)
            }
        case .local:
            contents.input = .deliver
            contents.output = .deliver
        case .broadcast: contents.input = .broadcast
        case .blackhole: break
        case .unreachable:
            contents.input = .answerError
            contents.error = .hostUnreachable
        case .prohibit:
            contents.input = .answerError
            contents.error = .prohibited
        }
        return contents
    }

    /// Retires the next hops that no route leads to.
    private mutating func dropUnused(in namespace: NamespaceIndex) {
        for destination in namespaces[Int(namespace.rawValue)].takeUnused() {
            farewells.append(.nextHop(destination))
        }
    }
}
