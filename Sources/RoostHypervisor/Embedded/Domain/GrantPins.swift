internal import RoostMemory

/// A segment as plain values, for the data plane.
struct GrantSegmentRecord: BitwiseCopyable, Sendable {
    var firstReference: UInt32
    var pageCount: UInt32
    /// Where the table lies in the domain's window of tables.
    var tableOffset: Int
    /// Where the counts of mappings lie there.
    var pinOffset: Int
    /// The file's page that is the first granted one.
    var dataPage: Int32
    /// The file.
    var descriptor: Int32
    /// How many of its pages this mapper holds.
    var pinnedCount: Int32 = 0
    /// Whether references are looked for in it.
    var isListed: Bool = false
}

/// Marks grants as in use while they are mapped or copied, so that their granter cannot end them.
///
/// The table has one mark for the whole domain, which maps a page any number of times from any
/// thread. A word for each page counts: bits 0 to 13 how often it is held, 14 to 27 how often to be
/// written; bit 31 is held for the few instructions in which count and mark change together.
enum GrantPins {
    private static let locked: UInt32 = 1 << 31
    private static let writer: UInt32 = 1 << 14
    private static let mask: UInt32 = writer - 1

    /// Holds a grant.
    ///
    /// - Parameters:
    ///   - page: Which of the segment's.
    ///   - segment: The segment.
    ///   - access: What for.
    ///   - domain: Who.
    ///   - tables: The domain's window of tables.
    /// - Returns: The page of the segment that is granted, or `nil` if none is: nothing is held.
    static func hold(
        _ page: Int, of segment: GrantSegmentRecord, _ access: GrantAccess, by domain: DomainID,
        in tables: PageWindow
    ) -> Int? {
        let pin = segment.pinOffset &+ page &* 4
        let entry = segment.tableOffset &+ GrantTable.flagsOffset(of: page)
        let counts = lock(pin, tables)
        guard counts & mask < HypervisorLimits.pinCount,
            mark(entry, access, domain, tables)
        else {
            tables.storeReleasing(counts, at: pin)
            return nil
        }
        // What the granter says is read once, and checked. Its number stays within its own pages.
        let frame = tables.loadAcquiring(
            at: segment.tableOffset &+ GrantTable.frameOffset(of: page))
        guard frame < segment.pageCount else {
            unmark(entry, counts, tables)
            tables.storeReleasing(counts, at: pin)
            return nil
        }
        tables.storeReleasing(counts &+ 1 &+ (access == .readWrite ? writer : 0), at: pin)
        return Int(frame)
    }

    /// Lets a grant go that was held.
    static func letGo(
        _ page: Int, of segment: GrantSegmentRecord, _ access: GrantAccess, in tables: PageWindow
    ) {
        let pin = segment.pinOffset &+ page &* 4
        let counts = lock(pin, tables) &- 1 &- (access == .readWrite ? writer : 0)
        unmark(segment.tableOffset &+ GrantTable.flagsOffset(of: page), counts, tables)
        tables.storeReleasing(counts, at: pin)
    }

    /// Keeps the domain's other threads from a page's count; answers the count.
    private static func lock(_ pin: Int, _ tables: PageWindow) -> UInt32 {
        while true {
            let counts = tables.loadRelaxed(at: pin) & ~locked
            if tables.compareExchange(at: pin, expected: counts, desired: counts | locked).exchanged
            {
                return counts
            }
        }
    }

    /// Marks an entry as in use if it grants what is wanted.
    private static func mark(
        _ entry: Int, _ access: GrantAccess, _ domain: DomainID, _ tables: PageWindow
    ) -> Bool {
        let marks = access == .readOnly ? GrantTable.reading : GrantTable.inUse
        // The granter may change the word at the same moment; one that goes on doing so loses.
        for _ in 0...HypervisorLimits.grantRetryCount {
            let word = tables.loadAcquiring(at: entry)
            guard GrantTable.isGranting(word, access, to: domain) else { return false }
            if tables.compareExchange(at: entry, expected: word, desired: word | marks).exchanged {
                return true
            }
        }
        return false
    }

    /// Takes back the marks that the counts no longer need.
    private static func unmark(_ entry: Int, _ counts: UInt32, _ tables: PageWindow) {
        if counts & mask == 0 {
            tables.clearBits(GrantTable.inUse, at: entry)
        } else if counts & ~mask == 0 {
            tables.clearBits(GrantTable.writing, at: entry)
        }
    }
}
