internal import RoostHypervisor
internal import RoostMemory

/// A frontend's grants that stay mapped after their request.
///
/// Mapping and unmapping costs system calls and the flushing of address caches on every processor
/// that runs the backend; a frontend that uses the same pages again and again saves both. A grant
/// is mapped the first time it is seen, together with the other new ones of its request: a *slab*,
/// which lives and dies as a whole. A reference is found in constant time (``GrantIndex``), and
/// may be used by several requests at once.
///
/// The number of pages is bounded. Those least recently used go first, a bounded share at a time.
/// A slab of which most pages are idle is *condemned*: its references are forgotten, so whoever
/// uses one of them next has it mapped anew, elsewhere, and the slab is unmapped once nobody uses a
/// page of it. So one busy page does not keep a slab for ever, and no request waits.
///
/// One queue's thread owns it.
struct PersistentGrants: ~Copyable {
    /// One page of the area.
    ///
    /// Places in lists are page numbers plus one; 0 ends a list.
    struct Page: BitwiseCopyable {
        var reference: UInt32
        /// The first page of its slab.
        var slab: Int32
        /// The page used before this one, and the one used after it.
        var older: Int32
        var newer: Int32
        var lastUse: UInt64
        /// How many segments in flight lie in it.
        var userCount: UInt32
        var isIndexed: Bool
    }

    /// What was mapped by one call, kept under its first page's number.
    struct Slab: BitwiseCopyable {
        var handle: UInt32
        /// How many pages; 0 where no slab begins.
        var count: Int32
        /// How many segments in flight lie in it.
        var userCount: UInt32
        var isCondemned: Bool
    }

    /// What happened to the grants that were new in a request.
    enum Mapping: Equatable {
        /// So many of them, from the first on, are mapped; there was no room for the others.
        case mapped(Int)
        /// So many are mapped; the next could not be.
        case failed(Int)
    }

    /// Where the pages lie.
    let window: PageWindow
    /// The area's first page in the window.
    let firstPage: Int
    /// How many pages it has.
    let limit: Int
    let ceiling: GrantCeiling
    var index: GrantIndex
    var pages: FixedArray<Page>
    var slabs: FixedArray<Slab>
    var runs: PageRuns
    var newest: Int32 = 0
    var oldest: Int32 = 0
    /// How many pages are mapped, condemned ones included.
    var mappedCount = 0
    /// The most that were.
    var peakCount = 0
    /// How many pages were condemned since the begin.
    var evictedCount = 0
    /// Whether a grant found no room since pages were last condemned.
    var hasOverflowed = false
    /// What a request brings that is new, and where it comes to lie: pages of the window.
    var wanted: FixedArray<GrantReference>
    var placed: FixedArray<Int32>

    private init(
        window: PageWindow, firstPage: Int, limit: Int, ceiling: GrantCeiling,
        index: consuming GrantIndex, pages: consuming FixedArray<Page>,
        slabs: consuming FixedArray<Slab>, runs: consuming PageRuns,
        wanted: consuming FixedArray<GrantReference>, placed: consuming FixedArray<Int32>
    ) {
        self.window = window
        self.firstPage = firstPage
        self.limit = limit
        self.ceiling = ceiling
        self.index = index
        self.pages = pages
        self.slabs = slabs
        self.runs = runs
        self.wanted = wanted
        self.placed = placed
    }

    /// Makes an empty table.
    ///
    /// - Parameters:
    ///   - window: Where grants are to be mapped.
    ///   - firstPage: The first page of the area for it.
    ///   - limit: How many pages that has, at least one.
    ///   - requestLimit: How many grants a request brings at most.
    ///   - ceiling: The device's own bound.
    /// - Returns: The table.
    /// - Throws: `MemoryError` of kind `mapping`.
    static func make(
        window: PageWindow, firstPage: Int, limit: Int, requestLimit: Int, ceiling: GrantCeiling
    ) throws(MemoryError) -> PersistentGrants {
        var random = SystemRandomNumberGenerator()
        return PersistentGrants(
            window: window, firstPage: firstPage, limit: limit, ceiling: ceiling,
            index: try GrantIndex.make(limit: limit, seed: random.next()),
            pages: try FixedArray(count: limit), slabs: try FixedArray(count: limit),
            runs: try PageRuns.make(limit: limit), wanted: try FixedArray(count: requestLimit),
            placed: try FixedArray(count: requestLimit))
    }

    /// How many pages can still be mapped, as far as this queue is concerned.
    var roomCount: Int { limit &- mappedCount }

    /// Finds a grant and marks it used.
    ///
    /// - Parameters:
    ///   - reference: The grant's number.
    ///   - now: The time, in the clock's units.
    /// - Returns: Its page in the window, to be given to ``release(_:_:)`` later; `nil` if it
    ///   is not mapped.
    mutating func use(_ reference: UInt32, now: UInt64) -> Int? {
        guard let page = index.find(reference) else { return nil }
        pages[page].userCount &+= 1
        let slab = Int(pages[page].slab)
        slabs[slab].userCount &+= 1
        if pages[page].lastUse != now {
            pages[page].lastUse = now
            unlink(page)
            linkNewest(page)
        }
        return firstPage &+ page
    }

    /// Maps the first `count` grants in `wanted`, and marks them used.
    ///
    /// - Parameters:
    ///   - count: How many, none of which is mapped already.
    ///   - now: The time.
    ///   - mapper: What maps them.
    /// - Returns: How many are mapped; their pages in the window are in `placed`.
    mutating func map<Mapper: GrantMapper & ~Copyable>(
        count: Int, now: UInt64, _ mapper: inout Mapper
    ) -> Mapping {
        let room = min(count, roomCount)
        let allowed = room > 0 ? ceiling.take(upTo: room) : 0
        if allowed < count {
            hasOverflowed = true
            ceiling.warnOnce()
        }
        var done = 0
        while done < allowed, let run = runs.take(upTo: allowed &- done) {
            do throws(HypervisorError) {
                let mapping = try Self.map(
                    wanted, from: done, count: run.count, into: window,
                    at: firstPage &+ run.start, &mapper)
                record(mapping, run, wantedFrom: done, now: now)
            } catch {
                // The request fails and says so to its frontend, whose grant it is.
                runs.give(run)
                ceiling.give(allowed &- done)
                return .failed(done)
            }
            done &+= run.count
        }
        precondition(done == allowed, "pages are counted wrong")
        return .mapped(done)
    }

    /// A span of one part and a change of another cannot be had through `self` at once.
    private static func map<Mapper: GrantMapper & ~Copyable>(
        _ wanted: borrowing FixedArray<GrantReference>, from start: Int, count: Int,
        into window: PageWindow, at page: Int, _ mapper: inout Mapper
    ) throws(HypervisorError) -> GrantMapping {
        try mapper.map(
            wanted.span(from: start, count: count), .readWrite, into: window, at: page)
    }

    private mutating func record(
        _ mapping: GrantMapping, _ run: PageRuns.Run, wantedFrom start: Int, now: UInt64
    ) {
        slabs[run.start] = Slab(
            handle: mapping.handle, count: Int32(run.count), userCount: UInt32(run.count),
            isCondemned: false)
        for offset in 0..<run.count {
            let page = run.start &+ offset
            let reference = wanted[start &+ offset].rawValue
            // A request may name a new grant twice; the second page is then used this once.
            let isNew = index.find(reference) == nil
            pages[page] = Page(
                reference: reference, slab: Int32(run.start), older: 0, newer: 0, lastUse: now,
                userCount: 1, isIndexed: isNew)
            if isNew { index.insert(reference, page) }
            linkNewest(page)
            placed[start &+ offset] = Int32(firstPage &+ page)
        }
        mappedCount &+= run.count
        peakCount = max(peakCount, mappedCount)
    }

    /// Whether a page of the window is one of the area's.
    func contains(_ windowPage: Int) -> Bool {
        windowPage >= firstPage && windowPage < firstPage &+ limit
    }

    /// Ends one use of a page.
    ///
    /// - Parameters:
    ///   - windowPage: What ``use(_:now:)`` or ``map(count:now:_:)`` gave.
    ///   - mapper: What unmaps its slab, if that was waited for.
    mutating func release<Mapper: GrantMapper & ~Copyable>(
        _ windowPage: Int, _ mapper: inout Mapper
    ) {
        let page = windowPage &- firstPage
        precondition(pages[page].userCount > 0)
        pages[page].userCount &-= 1
        let slab = Int(pages[page].slab)
        slabs[slab].userCount &-= 1
        if slabs[slab].isCondemned, slabs[slab].userCount == 0 { unmap(slab, &mapper) }
    }

    /// Takes a page out of the order of use.
    mutating func unlink(_ page: Int) {
        let (older, newer) = (Int(pages[page].older), Int(pages[page].newer))
        if older > 0 { pages[older &- 1].newer = Int32(newer) } else { oldest = Int32(newer) }
        if newer > 0 { pages[newer &- 1].older = Int32(older) } else { newest = Int32(older) }
    }

    private mutating func linkNewest(_ page: Int) {
        pages[page].older = newest
        pages[page].newer = 0
        let place = Int32(page &+ 1)
        if newest > 0 { pages[Int(newest) &- 1].newer = place } else { oldest = place }
        newest = place
    }
}
