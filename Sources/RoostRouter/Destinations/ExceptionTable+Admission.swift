internal import RoostMemory

/// Who gets room, and who makes it.
extension ExceptionTable {
    /// How many exceptions are looked at to find one that makes room.
    private static var looks: Int { 8 }
    /// How many packets have to use a fact until it is confirmed: with one, a flood of reports and
    /// packets to the same destinations would confirm them all.
    private static var confirmingPackets: UInt64 { 2 }
    /// For how long after its last packet a confirmed exception makes room for none, in milliseconds.
    ///
    /// A time and not a turn of the list: how fast the list turns is a flood's choice.
    private static var useWindow: UInt64 { 60_000 }

    /// Makes room for one more exception.
    ///
    /// - Returns: Why there is none; nil when there is.
    mutating func makeRoom(
        in space: ExceptionSpace, for place: ExceptionPlace, _ namespace: NamespaceIndex,
        in table: inout DestinationTable, now: UInt64
    ) -> ExceptionRefusal? {
        guard hasRoom(behind: place.nextHop, in: &table, now: now) else { return .nextHop }
        guard space == .probation else {
            return hasConfirmedRoom(in: namespace, in: &table, now: now) ? nil : .exceptionQuota
        }
        let limit = quotas.limit(.probation, of: namespace)
        let roomy = max(limit - draw(upTo: limit / 4), 1)
        // Two go for one that comes at most: the number wanders with the bounds that are drawn.
        for _ in 0..<2 where quotas.used(.probation, by: namespace) >= roomy {
            settleOldest(of: namespace, in: &table, now: now)
        }
        guard quotas.isFull(.probation, of: namespace) else { return nil }
        _ = quotas.take(.probation, for: namespace)
        return .exceptionQuota
    }

    /// Sees that an exception is in the space that its facts deserve.
    ///
    /// - Returns: Whether there is room for it there.
    mutating func setSpace(
        of record: inout ExceptionRecord, _ facts: ExceptionFacts,
        in table: inout DestinationTable, now: UInt64
    ) -> Bool {
        let isPinned = facts.policy != nil
        guard isPinned != (record.space == .pinned) else { return true }
        let handle = index.keys.find(record.place.key)
        if record.space == .probation {
            guard hasConfirmedRoom(in: record.namespace, in: &table, now: now) else {
                return false
            }
            _ = quotas.take(.exceptions, for: record.namespace)
            quotas.give(.probation, of: record.namespace)
        }
        record.space = isPinned ? .pinned : .confirmed
        records[Int(handle)].space = record.space
        spaces.append(handle, to: Self.list(record.space, of: record.namespace))
        return true
    }

    /// Confirms the oldest exception in probation if it was used, else drops it.
    private mutating func settleOldest(
        of namespace: NamespaceIndex, in table: inout DestinationTable, now: UInt64
    ) {
        let oldest = spaces.first(Self.list(.probation, of: namespace))
        guard oldest != 0 else { return }
        if isConfirmed(oldest, in: table),
            hasConfirmedRoom(in: namespace, in: &table, now: now)
        {
            _ = quotas.take(.exceptions, for: namespace)
            quotas.give(.probation, of: namespace)
            records[Int(oldest)].space = .confirmed
            records[Int(oldest)].lastKnownUse = now
            spaces.append(oldest, to: Self.list(.confirmed, of: namespace))
            counts.confirmed += 1
        } else {
            counts.evictedProbation += 1
            remove(oldest, from: &table, now: now)
        }
    }

    /// Whether the confirmed space has room, after dropping one that is out of use.
    private mutating func hasConfirmedRoom(
        in namespace: NamespaceIndex, in table: inout DestinationTable, now: UInt64
    ) -> Bool {
        guard quotas.isFull(.exceptions, of: namespace) else { return true }
        let list = Self.list(.confirmed, of: namespace)
        for _ in 0..<min(Self.looks, spaces.count(list)) {
            let oldest = spaces.first(list)
            guard isInUse(oldest, in: table, now: now) else {
                counts.evictedConfirmed += 1
                remove(oldest, from: &table, now: now)
                return true
            }
            spaces.append(oldest, to: list)
        }
        return quotas.take(.exceptions, for: namespace)
    }

    /// Whether a next hop has room, after dropping up to two exceptions when it has as many as the bound
    /// drawn this time.
    private mutating func hasRoom(
        behind nextHop: DestinationHandle, in table: inout DestinationTable, now: UInt64
    ) -> Bool {
        let bound = limits.perNextHop + draw(upTo: limits.perNextHop * 4 / 5)
        guard byNextHop.count(nextHop.index) >= bound else { return true }
        guard evictOldest(behind: nextHop, in: &table, now: now) else { return false }
        if byNextHop.count(nextHop.index) >= bound {
            _ = evictOldest(behind: nextHop, in: &table, now: now)
        }
        return true
    }

    /// Drops the oldest exception of a next hop that is out of use or was never confirmed.
    private mutating func evictOldest(
        behind nextHop: DestinationHandle, in table: inout DestinationTable, now: UInt64
    ) -> Bool {
        for _ in 0..<min(Self.looks, byNextHop.count(nextHop.index)) {
            let oldest = byNextHop.first(nextHop.index)
            let space = records[Int(oldest)].space
            let isKept =
                switch space {
                case .pinned: true
                case .confirmed: isInUse(oldest, in: table, now: now)
                case .probation: isConfirmed(oldest, in: table)
                }
            guard !isKept else {
                byNextHop.append(oldest, to: nextHop.index)
                continue
            }
            if space == .probation {
                counts.evictedProbation += 1
            } else {
                counts.evictedConfirmed += 1
            }
            remove(oldest, from: &table, now: now)
            return true
        }
        return false
    }

    /// Whether packets have used an exception in probation often enough, for more than a failure.
    private func isConfirmed(_ handle: UInt32, in table: borrowing DestinationTable) -> Bool {
        !records[Int(handle)].facts.isOnlyFailure
            && table.slab.usage(of: DestinationHandle(rawValue: handle)).packetCount
                >= Self.confirmingPackets
    }

    /// Whether a packet used an exception not long ago.
    private func isInUse(
        _ handle: UInt32, in table: borrowing DestinationTable, now: UInt64
    ) -> Bool {
        let last = table.slab.usage(of: DestinationHandle(rawValue: handle)).lastUse
        return max(last, records[Int(handle)].lastKnownUse) + Self.useWindow > now
    }

    /// A number from 0 to a bound that nobody can foretell.
    private mutating func draw(upTo bound: Int) -> Int {
        Int.random(in: 0...max(bound, 0), using: &random)
    }
}
