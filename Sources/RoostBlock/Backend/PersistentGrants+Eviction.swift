internal import RoostHypervisor
internal import RoostMemory

/// How persistent grants are given back.
extension PersistentGrants {
    /// A twentieth of the pages is condemned at a time, and what is left of the last slab.
    var evictionShare: Int { max(limit / 20, 1) }

    /// When the page that was not used for the longest was used, or `nil` if there is none.
    var oldestUse: UInt64? { oldest > 0 ? pages[Int(oldest) &- 1].lastUse : nil }

    /// Condemns slabs of which most pages were idle for some time, those idle for the longest
    /// first.
    ///
    /// - Parameters:
    ///   - now: The time.
    ///   - idle: How long a page has to be unused to be idle.
    ///   - mapper: What unmaps.
    /// - Returns: How many pages were condemned.
    mutating func evict<Mapper: GrantMapper & ~Copyable>(
        now: UInt64, idle: UInt64, _ mapper: inout Mapper
    ) -> Int {
        let share = evictionShare
        var condemned = 0
        var looked = 0
        var place = oldest
        while place > 0, condemned < share, looked < 8 &* share {
            let page = Int(place) &- 1
            guard isIdle(page, now: now, idle: idle) else { break }
            let slab = pages[page].slab
            repeat {
                place = pages[Int(place) &- 1].newer
            } while place > 0 && pages[Int(place) &- 1].slab == slab
            if isMostlyIdle(Int(slab), now: now, idle: idle) {
                condemned &+= Int(slabs[Int(slab)].count)
                condemn(Int(slab), &mapper)
            }
            looked &+= 1
        }
        evictedCount &+= condemned
        if condemned > 0 { hasOverflowed = false }
        return condemned
    }

    private func isIdle(_ page: Int, now: UInt64, idle: UInt64) -> Bool {
        now &- pages[page].lastUse >= idle
    }

    /// Whether at least half of a slab's pages are idle.
    private func isMostlyIdle(_ slab: Int, now: UInt64, idle: UInt64) -> Bool {
        let count = Int(slabs[slab].count)
        var idleCount = 0
        for page in slab..<slab &+ count where isIdle(page, now: now, idle: idle) {
            idleCount &+= 1
        }
        return 2 &* idleCount >= count
    }

    /// Forgets a slab's references, and unmaps it as soon as nobody uses it.
    private mutating func condemn<Mapper: GrantMapper & ~Copyable>(
        _ slab: Int, _ mapper: inout Mapper
    ) {
        slabs[slab].isCondemned = true
        for page in slab..<slab &+ Int(slabs[slab].count) {
            unlink(page)
            if pages[page].isIndexed { index.remove(pages[page].reference) }
        }
        if slabs[slab].userCount == 0 { unmap(slab, &mapper) }
    }

    /// Unmaps a condemned slab; if the system refuses it stays, and is tried again at the end.
    mutating func unmap<Mapper: GrantMapper & ~Copyable>(_ slab: Int, _ mapper: inout Mapper) {
        let count = Int(slabs[slab].count)
        let mapping = GrantMapping(
            handle: slabs[slab].handle, page: Int32(firstPage &+ slab), count: Int32(count))
        do throws(HypervisorError) {
            try mapper.unmap(mapping)
        } catch {
            return
        }
        slabs[slab].count = 0
        runs.give(PageRuns.Run(start: slab, count: count))
        ceiling.give(count)
        mappedCount &-= count
    }

    /// Unmaps everything, which ends what the connection had.
    ///
    /// - Parameter mapper: What unmaps.
    /// - Returns: How many pages the system refused to unmap; 0 unless it is out of memory.
    /// - Precondition: No request uses a page.
    mutating func disconnect<Mapper: GrantMapper & ~Copyable>(_ mapper: inout Mapper) -> Int {
        var slab = 0
        while slab < limit, mappedCount > 0 {
            let count = Int(slabs[slab].count)
            if count > 0 {
                precondition(slabs[slab].userCount == 0, "a request still uses a grant")
                if slabs[slab].isCondemned {
                    unmap(slab, &mapper)
                } else {
                    condemn(slab, &mapper)
                }
            }
            slab &+= max(count, 1)
        }
        return mappedCount
    }
}
