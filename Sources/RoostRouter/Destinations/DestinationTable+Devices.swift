internal import RoostMemory

/// Ports and namespaces coming and going.
///
/// Each event costs as much as its own port or namespace has entries, and is carried out in slices by
/// ``DestinationTable/collect(clock:operations:)``. Who adds an entry meanwhile meets the port's new state, so an
/// event ends however fast entries are made, and it waits for no holder.
extension DestinationTable {
    /// A namespace, with the port of its own at which entries are parked that had to leave theirs.
    ///
    /// - Throws: `RouterError` of kind `exists` when it is there, or is not gone yet.
    public mutating func addNamespace(
        _ namespace: NamespaceIndex, loopback: PortIndex
    ) throws(RouterError) {
        guard hasGone(namespace) else {
            throw RouterError(.exists, "\(namespace) is there already: wait until it has gone")
        }
        namespaces[Int(namespace.rawValue)] = NamespacePlace()
        namespaces[Int(namespace.rawValue)].state = .present
        namespaces[Int(namespace.rawValue)].loopback = loopback
        if loopback != .blackhole { try addPort(loopback, namespace: namespace) }
    }

    /// A port of a namespace, up.
    ///
    /// - Throws: `RouterError` of kind `exists` when it is there, or is not gone yet.
    public mutating func addPort(
        _ port: PortIndex, namespace: NamespaceIndex
    ) throws(RouterError) {
        guard hasGone(port) else {
            throw RouterError(.exists, "\(port) is there already: wait until it has gone")
        }
        ports[Int(port.rawValue)].state = .up
        ports[Int(port.rawValue)].namespace = namespace
    }

    /// A port came up again.
    ///
    /// Entries that saw it down stay dead; their owners make new ones.
    public mutating func portCameUp(_ port: PortIndex) {
        if ports[Int(port.rawValue)].state == .down { ports[Int(port.rawValue)].state = .up }
    }

    /// A port went down: its entries, live and waiting, will discard in both directions.
    public mutating func portWentDown(_ port: PortIndex, now: UInt64) {
        guard port != .blackhole, ports[Int(port.rawValue)].state == .up else { return }
        ports[Int(port.rawValue)].state = .down
        ports[Int(port.rawValue)].entries.cursor = ports[Int(port.rawValue)].entries.first
        begin(.down(port), now: now)
    }

    /// A port is to go: its entries move to their namespace's loopback, discarding, with their
    /// neighbours.
    ///
    /// The port may go when ``hasGone(_:)-(PortIndex)`` says so, whoever still holds what was its own.
    public mutating func portRemoved(_ port: PortIndex, now: UInt64) {
        let place = ports[Int(port.rawValue)]
        guard port != .blackhole, place.state == .up || place.state == .down,
            namespaces[Int(place.namespace.rawValue)].loopback != port
        else { return }
        ports[Int(port.rawValue)].state = .leaving
        events.removeAll { $0 == .down(port) }
        begin(.removed(port), now: now)
    }

    /// A namespace is to go, loopback and all: its entries move to the blackhole, discarding.
    ///
    /// Its other ports are to be removed before, as ports; whose port was not is the next namespace's of
    /// the same number.
    public mutating func namespaceRemoved(_ namespace: NamespaceIndex, now: UInt64) {
        guard namespaces[Int(namespace.rawValue)].state == .present else { return }
        namespaces[Int(namespace.rawValue)].state = .leaving
        begin(.namespaceRemoved(namespace), now: now)
    }

    /// Whether no entry refers to a port, and no batch that may have seen one is under way.
    public func hasGone(_ port: PortIndex) -> Bool {
        let place = ports[Int(port.rawValue)]
        return place.state == .unknown
            && (place.lastEpoch == 0 || quiescence.hasPassed(place.lastEpoch))
    }

    /// Whether no entry refers to a namespace, and no batch that may have seen one is under way.
    public func hasGone(_ namespace: NamespaceIndex) -> Bool {
        let place = namespaces[Int(namespace.rawValue)]
        return place.state == .unknown
            && (place.lastEpoch == 0 || quiescence.hasPassed(place.lastEpoch))
    }

    private mutating func begin(_ event: DeviceEvent, now: UInt64) {
        if !events.contains(event) { events.append(event) }
        // The event's own pass takes what it leaves behind; one that is due anyway is the same.
        if collector.pass == nil, collector.garbageCount + collector.waitingCount > 0 {
            collector.pace.passWanted(now: now)
        }
    }

    /// Carries the first event on by one entry.
    ///
    /// - Returns: Whether there was an event.
    internal mutating func continueEvent(
        operations: inout some DestinationOperations & ~Copyable
    ) -> Bool {
        switch events.first {
        case .down(let port): continueDown(port, operations: &operations)
        case .removed(let port): continueRemoval(port, operations: &operations)
        case .namespaceRemoved(let namespace):
            continueRemoval(namespace, operations: &operations)
        case nil: return false
        }
        return true
    }

    private mutating func continueDown(
        _ port: PortIndex, operations: inout some DestinationOperations & ~Copyable
    ) {
        let handle = DestinationHandle(
            rawValue: ports[Int(port.rawValue)].entries.cursor)
        guard !handle.isNone else {
            events.removeFirst()
            return
        }
        ports[Int(port.rawValue)].entries.cursor = portLinks.next(after: handle.rawValue)
        operations.interfaceDown(handle, port: port, isRemoved: false)
        slab.store(slab.word(of: handle).discarding, of: handle)
    }

    private mutating func continueRemoval(
        _ port: PortIndex, operations: inout some DestinationOperations & ~Copyable
    ) {
        let handle = DestinationHandle(rawValue: ports[Int(port.rawValue)].entries.first)
        guard !handle.isNone else {
            ports[Int(port.rawValue)] = PortPlace(lastEpoch: quiescence.retire())
            events.removeFirst()
            return
        }
        let namespace = Int(records[handle.index].namespace)
        park(handle, at: namespaces[namespace].loopback, operations: &operations)
    }

    private mutating func continueRemoval(
        _ namespace: NamespaceIndex, operations: inout some DestinationOperations & ~Copyable
    ) {
        let index = Int(namespace.rawValue)
        let handle = DestinationHandle(rawValue: namespaces[index].entries.first)
        guard !handle.isNone else {
            finishRemoval(namespace)
            return
        }
        park(handle, at: .blackhole, operations: &operations)
        let isRetired =
            records[handle.index].state == .garbage || records[handle.index].state == .waiting
        namespaceLinks.remove(handle.rawValue, from: &namespaces[index].entries)
        namespaces[index].account.entries -= 1
        if isRetired { namespaces[index].account.retired -= 1 }
        records[handle.index].isOrphan = true
        namespaceLinks.insert(handle.rawValue, in: &orphans.entries)
        orphans.account.entries += 1
        if isRetired { orphans.account.retired += 1 }
    }

    private mutating func finishRemoval(_ namespace: NamespaceIndex) {
        let loopback = namespaces[Int(namespace.rawValue)].loopback
        let epoch = quiescence.retire()
        if loopback != .blackhole {
            ports[Int(loopback.rawValue)] = PortPlace(lastEpoch: epoch)
        }
        namespaces[Int(namespace.rawValue)] = NamespacePlace(lastEpoch: epoch)
        events.removeFirst()
    }

    /// Moves an entry away from its port for good.
    private mutating func park(
        _ handle: DestinationHandle, at loopback: PortIndex,
        operations: inout some DestinationOperations & ~Copyable
    ) {
        let old = slab.word(of: handle)
        operations.interfaceDown(handle, port: old.port, isRemoved: true)
        var word = old.discarding
        word.port = loopback
        slab.store(word, of: handle)
        guard old.port != loopback else { return }
        if records[handle.index].formerPort == 0 {
            records[handle.index].formerPort = old.port.rawValue
        }
        move(handle, from: old.port, to: loopback)
        let neighbour = slab.link(of: handle).neighbour
        if !neighbour.isNone { operations.rehome(neighbour, from: old.port, to: loopback) }
    }
}
