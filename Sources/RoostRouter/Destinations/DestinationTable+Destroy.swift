internal import RoostMemory

/// An entry's end.
extension DestinationTable {
    /// Settles the first of the garbage, if the batches that may be reading it have ended.
    ///
    /// - Returns: Whether there was one to settle.
    internal mutating func settleOne(
        now: UInt64, operations: inout some DestinationOperations & ~Copyable
    ) -> Bool {
        guard collector.garbageFirst != 0 else { return false }
        let handle = DestinationHandle(rawValue: collector.garbageFirst)
        let record = records[handle.index]
        if record.epoch > collector.passedEpoch {
            // The last one's epoch is the latest: mostly one look tells about all of them.
            let latest = max(record.epoch, records[Int(collector.garbageLast)].epoch)
            if quiescence.hasPassed(latest) {
                collector.passedEpoch = latest
            } else if quiescence.hasPassed(record.epoch) {
                collector.passedEpoch = record.epoch
            } else {
                return false
            }
        }
        collector.garbageFirst = record.next
        if record.next == 0 { collector.garbageLast = 0 }
        collector.garbageCount -= 1
        if let left = collector.pass?.garbageLeft, left > 0 {
            collector.pass?.garbageLeft = left - 1
        }
        records[handle.index].next = 0
        if slab.counts.retire(handle) == 0 {
            destroy(handle, now: now, operations: &operations)
            collector.pass?.freed += 1
        } else {
            records[handle.index].state = .waiting
            collector.waitingCount += 1
        }
        return true
    }

    /// Destroys the next of the fallen.
    ///
    /// - Returns: Whether there was one.
    internal mutating func freeFallenOne(
        now: UInt64, operations: inout some DestinationOperations & ~Copyable
    ) -> Bool {
        let handle = collector.fallen
        guard !handle.isNone else { return false }
        collector.fallen = slab.counts.next(after: handle)
        collector.waitingCount -= 1
        destroy(handle, now: now, operations: &operations)
        collector.pass?.freed += 1
        return true
    }

    /// Takes what fell, if what was taken before is done.
    internal mutating func takeFallen() {
        if collector.fallen.isNone { collector.fallen = slab.counts.takeFallen() }
    }

    /// Destroys an entry that nobody can find or hold, and the chain below it as far as it is its own.
    private mutating func destroy(
        _ first: DestinationHandle, now: UInt64,
        operations: inout some DestinationOperations & ~Copyable
    ) {
        var handle = first
        while true {
            let record = records[handle.index]
            release(handle, operations: &operations)
            guard record.child != 0 else { return }
            let child = DestinationHandle(rawValue: record.child)
            // Whether the child is its parents' own is read before its count is touched: afterwards
            // whoever else holds it may let go, and it is theirs to give up.
            let isParentOwned = slab.word(of: child).flags.contains(.isParentOwned)
            let isCached = records[child.index].state == .cached
            slab.holderSlab.give(record.childToken)
            let (left, isRetired) = slab.counts.remove(child)
            guard isParentOwned, isCached, !isRetired else { return }
            if left > 0 {
                // Another owner still has it. It was found through its parents only, so no batch can
                // find it now, and this pass may settle it.
                discard(retired: child, now: now, epoch: 0)
                prepend(child)
                return
            }
            handle = child
        }
    }

    /// Releases all that an entry has, and its place.
    private mutating func release(
        _ handle: DestinationHandle, operations: inout some DestinationOperations & ~Copyable
    ) {
        let record = records[handle.index]
        let word = slab.word(of: handle)
        let link = slab.link(of: handle)
        let gateway = slab.gateway(of: handle)
        portLinks.remove(handle.rawValue, from: &ports[Int(word.port.rawValue)].entries)
        if record.isOrphan {
            namespaceLinks.remove(handle.rawValue, from: &orphans.entries)
        } else {
            namespaceLinks.remove(
                handle.rawValue, from: &namespaces[Int(record.namespace)].entries)
        }
        metricsIndex.give(link.metrics, in: slab, quiescence)
        let wasRetired = record.state != .cached
        account(of: handle) { account in
            account.destroyed += 1
            account.entries -= 1
            if wasRetired { account.retired -= 1 }
        }
        add(-1, to: record.family)
        let remains = DestinationRemains(
            handle: handle, family: record.family, word: word, neighbour: link.neighbour,
            exceptions: slab.exceptions(of: handle), gatewayHigh: gateway.high,
            gatewayLow: gateway.low)
        slab.clear(handle)
        givePlace(handle)
        operations.destroy(remains)
    }

    private mutating func prepend(_ handle: DestinationHandle) {
        records[handle.index].next = collector.garbageFirst
        if collector.garbageFirst == 0 { collector.garbageLast = handle.rawValue }
        collector.garbageFirst = handle.rawValue
        collector.pass?.garbageLeft += 1
    }
}
