internal import RoostMemory

/// Making neighbours and taking them out.
extension NeighbourTable {
    /// Why a neighbour was not made.
    struct Refusal: Error {
        var reason: NeighbourDrop
    }

    /// Makes a neighbour of which nothing is known, if the limits leave room or something makes it.
    ///
    /// - Parameters:
    ///   - key: What it is found by; nobody has the key.
    ///   - isUnresolved: Whether it is going to be asked for.
    ///   - sink: Told what is dropped to make room.
    /// - Returns: The neighbour, or why it was not made.
    mutating func make(
        _ key: NeighbourKey, asUnresolved isUnresolved: Bool,
        _ sink: inout some NeighbourSink & ~Copyable
    ) -> Result<NeighbourHandle, Refusal> {
        guard Int(key.port.rawValue) < ports.count else {
            return .failure(Refusal(reason: .portDown))
        }
        let port = ports[Int(key.port.rawValue)]
        guard port.isKnown else { return .failure(Refusal(reason: .portDown)) }
        let account = Int(port.namespace.rawValue)
        if isUnresolved, let reason = makeUnresolvedRoom(key.port, &sink) {
            namespaces[account].refusedEntries &+= 1
            return .failure(Refusal(reason: reason))
        }
        while neighbourCount(of: key.port) >= limits.entriesPerPort
            || namespaces[account].entries >= namespaces[account].quota.entries
        {
            guard evictFailed(key.port, &sink) || evictStale(key.port, &sink) else {
                namespaces[account].refusedEntries &+= 1
                return .failure(Refusal(reason: .entryLimit))
            }
        }
        guard let place = freePlace() else {
            namespaces[account].refusedEntries &+= 1
            return .failure(Refusal(reason: .entryLimit))
        }
        let handle = NeighbourHandle(rawValue: place)
        records[Int(place)] = NeighbourRecord(
            isUsed: true, isDead: false, queueCount: 0, namespace: port.namespace, holders: 0,
            queueFirst: 0, queueLast: 0, key: key, state: NeighbourState())
        view.publish(NeighbourWord(rawValue: 0), of: handle)
        guard view.insert(key, handle) else {
            records[Int(place)].isUsed = false
            lists.append(place, to: Self.freeList)
            namespaces[account].refusedEntries &+= 1
            return .failure(Refusal(reason: .entryLimit))
        }
        namespaces[account].entries += 1
        count += 1
        settle(handle)
        return .success(handle)
    }

    /// Makes room for one more neighbour that is asked for; answers why there is none.
    mutating func makeUnresolvedRoom(
        _ port: PortIndex, _ sink: inout some NeighbourSink & ~Copyable
    ) -> NeighbourDrop? {
        let usage = namespaces[Int(ports[Int(port.rawValue)].namespace.rawValue)]
        guard usage.asked < usage.quota.asked else { return .unresolvedLimit }
        let asked = Self.list(port, .asked)
        let failed = Self.list(port, .failed)
        while lists.count(asked) + lists.count(failed) >= limits.unresolvedPerPort {
            guard evictFailed(port, &sink) else { return .unresolvedLimit }
        }
        return nil
    }

    /// How many neighbours a port has.
    func neighbourCount(of port: PortIndex) -> Int {
        NeighbourClass.allCases.reduce(0) { $0 + lists.count(Self.list(port, $1)) }
    }

    /// Takes a neighbour out: nobody finds it any more, and packets that wait are dropped.
    ///
    /// One that is held goes to its namespace's loopback and with its last holder.
    mutating func remove(
        _ handle: NeighbourHandle, reason: NeighbourDrop,
        _ sink: inout some NeighbourSink & ~Copyable
    ) {
        dropQueue(handle, reason, &sink)
        takeOut(handle)
        let place = Int(handle.rawValue)
        guard records[place].holders > 0 else {
            retire(handle)
            return
        }
        records[place].isDead = true
        records[place].state = NeighbourState()
        records[place].key.port = ports[Int(records[place].key.port.rawValue)].loopback
        lists.append(handle.rawValue, to: Self.list(records[place].key.port, .settled))
    }

    /// Lets nobody find a neighbour any more.
    mutating func takeOut(_ handle: NeighbourHandle) {
        let record = records[Int(handle.rawValue)]
        view.remove(record.key)
        view.publish(.dead, of: handle)
        timers.cancel(handle.rawValue)
        if lists.list(of: handle.rawValue) == Self.list(record.key.port, .asked) {
            namespaces[Int(record.namespace.rawValue)].asked -= 1
        }
        lists.remove(handle.rawValue)
    }

    /// Has the place of a neighbour that nobody finds or holds be used again once no reader sees it.
    mutating func retire(_ handle: NeighbourHandle) {
        let place = Int(handle.rawValue)
        namespaces[Int(records[place].namespace.rawValue)].entries -= 1
        count -= 1
        records[place].isUsed = false
        records[place].isDead = false
        records[place].state = NeighbourState()
        epochs[place] = quiescence.retire()
        lists.append(handle.rawValue, to: Self.retiredList)
    }

    private mutating func freePlace() -> UInt32? {
        // Two for each that is taken: what was retired is all free before long.
        for _ in 0..<2 {
            let first = lists.first(Self.retiredList)
            guard first != 0, quiescence.hasPassed(epochs[Int(first)]) else { break }
            lists.append(first, to: Self.freeList)
        }
        let free = lists.first(Self.freeList)
        if free != 0 {
            lists.remove(free)
            return free
        }
        guard touched < view.limit else { return nil }
        touched += 1
        return UInt32(touched)
    }

    /// Forgets the oldest failure of a port that nobody holds.
    private mutating func evictFailed(
        _ port: PortIndex, _ sink: inout some NeighbourSink & ~Copyable
    ) -> Bool {
        evict(from: Self.list(port, .failed), &sink)
    }

    /// Forgets the neighbour of a port that has been stale for longest and that nobody holds.
    private mutating func evictStale(
        _ port: PortIndex, _ sink: inout some NeighbourSink & ~Copyable
    ) -> Bool {
        evict(from: Self.list(port, .stale), &sink)
    }

    private mutating func evict(
        from list: Int, _ sink: inout some NeighbourSink & ~Copyable
    ) -> Bool {
        /// How many are looked at: those held are few, and the work is bounded.
        let lookLimit = 8
        var thing = lists.first(list)
        for _ in 0..<lookLimit where thing != 0 {
            if records[Int(thing)].holders == 0 {
                remove(NeighbourHandle(rawValue: thing), reason: .removed, &sink)
                statistics.evictions &+= 1
                return true
            }
            thing = lists.next(thing)
        }
        return false
    }
}
