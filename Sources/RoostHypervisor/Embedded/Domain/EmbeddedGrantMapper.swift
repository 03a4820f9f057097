public import RoostMemory
internal import SystemPackage

/// Maps and copies pages that another domain of the embedded hypervisor has granted to this one.
///
/// A reference is found by the segment that has it: few, and mostly the last one used. The
/// hypervisor is asked only for a reference that no known segment has, and then only if anything
/// was granted since. What the table says is read once and checked; the peer that writes it can only
/// choose among its own pages of this segment.
public struct EmbeddedGrantMapper: GrantMapper, ~Copyable {
    /// A mapping: what one call has mapped.
    struct Mapping: BitwiseCopyable, Sendable {
        var page: Int32 = 0
        /// 0 when the entry is free.
        var count: Int32 = 0
        /// Its first held page; for a free entry, one more than the next free one.
        var first: Int32 = 0
        var window: Int32 = 0
        /// Told apart from mappings that had the entry before.
        var turn: UInt32 = 0
        var isWritable = false
    }

    /// A page held by a mapping.
    struct Held: BitwiseCopyable, Sendable {
        /// The next of the mapping or of the free ones, or -1.
        var next: Int32 = 0
        var segment: Int32 = 0
        var page: Int32 = 0
        var frame: Int32 = 0
    }

    /// Mappings of one mapper at most; a handle has 20 bits for their index.
    static let mappingLimit = 1 << 20
    /// Segments that a mapper knows at once: the granter's, and those ended but still mapped.
    static let segmentLimit = 2 * HypervisorLimits.segmentCount

    let domain: EmbeddedDomain
    let granter: DomainID
    let tables: PageWindow

    /// The segments' plain values; `segments` holds what they refer to.
    var records: FixedArray<GrantSegmentRecord>
    var segments: [GrantSegment?] = []
    /// The segments that are looked in, by their first reference.
    var order: [Int32] = []
    /// The segment found last.
    var lastFound = 0
    var lastSerial: UInt32 = 0
    /// The hypervisor's count of changes when it was asked last.
    var knownGeneration: UInt32?

    var mappings: FixedArray<Mapping>
    var freeMapping: Int32 = -1
    var usedMappings = 0
    var held: FixedArray<Held>
    var freeHeld: Int32 = -1
    var usedHeld = 0
    /// The windows mapped into, as long as something is mapped there.
    var windows: [PageWindow] = []
    var windowCounts: [Int] = []

    /// How many pages are mapped.
    public internal(set) var mappedCount = 0

    private init(
        _ domain: EmbeddedDomain, _ granter: DomainID,
        records: consuming FixedArray<GrantSegmentRecord>, mappings: consuming FixedArray<Mapping>,
        held: consuming FixedArray<Held>
    ) {
        self.domain = domain
        self.granter = granter
        tables = domain.segments.tables
        self.records = records
        self.mappings = mappings
        self.held = held
    }

    static func make(
        on domain: EmbeddedDomain, of granter: DomainID
    ) throws(HypervisorError) -> EmbeddedGrantMapper {
        do throws(MemoryError) {
            return EmbeddedGrantMapper(
                domain, granter, records: try FixedArray(count: segmentLimit),
                mappings: try FixedArray(count: 256), held: try FixedArray(count: 1024))
        } catch {
            throw SegmentCache.failure(error)
        }
    }

    // MARK: Mapping

    /// Maps grants side by side, in one call for each run that the granter has side by side.
    ///
    /// - Parameters:
    ///   - references: Which grants, at least one.
    ///   - access: Whether they are to be written; a grant to read cannot be.
    ///   - window: Where to.
    ///   - page: The first page there; they follow each other.
    /// - Returns: What ``unmap(_:)`` takes.
    /// - Throws: `HypervisorError` of kind `grant` when any of them cannot be mapped; then none
    ///   is. `system` when the system refuses the memory, `lost` when the hypervisor is gone and
    ///   was to be asked.
    public mutating func map(
        _ references: Span<GrantReference>, _ access: GrantAccess, into window: PageWindow,
        at page: Int
    ) throws(HypervisorError) -> GrantMapping {
        let count = references.count
        precondition(count > 0 && page >= 0 && count <= window.pageCount &- page)
        try makeRoom(for: count)
        var first: Int32 = -1
        var last: Int32 = -1
        for index in 0..<count {
            do throws(HypervisorError) {
                let node = try hold(references[index], access)
                if last < 0 { first = node } else { held[Int(last)].next = node }
                last = node
            } catch {
                letGo(first, access)
                throw error
            }
        }
        let isWritable = access == .readWrite
        let mapped = place(first, into: window, at: page, isWritable: isWritable)
        let mapping = enter(
            Mapping(
                page: Int32(page), count: Int32(count), first: first, isWritable: isWritable),
            window)
        if let failure = mapped {
            // What cannot be taken out of the window either stays held until the mapper ends.
            if (try? window.unmap(count: count, at: page)) != nil { end(mapping) }
            throw failure
        }
        return GrantMapping(
            handle: handle(mapping), page: Int32(page), count: Int32(count))
    }

    /// Unmaps all that was mapped by one call.
    ///
    /// - Throws: `HypervisorError` of kind `grant` when there is no such mapping: a part of one
    ///   cannot be unmapped; `system` when the system is out of memory: it is still mapped.
    public mutating func unmap(_ mapping: GrantMapping) throws(HypervisorError) {
        let index = Int(mapping.handle & UInt32(Self.mappingLimit - 1))
        guard index < usedMappings, mappings[index].count > 0,
            handle(index) == mapping.handle, mappings[index].page == mapping.page,
            mappings[index].count == mapping.count
        else {
            throw HypervisorError(
                .grant, errno: .invalidArgument,
                "cannot unmap \(mapping.count) pages at \(mapping.page): they were not mapped "
                    + "together; unmap what one call has mapped")
        }
        do throws(MemoryError) {
            try windows[Int(mappings[index].window)].unmap(
                count: Int(mapping.count), at: Int(mapping.page))
        } catch {
            throw SegmentCache.failure(error)
        }
        end(index)
    }

    /// Maps held pages, a run at a time; answers what the system refused.
    private borrowing func place(
        _ first: Int32, into window: PageWindow, at page: Int, isWritable: Bool
    ) -> HypervisorError? {
        var node = first
        var page = page
        while node >= 0 {
            let start = held[Int(node)]
            var count = 1
            node = start.next
            while node >= 0, held[Int(node)].segment == start.segment,
                Int(held[Int(node)].frame) == Int(start.frame) &+ count
            {
                count &+= 1
                node = held[Int(node)].next
            }
            let record = records[Int(start.segment)]
            do throws(MemoryError) {
                try window.map(
                    FileDescriptor(rawValue: record.descriptor),
                    filePage: Int(record.dataPage) &+ Int(start.frame), count: count, at: page,
                    isWritable: isWritable)
            } catch {
                return SegmentCache.failure(error)
            }
            page &+= count
        }
        return nil
    }

    // MARK: Held pages

    /// Holds one grant; answers its entry among the held ones.
    private mutating func hold(
        _ reference: GrantReference, _ access: GrantAccess
    ) throws(HypervisorError) -> Int32 {
        guard let segment = try find(reference) else { throw refusal(reference, access) }
        let page = Int(reference.rawValue &- records[segment].firstReference)
        let frame = GrantPins.hold(page, of: records[segment], access, by: domain.id, in: tables)
        guard let frame else { throw refusal(reference, access) }
        records[segment].pinnedCount &+= 1
        let node: Int32
        if freeHeld >= 0 {
            node = freeHeld
            freeHeld = held[Int(node)].next
        } else {
            node = Int32(usedHeld)
            usedHeld &+= 1
        }
        held[Int(node)] = Held(
            next: -1, segment: Int32(segment), page: Int32(page), frame: Int32(frame))
        return node
    }

    private borrowing func refusal(
        _ reference: GrantReference, _ access: GrantAccess
    ) -> HypervisorError {
        HypervisorError(
            .grant, errno: .invalidArgument,
            "cannot map grant \(reference) of domain \(granter): it is not granted to domain "
                + "\(domain.id)\(access == .readWrite ? " to write" : ""); the granter is at fault")
    }

    /// Lets a chain of held pages go.
    private mutating func letGo(_ first: Int32, _ access: GrantAccess) {
        var node = first
        while node >= 0 {
            let entry = held[Int(node)]
            let segment = Int(entry.segment)
            GrantPins.letGo(Int(entry.page), of: records[segment], access, in: tables)
            records[segment].pinnedCount &-= 1
            if records[segment].pinnedCount == 0, isEnded(segment) { drop(segment) }
            held[Int(node)].next = freeHeld
            freeHeld = node
            node = entry.next
        }
    }

    // MARK: Mappings

    private borrowing func handle(_ index: Int) -> UInt32 {
        mappings[index].turn << 20 | UInt32(index)
    }

    /// Makes sure that a mapping of some pages can be entered.
    private mutating func makeRoom(for count: Int) throws(HypervisorError) {
        do throws(MemoryError) {
            if usedHeld &+ count > held.count {
                var larger = try FixedArray<Held>(count: max(2 * held.count, usedHeld &+ count))
                larger.replaceStart(with: held)
                held = larger
            }
            guard freeMapping < 0, usedMappings == mappings.count else { return }
            guard usedMappings < Self.mappingLimit else {
                throw MemoryError(
                    .length, errno: .noMemory,
                    "cannot map more than \(Self.mappingLimit) times: unmap something first")
            }
            var larger = try FixedArray<Mapping>(count: 2 * mappings.count)
            larger.replaceStart(with: mappings)
            mappings = larger
        } catch {
            throw SegmentCache.failure(error)
        }
    }

    private mutating func enter(_ mapping: Mapping, _ window: PageWindow) -> Int {
        let index: Int
        if freeMapping >= 0 {
            index = Int(freeMapping)
            freeMapping = mappings[index].first
        } else {
            index = usedMappings
            usedMappings &+= 1
        }
        var entered = mapping
        entered.turn = mappings[index].turn
        entered.window = Int32(number(of: window))
        windowCounts[Int(entered.window)] &+= 1
        mappings[index] = entered
        mappedCount &+= Int(mapping.count)
        return index
    }

    private mutating func end(_ index: Int) {
        let mapping = mappings[index]
        letGo(mapping.first, mapping.isWritable ? .readWrite : .readOnly)
        mappedCount &-= Int(mapping.count)
        windowCounts[Int(mapping.window)] &-= 1
        var free = Mapping()
        free.first = freeMapping
        free.turn = (mapping.turn &+ 1) & 0xfff
        mappings[index] = free
        freeMapping = Int32(index)
    }

    /// A window's number here; one in which nothing is mapped any more makes room.
    private mutating func number(of window: PageWindow) -> Int {
        if let known = windows.firstIndex(where: { $0 === window }) { return known }
        if let free = windowCounts.firstIndex(of: 0) {
            windows[free] = window
            return free
        }
        windows.append(window)
        windowCounts.append(0)
        return windows.count - 1
    }

    deinit {
        for index in 0..<usedMappings where mappings[index].count > 0 {
            let mapping = mappings[index]
            // What cannot be unmapped stays marked as in use: its granter keeps it.
            let window = windows[Int(mapping.window)]
            let isGone =
                (try? window.unmap(count: Int(mapping.count), at: Int(mapping.page))) != nil
            var node = isGone ? mapping.first : -1
            while node >= 0 {
                let entry = held[Int(node)]
                GrantPins.letGo(
                    Int(entry.page), of: records[Int(entry.segment)],
                    mapping.isWritable ? .readWrite : .readOnly, in: tables)
                node = entry.next
            }
        }
    }
}
