internal import RoostMemory

/// Answers, time and ports.
extension NeighbourTable {
    // MARK: - Answers

    /// Takes what a neighbour said; one that is not known is not made.
    ///
    /// An answer of ARP has no flags: it counts as asked for while the neighbour is being asked, and
    /// changes an address that has been kept for a while.
    ///
    /// - Returns: Whether the neighbour is known.
    @discardableResult
    mutating func answered(
        _ key: NeighbourKey, by answer: NeighbourAnswer, now: UInt64,
        _ sink: inout some NeighbourSink & ~Copyable
    ) -> Bool {
        let found = view.find(key)
        guard !found.isNone else { return false }
        var answer = answer
        let state = records[Int(found.rawValue)].state
        if key.family == .ipv4 {
            answer.isSolicited = answer.isSolicited && state.isAsked
            answer.isOverride = now >= state.changed + timing.lock
        }
        statistics.answers &+= 1
        _ = handle(.answer(answer), found, now: now, &sink)
        return true
    }

    /// Takes an address that a neighbour gave unasked with something meant for us (RFC 826; RFC 4861,
    /// section 7.2.3; RFC 9131): a neighbour that is not known becomes stale.
    mutating func learned(
        _ key: NeighbourKey, link: MACAddress, isRouter: Bool? = nil, now: UInt64,
        _ sink: inout some NeighbourSink & ~Copyable
    ) {
        let answer = NeighbourAnswer(
            link: link, isSolicited: false, isOverride: true, isRouter: isRouter)
        if answered(key, by: answer, now: now, &sink) { return }
        guard case .success(let made) = make(key, asUnresolved: false, &sink) else { return }
        statistics.learned &+= 1
        _ = handle(.answer(answer), made, now: now, &sink)
    }

    /// Notes that packets reach a neighbour, as the progress of a connection shows.
    mutating func confirm(
        _ handle: NeighbourHandle, now: UInt64, _ sink: inout some NeighbourSink & ~Copyable
    ) {
        guard records[Int(handle.rawValue)].isUsed else { return }
        _ = self.handle(.confirmation, handle, now: now, &sink)
    }

    // MARK: - Time

    /// Takes the notes of workers, and does what is due.
    ///
    /// - Parameters:
    ///   - now: In milliseconds; never less than before.
    ///   - limit: How many neighbours whose time is over are seen to.
    ///   - sink: Where it goes what follows.
    /// - Returns: Whether more is due.
    mutating func tick(
        now: UInt64, limit: Int = 256, _ sink: inout some NeighbourSink & ~Copyable
    ) -> Bool {
        takeUses(now: now, &sink)
        for _ in 0..<limit {
            guard let due = timers.popExpired(now: now) else { return false }
            let neighbour = NeighbourHandle(rawValue: due)
            let wasAsked = records[Int(due)].state.isAsked
            _ = handle(.timer, neighbour, now: now, &sink)
            if wasAsked, records[Int(due)].state.phase == .failed { statistics.failures &+= 1 }
        }
        return true
    }

    /// Takes what workers noted of stale neighbours: those that were used are confirmed or asked.
    mutating func takeUses(now: UInt64, _ sink: inout some NeighbourSink & ~Copyable) {
        for word in 0...touched / 64 {
            var uses = view.takeUses(at: word)
            while uses != 0 {
                let place = word * 64 + uses.trailingZeroBitCount
                uses &= uses &- 1  // Clears the lowest bit; there is one.
                // The note may be older than the neighbour that has the place now.
                guard records[place].isUsed, records[place].state.phase == .stale else { continue }
                _ = handle(.packet, NeighbourHandle(rawValue: UInt32(place)), now: now, &sink)
            }
        }
    }

    /// Asks for a neighbour, if its port's rate allows or it is held.
    mutating func solicit(
        _ handle: NeighbourHandle, isGroup: Bool, now: UInt64,
        _ sink: inout some NeighbourSink & ~Copyable
    ) {
        let record = records[Int(handle.rawValue)]
        if isGroup && !takeToken(of: record.key.port, now: now) && record.holders == 0 {
            statistics.suppressedSolicitations &+= 1
            return
        }
        statistics.solicitations &+= 1
        sink.solicit(record.key, to: isGroup ? nil : record.state.link)
    }

    private mutating func takeToken(of port: PortIndex, now: UInt64) -> Bool {
        let place = Int(port.rawValue)
        let full = UInt64(limits.solicitationBurst) * 1_000
        let elapsed = min(now - min(ports[place].refilled, now), 1_000_000)
        let tokens = min(
            ports[place].tokens + elapsed * UInt64(limits.solicitationsPerSecond), full)
        ports[place].refilled = now
        ports[place].tokens = tokens >= 1_000 ? tokens - 1_000 : tokens
        return tokens >= 1_000
    }

    // MARK: - Ports

    /// Makes a port known: it can have neighbours from now on.
    ///
    /// - Parameters:
    ///   - port: The port, whose index is below `PortTable.limit`.
    ///   - namespace: Whose quota its neighbours are counted to.
    ///   - loopback: Where held neighbours go when the port goes.
    mutating func addPort(
        _ port: PortIndex, namespace: NamespaceIndex, loopback: PortIndex
    ) {
        ports[Int(port.rawValue)] = NeighbourPort(
            isKnown: true, namespace: namespace, loopback: loopback,
            tokens: UInt64(limits.solicitationBurst) * 1_000, refilled: 0)
    }

    /// Takes out the neighbours of a port that went down, but for those given by hand.
    mutating func portDown(
        _ port: PortIndex, _ sink: inout some NeighbourSink & ~Copyable
    ) {
        clear(port, keepsFixed: true, &sink)
    }

    /// Takes out all neighbours of a port that goes: none refers to it afterwards.
    ///
    /// Those that are held are moved to the namespace's loopback.
    mutating func removePort(
        _ port: PortIndex, _ sink: inout some NeighbourSink & ~Copyable
    ) {
        clear(port, keepsFixed: false, &sink)
        ports[Int(port.rawValue)].isKnown = false
    }

    private mutating func clear(
        _ port: PortIndex, keepsFixed: Bool, _ sink: inout some NeighbourSink & ~Copyable
    ) {
        let loopback = ports[Int(port.rawValue)].loopback
        for kind in NeighbourClass.allCases {
            var next = lists.first(Self.list(port, kind))
            while next != 0 {
                let thing = next
                next = lists.next(thing)
                let record = records[Int(thing)]
                let isFixed = record.state.phase == .permanent || record.state.phase == .noARP
                // What lies dead at a loopback stays there.
                guard !record.isDead || loopback != port, !(isFixed && keepsFixed) else { continue }
                if record.isDead {
                    records[Int(thing)].key.port = loopback
                    lists.append(thing, to: Self.list(loopback, .settled))
                } else {
                    remove(NeighbourHandle(rawValue: thing), reason: .portDown, &sink)
                }
            }
        }
    }

    // MARK: - By hand

    /// Gives a neighbour an address that nothing changes.
    ///
    /// - Throws: `RouterError` of kind `invalidValue` for an address that is no station's, `limit` or
    ///   `notFound` (no such port).
    mutating func setPermanent(
        _ key: NeighbourKey, link: MACAddress, _ sink: inout some NeighbourSink & ~Copyable
    ) throws(RouterError) {
        guard !link.isMulticast, link.rawValue != 0 else {
            throw RouterError(
                .invalidValue, "cannot set a neighbour's address to \(link): give a station's")
        }
        var found = view.find(key)
        if found.isNone {
            switch make(key, asUnresolved: false, &sink) {
            case .success(let made): found = made
            case .failure(let refusal):
                throw RouterError(
                    refusal.reason == .portDown ? .notFound : .limit,
                    "cannot add a neighbour of \(key.port): \(refusal.reason.name)")
            }
        }
        records[Int(found.rawValue)].state = NeighbourState(permanent: link)
        settle(found)
        flush(found, &sink)
    }

    /// Takes a neighbour out, whatever it is.
    ///
    /// - Returns: Whether there was one.
    mutating func remove(
        _ key: NeighbourKey, _ sink: inout some NeighbourSink & ~Copyable
    ) -> Bool {
        let found = view.find(key)
        guard !found.isNone else { return false }
        remove(found, reason: .removed, &sink)
        return true
    }

    // MARK: - Reports

    /// The neighbours of a namespace, or of all.
    ///
    /// - Parameters:
    ///   - namespace: Whose; nil is everyone's.
    ///   - limit: How many rows at most.
    /// - Returns: The rows, and how many neighbours there are in all. Takes time by the table's size.
    func rows(
        of namespace: NamespaceIndex?, limit: Int
    ) -> (rows: [NeighbourRow], total: Int) {
        var rows: [NeighbourRow] = []
        var total = 0
        for place in stride(from: 1, through: touched, by: 1) {
            let record = records[place]
            guard record.isUsed, namespace == nil || record.namespace == namespace else { continue }
            total += 1
            guard rows.count < limit else { continue }
            rows.append(
                NeighbourRow(
                    handle: NeighbourHandle(rawValue: UInt32(place)), key: record.key,
                    namespace: record.namespace, phase: record.state.phase,
                    link: record.state.phase.isUsable ? record.state.link : nil,
                    isRouter: record.state.isRouter, queued: Int(record.queueCount),
                    holders: Int(record.holders),
                    confirmed: record.state.confirmed == 0 ? nil : record.state.confirmed,
                    isDead: record.isDead))
        }
        return (rows, total)
    }
}
