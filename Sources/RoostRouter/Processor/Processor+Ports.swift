/// Ports that go down, come up and go for good.
extension Processor {
    /// Takes a port down: packets through it are dropped from now on, its neighbours forgotten and its
    /// routes withdrawn, so that others to the same prefixes take over.
    mutating func takeDown(_ port: PortIndex) {
        guard var entry = outbox.port(port), entry.isUp else { return }
        _ = ports.setUp(false, port)
        destinations.portWentDown(port, now: now)
        neighbours.portDown(port, &outbox)
        entry.isUp = false
        entry.withdrawn = withdrawRoutes(by: entry)
        outbox.ports[Int(port.rawValue)] = entry
        farewells.append(.learnedThrough(port))
    }

    /// Takes a port up again, with its routes; their next hops are made anew, since those of before
    /// discard for ever.
    ///
    /// - Throws: `RouterError` of kind `limit` when there is no room for its routes; it is down then as
    ///   before.
    mutating func takeUp(_ port: PortIndex) throws(RouterError) {
        guard var entry = outbox.port(port), !entry.isUp else { return }
        destinations.portCameUp(port)
        _ = ports.setUp(true, port)
        let routes = entry.withdrawn
        entry.isUp = true
        entry.withdrawn = []
        outbox.ports[Int(port.rawValue)] = entry
        for (number, route) in routes.enumerated() {
            do throws(RouterError) {
                try restore(route, in: entry.namespace)
            } catch {
                takeDown(port)
                outbox.ports[Int(port.rawValue)]?.withdrawn += routes[number...]
                throw error
            }
        }
    }

    /// Does to a port what was asked for by hand.
    ///
    /// - Returns: How it was before and is now.
    /// - Throws: As ``takeUp(_:)``.
    mutating func change(
        _ port: PortIndex, _ change: PortChange
    ) throws(RouterError) -> PortChangeResult {
        guard let before = outbox.port(port) else {
            throw RouterError(.notFound, "the port has gone")
        }
        switch change {
        case .up: try set(port, isUp: true)
        case .down: try set(port, isUp: false)
        case .remove: remove(port)
        }
        let after = outbox.port(port)
        let isOther = before.isUp != after?.isUp
        return PortChangeResult(
            change, of: before.configuration.name,
            in: namespaces[Int(before.namespace.rawValue)].name, before: before.isUp ? .up : .down,
            after: after.map { $0.isUp ? .up : .down },
            isChanged: isOther || before.isHeldDown != after?.isHeldDown,
            routeCount: isOther ? max(before.withdrawn.count, after?.withdrawn.count ?? 0) : 0)
    }

    /// Takes a port up or down by hand; one that is down stays so whatever its device does.
    mutating func set(_ port: PortIndex, isUp: Bool) throws(RouterError) {
        outbox.ports[Int(port.rawValue)]?.isHeldDown = !isUp
        // The other end is told by its carrier, not where it went down by itself: then it could never
        // send the frame that takes the port up. For the router it is up or down in any case.
        try? directory.port(port)?.setCarrier(isUp)
        if isUp {
            try takeUp(port)
        } else {
            takeDown(port)
        }
    }

    /// Follows the devices of ports down and up.
    mutating func followLinks() {
        for (port, isUp) in directory.takeLinks() {
            guard let entry = outbox.port(port), !entry.isHeldDown else { continue }
            if isUp {
                // Without room for its routes it stays as it is, until its next frame.
                try? takeUp(port)
            } else {
                takeDown(port)
            }
        }
    }

    /// Removes a port for good; what holds its destinations keeps them on the namespace's loopback.
    mutating func remove(_ port: PortIndex) {
        guard let entry = outbox.port(port) else { return }
        _ = ports.remove(port)
        _ = withdrawRoutes(by: entry)
        directory.set(nil, at: port)
        namespaces[Int(entry.namespace.rawValue)].ports[entry.configuration.name] = nil
        outbox.ports[Int(port.rawValue)] = nil
        neighbours.removePort(port, &outbox)
        destinations.portRemoved(port, now: now)
        farewells.append(.port(port))
    }
}
