internal import RoostMemory

/// The collector's passes, slice by slice.
extension DestinationTable {
    /// How many entries are visited between two looks at the thread's clock, which costs as much as
    /// one of them.
    private static let visitsPerLook = 16
    /// How many entries allocation frees at most before it goes on.
    private static let shrinkLimit = 256

    /// The tick at which ``collect(clock:operations:)`` wants to be called, `nil` when it has
    /// nothing to do until something is retired.
    ///
    /// In the middle of a pass or an event that is now.
    public var nextWake: UInt64? {
        collector.pass != nil || !events.isEmpty ? 0 : collector.pace.deadline
    }

    /// Does one slice of work, of a device event or of a pass that is due or under way; they take turns,
    /// and so do the events, so that a port which goes up and down all the time holds up only itself.
    ///
    /// - Returns: How far it came.
    public mutating func collect(
        clock: some CollectorClock, operations: inout some DestinationOperations & ~Copyable
    ) -> CollectorProgress {
        let now = clock.ticks()
        let isPassDue = collector.pass != nil || collector.pace.deadline.map { $0 <= now } ?? false
        let isEvent = !events.isEmpty && !(isPassDue && collector.lastWasEvent)
        guard isEvent || isPassDue else { return .idle(until: collector.pace.deadline) }
        collector.lastWasEvent = isEvent
        if !isEvent, collector.pass == nil { beginPass(clock) }

        let thread = clock.threadNanoseconds()
        let wall = clock.wallNanoseconds()
        var visits = 0
        var isDone = false
        var used: UInt64 = 0
        var longestLook: UInt64 = 0
        repeat {
            let target = min(visits + Self.visitsPerLook, limits.sliceEntryCount)
            while visits < target, !isDone {
                let didVisit =
                    isEvent
                    ? continueEvent(operations: &operations)
                    : visitOne(now: now, operations: &operations)
                if didVisit { visits += 1 } else { isDone = true }
            }
            let total = clock.threadNanoseconds() - thread
            longestLook = max(longestLook, total - used)
            used = total
            // It stops while there is time left for as much again.
        } while !isDone && visits < limits.sliceEntryCount
            && used + longestLook < limits.sliceNanoseconds
        collector.statistics.record(
            visits: visits, thread: used, wall: clock.wallNanoseconds() - wall)
        if isEvent {
            if events.count > 1 { events.append(events.removeFirst()) }
            return .more
        }
        return isDone ? endPass(clock) : .more
    }

    private mutating func beginPass(_ clock: some CollectorClock) {
        collector.pace.passBegan()
        collector.hasNewGarbage = false
        collector.pass = Collector.Pass(
            garbageLeft: collector.garbageCount, began: clock.wallNanoseconds())
        takeFallen()
    }

    /// Visits one entry of the pass.
    ///
    /// - Returns: Whether there was one.
    private mutating func visitOne(
        now: UInt64, operations: inout some DestinationOperations & ~Copyable
    ) -> Bool {
        guard let pass = collector.pass else { return false }
        if pass.garbageLeft > 0 {
            if settleOne(now: now, operations: &operations) { return true }
            // A batch is still reading the rest: they are left to the next pass.
            collector.pass?.garbageLeft = 0
        }
        return freeFallenOne(now: now, operations: &operations)
    }

    private mutating func endPass(_ clock: some CollectorClock) -> CollectorProgress {
        guard let pass = collector.pass else { return .more }
        collector.pass = nil
        let now = clock.ticks()
        let delayed = collector.waitingCount + collector.garbageCount
        var expires = collector.pace.passEnded(freed: pass.freed, delayed: delayed, now: now)
        if collector.hasNewGarbage {
            collector.pace.garbageArrived(now: now)
            if let deadline = collector.pace.deadline { expires = deadline - now }
        }
        let line = CollectorTrace(
            total: count, delayed: delayed, freed: pass.freed, expires: expires,
            elapsedMicroseconds: (clock.wallNanoseconds() - pass.began) / 1000)
        collector.keep(line)
        collector.statistics.passes += 1
        return .passed(line)
    }

    /// The usual way to make room for an allocation: frees at once what is free, up to a bounded
    /// number, unless that was just done and there is room.
    ///
    /// - Returns: Whether the family has room.
    public mutating func shrink(
        _ family: AddressFamily, for namespace: NamespaceIndex, now: UInt64,
        operations: inout some DestinationOperations & ~Copyable
    ) -> Bool {
        let place = Int(namespace.rawValue)
        let bounds = limits[family]
        namespaces[place].account.collections += 1
        let isSoon =
            namespaces[place].hasShrunk
            && now < namespaces[place].lastShrink + limits.shrinkInterval
        if isSoon, count(of: family) < bounds.ceiling {
            namespaces[place].account.ignoredCollections += 1
            return true
        }
        namespaces[place].lastShrink = now
        namespaces[place].hasShrunk = true
        takeFallen()
        var visits = 0
        while visits < Self.shrinkLimit, count(of: family) > bounds.threshold,
            freeFallenOne(now: now, operations: &operations)
                || settleOne(now: now, operations: &operations)
        {
            visits += 1
        }
        if count(of: family) > bounds.threshold {
            namespaces[place].account.missedGoals += 1
        }
        return count(of: family) < bounds.ceiling
    }
}
