internal import RoostHypervisor
internal import RoostMemory

/// How a request's segments come to lie in the window, and leave it.
extension BackendQueue where Mapper: ~Copyable, Channel: ~Copyable, Storage: ~Copyable {
    /// Reads the segments of a request and checks them.
    ///
    /// - Returns: How many sectors they have together, or `nil` if the request is to be refused.
    mutating func takeSegments(
        of request: BlockRequest, _ plan: RequestPlan, _ tag: Int
    ) -> UInt64? {
        let first = tables.first(tag)
        if plan.isIndirect {
            guard readIndirectSegments(of: request, plan.segmentCount, first) else { return nil }
        } else {
            for index in 0..<plan.segmentCount {
                tables.segments[first &+ index] = request.segments[index]
            }
        }
        var sectorCount: UInt64 = 0
        for index in first..<first &+ plan.segmentCount {
            guard validator.add(tables.segments[index], to: &sectorCount) else { return nil }
            tables.places[index].windowOffset = SegmentTables.nowhere
        }
        guard validator.isOnDisk(sector: request.sector, count: sectorCount) else { return nil }
        return sectorCount
    }

    /// Copies segments out of the frontend's pages, each once.
    private mutating func readIndirectSegments(
        of request: BlockRequest, _ count: Int, _ first: Int
    ) -> Bool {
        let perPage = PageWindow.segmentsPerPage
        for page in 0..<BlockRequest.indirectPageCount(segments: count) {
            let done = page &* perPage
            let part = min(count &- done, perPage)
            let reference = request.indirectGrants[page]
            var kept: Int?
            if isPersistent {
                guard let found = persistentPage(reference) else { return false }
                kept = found >= 0 ? found : nil
            }
            if kept == nil {
                tables.copies[0] = GrantCopy(
                    .fromGrant, reference: GrantReference(rawValue: reference), pageOffset: 0,
                    byteCount: UInt16(part &* BlockSegment.byteCount),
                    windowOffset: pages.privatePage &* pageByteCount)
                guard Self.copy(&mapper, &tables, count: 1, window) else { return false }
            }
            let source = (kept ?? pages.privatePage) &* pageByteCount
            for index in 0..<part {
                tables.segments[first &+ done &+ index] = window.loadSegment(
                    at: source &+ index &* BlockSegment.byteCount)
            }
            if let kept { persistent.release(kept, &mapper) }
        }
        return true
    }

    /// The page of a persistent grant, mapped now if it was not.
    ///
    /// - Returns: The page; −1 if there is no room for it; `nil` if the request is to fail.
    private mutating func persistentPage(_ reference: UInt32) -> Int? {
        if let page = persistent.use(reference, now: now) {
            counters.add(1, to: .grantHits)
            return page
        }
        counters.add(1, to: .grantMisses)
        persistent.wanted[0] = GrantReference(rawValue: reference)
        switch persistent.map(count: 1, now: now, &mapper) {
        case .mapped(1): return Int(persistent.placed[0])
        case .mapped:
            counters.add(1, to: .grantOverflows)
            return configuration.overflow == .refuse ? nil : -1
        case .failed: return nil
        }
    }

    /// Gives each segment of a request a place in the window.
    ///
    /// - Parameters:
    ///   - tag: The request.
    ///   - entry: What is known of it; what is mapped for it alone is noted here.
    /// - Returns: Whether all have one. If not, those that have keep it until ``release(_:_:)``.
    mutating func place(_ tag: Int, _ entry: inout InFlight) -> Bool {
        let count = Int(entry.segmentCount)
        let first = tables.first(tag)
        switch configuration.mode {
        case .persistent:
            return placePersistently(tag, &entry)
        case .map:
            for index in 0..<count {
                persistent.wanted[index] = tables.segments[first &+ index].reference
                tables.missing[index] = Int32(index)
            }
            return mapOnce(
                tag, &entry, from: 0, count, entry.operation == .read ? .readWrite : .readOnly)
        case .copy:
            counters.add(count, to: .grantsCopied)
            for index in 0..<count {
                setPlace(first &+ index, page: pages.requestPage(tag) &+ index)
            }
            return entry.operation == .read || copyData(tag, count, .fromGrant)
        }
    }

    private mutating func setPlace(_ index: Int, page: Int) {
        let segment = tables.segments[index]
        tables.places[index] = StorageSegment(
            windowOffset: page &* pageByteCount &+ segment.pageOffset,
            byteCount: segment.byteCount)
    }

    private mutating func placePersistently(_ tag: Int, _ entry: inout InFlight) -> Bool {
        let count = Int(entry.segmentCount)
        let first = tables.first(tag)
        var missingCount = 0
        for index in 0..<count {
            let reference = tables.segments[first &+ index].grant
            if let page = persistent.use(reference, now: now) {
                setPlace(first &+ index, page: page)
            } else {
                persistent.wanted[missingCount] = GrantReference(rawValue: reference)
                tables.missing[missingCount] = Int32(index)
                missingCount &+= 1
            }
        }
        counters.add(count &- missingCount, to: .grantHits)
        guard missingCount > 0 else { return true }
        counters.add(missingCount, to: .grantMisses)
        let mapping = persistent.map(count: missingCount, now: now, &mapper)
        let done: Int
        switch mapping {
        case .mapped(let count), .failed(let count): done = count
        }
        for index in 0..<done {
            setPlace(
                first &+ Int(tables.missing[index]), page: Int(persistent.placed[index]))
        }
        if case .failed = mapping { return false }
        guard done < missingCount else { return true }
        counters.add(missingCount &- done, to: .grantOverflows)
        guard configuration.overflow == .mapOnce else { return false }
        return mapOnce(tag, &entry, from: done, missingCount &- done, .readWrite)
    }

    /// Maps grants for one request.
    ///
    /// - Parameters:
    ///   - tag: The request.
    ///   - entry: Where the mapping is noted.
    ///   - start: Which of `wanted` and `missing` is the first.
    ///   - count: How many, at least one.
    ///   - access: Whether the storage writes them.
    /// - Returns: Whether they are mapped; if not, none is.
    private mutating func mapOnce(
        _ tag: Int, _ entry: inout InFlight, from start: Int, _ count: Int, _ access: GrantAccess
    ) -> Bool {
        let page = pages.requestPage(tag)
        do throws(HypervisorError) {
            entry.mapping = try Self.map(
                &mapper, persistent.wanted, from: start, count, access, into: window, at: page)
        } catch {
            // The request's response says so; the reason is the frontend's own.
            return false
        }
        counters.add(count, to: .grantsMappedOnce)
        for index in 0..<count {
            setPlace(
                tables.first(tag) &+ Int(tables.missing[start &+ index]), page: page &+ index)
        }
        return true
    }

    /// A span of one part and a change of another cannot be had through `self` at once.
    private static func map(
        _ mapper: inout Mapper, _ wanted: borrowing FixedArray<GrantReference>, from start: Int,
        _ count: Int, _ access: GrantAccess, into window: PageWindow, at page: Int
    ) throws(HypervisorError) -> GrantMapping {
        try mapper.map(wanted.span(from: start, count: count), access, into: window, at: page)
    }

    /// Copies a request's data between the frontend's pages and its own.
    ///
    /// - Returns: Whether all could be copied.
    mutating func copyData(_ tag: Int, _ count: Int, _ direction: GrantCopy.Direction) -> Bool {
        let first = tables.first(tag)
        for index in 0..<count {
            let segment = tables.segments[first &+ index]
            tables.copies[index] = GrantCopy(
                direction, reference: segment.reference, pageOffset: UInt16(segment.pageOffset),
                byteCount: UInt16(segment.byteCount),
                windowOffset: tables.places[first &+ index].windowOffset)
        }
        return Self.copy(&mapper, &tables, count: count, window)
    }

    /// Does the first copies of the table, as `map` does above.
    private static func copy(
        _ mapper: inout Mapper, _ tables: inout SegmentTables, count: Int, _ window: PageWindow
    ) -> Bool {
        copy(&mapper, tables.copies, &tables.failures, count, window)
    }

    private static func copy(
        _ mapper: inout Mapper, _ copies: borrowing FixedArray<GrantCopy>,
        _ failures: inout FixedArray<Bool>, _ count: Int, _ window: PageWindow
    ) -> Bool {
        var failed = failures.mutableSpan(from: 0, count: count)
        return mapper.copy(
            copies.span(from: 0, count: count), window: window, failures: &failed)
    }

    /// Ends a request's use of the frontend's pages; nothing mapped for it alone stays.
    ///
    /// - Parameters:
    ///   - tag: The request.
    ///   - entry: What is known of it.
    /// - Returns: Whether all was unmapped that had to be.
    mutating func release(_ tag: Int, _ entry: InFlight) -> Bool {
        if isPersistent {
            let first = tables.first(tag)
            for index in first..<first &+ Int(entry.segmentCount) {
                let offset = tables.places[index].windowOffset
                guard offset != SegmentTables.nowhere else { continue }
                let page = offset / pageByteCount
                if persistent.contains(page) { persistent.release(page, &mapper) }
            }
        }
        guard entry.mapping.count > 0 else { return true }
        do throws(HypervisorError) {
            try mapper.unmap(entry.mapping)
        } catch {
            return false
        }
        return true
    }
}
