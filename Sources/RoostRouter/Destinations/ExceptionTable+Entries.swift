internal import RoostMemory

/// The exceptions' entries: made, changed, replaced and retired.
extension ExceptionTable {
    /// Has an exception say what is known, making or removing it as need be.
    mutating func apply(
        _ facts: ExceptionFacts, to place: ExceptionPlace, known handle: UInt32,
        in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64
    ) -> ExceptionOutcome {
        let outcome =
            if handle == 0 {
                make(facts, at: place, in: &table, operations: &operations, now: now)
            } else if facts.isEmpty {
                ExceptionOutcome.updated
            } else {
                change(
                    handle, at: place, to: facts, in: &table, operations: &operations, now: now)
            }
        if handle != 0 && facts.isEmpty { remove(handle, from: &table, now: now) }
        switch outcome {
        case .learned: counts.learned += 1
        case .updated: counts.updated += 1
        case .ignored: counts.ignored += 1
        case .refused(let reason): counts.refused[reason.rawValue] += 1
        }
        return outcome
    }

    /// Has an exception say what is left of it, or removes it if nothing is or there is no room to.
    mutating func replaceOrRemove(
        _ facts: ExceptionFacts, at place: ExceptionPlace, of handle: UInt32,
        in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64
    ) {
        let isKept =
            !facts.isEmpty
            && change(
                handle, at: place, to: facts, in: &table, operations: &operations, now: now)
                == .updated
        if !isKept { remove(handle, from: &table, now: now) }
    }

    private mutating func make(
        _ facts: ExceptionFacts, at place: ExceptionPlace, in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64
    ) -> ExceptionOutcome {
        let word = table.slab.word(of: place.nextHop)
        let namespace = word.namespace
        guard !facts.isEmpty else { return .ignored }
        guard isNextHop(place.nextHop, in: table) else { return .refused(.deadNextHop) }
        let space = facts.policy == nil ? ExceptionSpace.probation : .pinned
        if let refusal = makeRoom(in: space, for: place, namespace, in: &table, now: now) {
            return .refused(refusal)
        }
        guard
            let handle = entry(
                of: facts, at: place, namespace, in: &table, operations: &operations, now: now)
        else { return .refused(hasSpentEntries(of: namespace, in: table) ? .entryQuota : .table) }
        guard hold(place.nextHop, in: &table, now: now),
            index.keys.insert(place.key, handle: handle.rawValue) != .full
        else {
            table.retire(handle, now: now)
            releaseIfLast(place.nextHop, in: &table)
            return .refused(.table)
        }
        _ = quotas.take(Self.quota(of: space), for: namespace)
        link(
            handle,
            ExceptionRecord(
                place: place, namespace: namespace, space: space, facts: facts, lastKnownUse: 0),
            port: word.port)
        if byNextHop.count(place.nextHop.index) == 1 { table.setExceptions(1, of: place.nextHop) }
        return .learned
    }

    /// Changes an exception: in place, or by another entry when the next hop's address changes, which
    /// no single store can.
    private mutating func change(
        _ handle: UInt32, at place: ExceptionPlace, to facts: ExceptionFacts,
        in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64
    ) -> ExceptionOutcome {
        let old = DestinationHandle(rawValue: handle)
        var record = records[Int(handle)]
        guard setSpace(of: &record, facts, in: &table, now: now) else {
            return .refused(.exceptionQuota)
        }
        let hasMoved = record.facts.redirect != facts.redirect
        record.facts = facts
        guard hasMoved else {
            records[Int(handle)] = record
            store(facts, in: old, at: place, in: &table)
            schedule(handle, facts)
            return .updated
        }
        guard
            let new = entry(
                of: facts, at: place, record.namespace, in: &table, operations: &operations,
                now: now)
        else {
            return .refused(hasSpentEntries(of: record.namespace, in: table) ? .entryQuota : .table)
        }
        let port = table.slab.word(of: place.nextHop).port
        _ = index.keys.insert(place.key, handle: new.rawValue)
        unlink(handle)
        // Nobody has used the new entry yet, but the old one's uses were the exception's.
        record.lastKnownUse = max(record.lastKnownUse, table.slab.usage(of: old).lastUse)
        link(new, record, port: port)
        table.kill(old)
        table.retire(old, now: now)
        return .updated
    }

    /// Takes an exception away: packets go by the next hop again, and holders of the entry are told.
    mutating func remove(_ handle: UInt32, from table: inout DestinationTable, now: UInt64) {
        let record = records[Int(handle)]
        let entry = DestinationHandle(rawValue: handle)
        _ = index.keys.remove(record.place.key)
        unlink(handle)
        quotas.give(Self.quota(of: record.space), of: record.namespace)
        releaseIfLast(record.place.nextHop, in: &table)
        table.kill(entry)
        table.retire(entry, now: now)
    }

    /// A fresh entry that says what is known, found by nobody yet.
    private mutating func entry(
        of facts: ExceptionFacts, at place: ExceptionPlace, _ namespace: NamespaceIndex,
        in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64
    ) -> DestinationHandle? {
        // The table counts them, from allocation until they are destroyed.
        let entries = table.account(of: namespace).entries
        guard quotas.has(.entries, beside: entries, for: namespace) else { return nil }
        let handle = table.allocate(
            place.family, namespace: namespace, now: now, operations: &operations)
        guard !handle.isNone else { return nil }
        let word = word(of: facts, at: place, in: table)
        var contents = DestinationContents()
        contents.port = word.port
        contents.input = word.input
        contents.output = word.output
        contents.error = word.error
        contents.flags = word.flags
        contents.gateway =
            facts.redirect.map { ($0.high, $0.low) } ?? table.slab.gateway(of: place.nextHop)
        contents.neighbour = facts.redirect?.neighbour ?? .none
        contents.pathMTU = facts.mtu?.value.byteCount ?? 0
        contents.expires = facts.nextExpiry ?? 0
        contents.generation = index.generation(of: namespace)
        table.finish(handle, as: contents)
        return handle
    }

    /// Whether a namespace has all the entries it may have.
    private func hasSpentEntries(
        of namespace: NamespaceIndex, in table: borrowing DestinationTable
    ) -> Bool {
        table.account(of: namespace).entries >= quotas.limit(.entries, of: namespace)
    }

    /// Whether an entry is one that exceptions may hang off.
    func isNextHop(_ handle: DestinationHandle, in table: borrowing DestinationTable) -> Bool {
        !handle.isNone
            && table.slab.word(of: handle).flags.isDisjoint(with: [.isKilled, .isException])
    }

    /// Writes what is known into an entry that packets may be reading: the word by one store.
    private func store(
        _ facts: ExceptionFacts, in handle: DestinationHandle, at place: ExceptionPlace,
        in table: inout DestinationTable
    ) {
        table.setPathMTU(facts.mtu?.value.byteCount ?? 0, of: handle)
        table.setExpiry(facts.nextExpiry ?? 0, of: handle)
        // An entry that discards because its port went stays so.
        guard !table.slab.word(of: handle).flags.contains(.isKilled) else { return }
        table.slab.store(word(of: facts, at: place, in: table), of: handle)
    }

    /// The next hop's word as it is without failure, changed by what is known of the destination.
    private func word(
        of facts: ExceptionFacts, at place: ExceptionPlace, in table: borrowing DestinationTable
    ) -> DestinationWord {
        var word = table.slab.word(of: place.nextHop)
        let nextHop = nextHops[place.nextHop.index]
        if nextHop.failureExpires != 0 {
            word.input = DestinationAction(rawValue: nextHop.input) ?? .discard
            word.output = DestinationAction(rawValue: nextHop.output) ?? .discard
            word.error = .none
        }
        var flags: DestinationFlags = [.isException, .isHost]
        if facts.redirect == nil { flags.formUnion(word.flags.intersection(.isOnLink)) }
        if facts.mtu?.value.isLocked == true { flags.insert(.isMTULocked) }
        word.flags = flags
        if let policy = facts.policy {
            word.input = policy.action
            word.output = policy.action
            word.error = policy.error
        } else if let failure = facts.failure {
            word.input = .answerError
            word.output = .answerError
            word.error = failure.error
        }
        return word
    }

    /// Puts an exception into all lists.
    private mutating func link(
        _ handle: DestinationHandle, _ record: ExceptionRecord, port: PortIndex
    ) {
        let number = handle.rawValue
        records[handle.index] = record
        order.insert(number, key: record.place.key)
        members.append(number, to: Int(record.namespace.rawValue))
        spaces.append(number, to: Self.list(record.space, of: record.namespace))
        byNextHop.append(number, to: record.place.nextHop.index)
        byPort.append(number, to: Int(port.rawValue))
        if let redirect = record.facts.redirect {
            byNeighbour.append(number, to: Int(redirect.neighbour.rawValue))
        }
        schedule(number, record.facts)
    }

    /// Takes an exception out of all lists.
    private mutating func unlink(_ handle: UInt32) {
        for place in sweeps.indices where sweeps[place].cursor == handle {
            sweeps[place].cursor = members.next(handle)
        }
        order.remove(handle)
        members.remove(handle)
        spaces.remove(handle)
        byNextHop.remove(handle)
        byPort.remove(handle)
        byNeighbour.remove(handle)
        timers.cancel(handle)
    }

    private mutating func schedule(_ handle: UInt32, _ facts: ExceptionFacts) {
        if let expiry = facts.nextExpiry {
            timers.schedule(handle, at: expiry)
        } else {
            timers.cancel(handle)
        }
    }

    /// Sees that a next hop lives as long as it has exceptions: one counted reference for all of them.
    private mutating func hold(
        _ nextHop: DestinationHandle, in table: inout DestinationTable, now: UInt64
    ) -> Bool {
        guard nextHops[nextHop.index].holder == 0 else { return true }
        guard
            let reference = table.slab.hold(
                nextHop, kind: .exception, owner: UInt64(nextHop.rawValue), now: now)
        else { return false }
        nextHops[nextHop.index].holder = reference.token().rawValue
        return true
    }

    /// Lets a next hop go that has no exceptions.
    private mutating func releaseIfLast(
        _ nextHop: DestinationHandle, in table: inout DestinationTable
    ) {
        let holder = nextHops[nextHop.index].holder
        guard byNextHop.count(nextHop.index) == 0, holder != 0 else { return }
        nextHops[nextHop.index].holder = 0
        table.setExceptions(0, of: nextHop)
        table.slab.release(table.slab.reference(of: HolderToken(rawValue: holder)))
    }
}
