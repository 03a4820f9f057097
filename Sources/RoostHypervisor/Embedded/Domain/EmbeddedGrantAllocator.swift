public import RoostMemory
internal import SystemPackage

/// Grants pages of a sealed memory file to one peer by writes to a table that both map.
///
/// The pages are one segment of the hypervisor's (`GrantTable`), which no other domain gets.
/// Granting and ending are a few instructions each, and no message.
public struct EmbeddedGrantAllocator: GrantAllocator, ~Copyable {
    /// Where the pages lie in this process.
    public let window: PageWindow
    private let table: PageWindow
    private let domain: EmbeddedDomain
    private let peer: DomainID
    private let serial: UInt32
    private let firstReference: UInt32
    /// The free pages; the last is claimed next.
    private var free: FixedArray<Int32>
    private var freeCount: Int
    /// Which pages are claimed: 1.
    private var claimed: FixedArray<UInt8>

    private init(
        window: PageWindow, table: PageWindow, domain: EmbeddedDomain, peer: DomainID,
        serial: UInt32, firstReference: UInt32, free: consuming FixedArray<Int32>,
        claimed: consuming FixedArray<UInt8>
    ) {
        self.window = window
        self.table = table
        self.domain = domain
        self.peer = peer
        self.serial = serial
        self.firstReference = firstReference
        freeCount = free.count
        self.free = free
        self.claimed = claimed
    }

    static func make(
        on domain: EmbeddedDomain, for peer: DomainID, pageLimit: Int
    ) throws(HypervisorError) -> EmbeddedGrantAllocator {
        precondition(pageLimit > 0)
        guard pageLimit <= HypervisorLimits.segmentPageCount else {
            throw HypervisorError(
                .noGrants, errno: .noSpace,
                "cannot grant \(pageLimit) pages at once: ask for at most "
                    + "\(HypervisorLimits.segmentPageCount)")
        }
        let answer = try segment(on: domain, for: peer, pageLimit: pageLimit)
        guard let words = answer.last?.words, let file = answer.descriptor(0) else {
            throw HypervisorError(
                .malformed, "cannot grant pages: the hypervisor's answer lacks something")
        }
        do throws(HypervisorError) {
            let tablePageCount = GrantTable.tablePageCount(forPages: pageLimit)
            try SegmentCache.check(file.descriptor, pageCount: tablePageCount + pageLimit)
            let table = try SegmentCache.map(
                file.descriptor, pageCount: tablePageCount, isWritable: true)
            return try make(
                file, table, tablePageCount, pageLimit, domain, peer, serial: words[0],
                firstReference: words[1])
        } catch {
            domain.control.post(ControlMessage(.dropSegment, words[0]))
            throw error
        }
    }

    private static func segment(
        on domain: EmbeddedDomain, for peer: DomainID, pageLimit: Int
    ) throws(HypervisorError) -> ControlConnection.Answer {
        do throws(HypervisorError) {
            return try domain.control.ask(
                ControlMessage(.makeSegment, UInt32(peer.rawValue), UInt32(pageLimit)), .noGrants,
                "make \(pageLimit) pages to grant to domain \(peer)")
        } catch {
            guard error.kind == .noGrants, error.errno != .noSpace else { throw error }
            throw HypervisorError(.system, errno: error.errno, error.description)
        }
    }

    private static func make(
        _ file: PassedDescriptor, _ table: PageWindow, _ tablePageCount: Int, _ pageLimit: Int,
        _ domain: EmbeddedDomain, _ peer: DomainID, serial: UInt32, firstReference: UInt32
    ) throws(HypervisorError) -> EmbeddedGrantAllocator {
        do throws(MemoryError) {
            let window = try PageWindow(pageCount: pageLimit)
            try window.map(
                file.descriptor, filePage: tablePageCount, count: pageLimit, at: 0,
                isWritable: true)
            var free = try FixedArray<Int32>(count: pageLimit)
            for index in 0..<pageLimit { free[index] = Int32(pageLimit &- 1 &- index) }
            return EmbeddedGrantAllocator(
                window: window, table: table, domain: domain, peer: peer, serial: serial,
                firstReference: firstReference, free: free,
                claimed: try FixedArray<UInt8>(count: pageLimit))
        } catch {
            throw SegmentCache.failure(error)
        }
    }

    /// How many pages are claimed.
    public var claimedCount: Int { window.pageCount &- freeCount }

    /// Claims a page: the one released last, or the lowest that was never claimed.
    ///
    /// - Throws: `HypervisorError` of kind `noGrants` when all are claimed.
    public mutating func claim(_ access: GrantAccess) throws(HypervisorError) -> GrantedPage {
        guard freeCount > 0 else { throw exhausted(1) }
        freeCount &-= 1
        return grant(Int(free[freeCount]), access)
    }

    /// Claims pages that lie behind each other in the window, as a ring's have to.
    ///
    /// It takes time that grows with the allocator's pages: for a connection's start.
    ///
    /// - Parameters:
    ///   - count: How many, at least one.
    ///   - access: What the peer may do.
    /// - Returns: The first; the others follow it in page and in reference.
    /// - Throws: `HypervisorError` of kind `noGrants` when no such run is free.
    public mutating func claimRun(
        count: Int, _ access: GrantAccess
    ) throws(HypervisorError) -> GrantedPage {
        precondition(count > 0)
        guard let start = freeRun(count) else { throw exhausted(count) }
        let run = start..<start + count
        var kept = 0
        for index in 0..<freeCount where !run.contains(Int(free[index])) {
            free[kept] = free[index]
            kept &+= 1
        }
        freeCount = kept
        let first = grant(start, access)
        for page in run.dropFirst() { _ = grant(page, access) }
        return first
    }

    private borrowing func freeRun(_ count: Int) -> Int? {
        var length = 0
        for page in 0..<window.pageCount {
            length = claimed[page] == 0 ? length &+ 1 : 0
            if length == count { return page &+ 1 &- count }
        }
        return nil
    }

    private borrowing func exhausted(_ count: Int) -> HypervisorError {
        HypervisorError(
            .noGrants, errno: .noSpace,
            "cannot grant \(count) more pages to domain \(peer): \(claimedCount) of "
                + "\(window.pageCount) are granted; end some first")
    }

    private mutating func grant(_ page: Int, _ access: GrantAccess) -> GrantedPage {
        claimed[page] = 1
        table.storeRelaxed(UInt32(page), at: GrantTable.frameOffset(of: page))
        table.storeReleasing(
            GrantTable.word(granting: access, to: peer), at: GrantTable.flagsOffset(of: page))
        return GrantedPage(
            reference: GrantReference(rawValue: firstReference &+ UInt32(page)), page: page)
    }

    /// Ends a grant, unless the peer still uses the page.
    ///
    /// - Returns: Whether it ended. If not, the page stays claimed and granted, and the call is to
    ///   be repeated later: a page is never freed under its peer.
    /// - Precondition: The page is claimed here.
    public mutating func release(_ page: GrantedPage) -> Bool {
        check(page)
        let offset = GrantTable.flagsOffset(of: page.page)
        // The peer changes the word only by marking it, so this ends.
        for _ in 0...HypervisorLimits.grantRetryCount {
            let word = table.loadRelaxed(at: offset)
            guard word & GrantTable.inUse == 0 else { return false }
            guard table.compareExchange(at: offset, expected: word, desired: 0).exchanged else {
                continue
            }
            claimed[page.page] = 0
            free[freeCount] = Int32(page.page)
            freeCount &+= 1
            return true
        }
        return false
    }

    /// Whether the peer has the page mapped now.
    ///
    /// - Precondition: The page is claimed here.
    public borrowing func isInUse(_ page: GrantedPage) -> Bool {
        check(page)
        return table.loadAcquiring(at: GrantTable.flagsOffset(of: page.page)) & GrantTable.inUse
            != 0
    }

    private borrowing func check(_ page: GrantedPage) {
        precondition(
            page.page >= 0 && page.page < window.pageCount && claimed[page.page] == 1
                && page.reference.rawValue == firstReference &+ UInt32(page.page))
    }

    deinit {
        for page in 0..<window.pageCount where claimed[page] == 1 {
            table.clearBits(~GrantTable.inUse, at: GrantTable.flagsOffset(of: page))
        }
        domain.control.post(ControlMessage(.dropSegment, serial))
    }
}
