internal import RoostMemory
internal import Synchronization
internal import SystemPackage

/// The tables of the segments that a domain maps grants from, in one range of addresses.
///
/// All mappers of the domain share a segment's table and its counts of mappings, since the table
/// has one mark for the whole domain. Any thread may call any method.
final class SegmentCache: Sendable {
    /// A segment that somebody may still hold.
    private struct Entry {
        weak var segment: GrantSegment?
    }

    private struct State {
        var entries: [UInt32: Entry] = [:]
        var free: PageRanges
    }

    /// Where the tables lie.
    let tables: PageWindow
    private let state: Mutex<State>

    /// Reserves the addresses.
    ///
    /// - Throws: `HypervisorError` of kind `system`.
    init() throws(HypervisorError) {
        do throws(MemoryError) {
            tables = try PageWindow(pageCount: HypervisorLimits.tablePageCount)
        } catch {
            throw Self.failure(error)
        }
        state = Mutex(State(free: PageRanges(count: HypervisorLimits.tablePageCount)))
    }

    static func failure(_ error: MemoryError) -> HypervisorError {
        HypervisorError(.system, errno: error.errno, error.description)
    }

    /// Maps the start of a file that the hypervisor has sent, after the checks that make it safe.
    ///
    /// - Throws: `HypervisorError` of kind `malformed` for a file that could shrink or is too
    ///   short, `system` when the system refuses.
    static func map(
        _ descriptor: FileDescriptor, pageCount: Int, isWritable: Bool
    ) throws(HypervisorError) -> PageWindow {
        try check(descriptor, pageCount: pageCount)
        do throws(MemoryError) {
            let window = try PageWindow(pageCount: pageCount)
            try window.map(
                descriptor, filePage: 0, count: pageCount, at: 0, isWritable: isWritable)
            return window
        } catch {
            throw failure(error)
        }
    }

    /// Refuses a file that could shrink under its mappings, or is too short for them.
    ///
    /// - Throws: `HypervisorError` of kind `malformed`.
    static func check(
        _ descriptor: FileDescriptor, pageCount: Int
    ) throws(HypervisorError) {
        let length = (try? descriptor.seek(offset: 0, from: .end)) ?? 0
        guard descriptor.isSealedAgainstShrinking, length >= Int64(pageCount * pageByteCount) else {
            throw HypervisorError(
                .malformed,
                "refused shared memory that could shrink, or is shorter than \(pageCount) pages: "
                    + "what listens as the hypervisor is none")
        }
    }

    /// A segment that the hypervisor has named, mapped once for all who ask.
    ///
    /// - Parameters:
    ///   - serial: The hypervisor's number for it.
    ///   - references: Its grants.
    ///   - file: Its memory.
    /// - Returns: The segment, which lives as long as somebody holds it.
    /// - Throws: `HypervisorError` of kind `malformed` or `system`.
    func segment(
        _ serial: UInt32, references: Range<UInt32>, file: PassedDescriptor
    ) throws(HypervisorError) -> GrantSegment {
        if let known = state.withLock({ $0.entries[serial]?.segment }) { return known }
        let tablePageCount = GrantTable.tablePageCount(forPages: references.count)
        let pinPageCount = (references.count * 4 + pageByteCount - 1) / pageByteCount
        try Self.check(file.descriptor, pageCount: tablePageCount + references.count)
        let range = state.withLock { $0.free.take(tablePageCount + pinPageCount) }
        guard let range else {
            throw HypervisorError(
                .system, errno: .noMemory,
                "cannot map another grant table: \(HypervisorLimits.tablePageCount) pages of "
                    + "tables are mapped; disconnect some peers")
        }
        do throws(MemoryError) {
            try tables.map(
                file.descriptor, filePage: 0, count: tablePageCount, at: range.lowerBound,
                isWritable: true)
            try tables.mapAnonymous(
                count: pinPageCount, at: range.lowerBound + tablePageCount)
        } catch {
            giveBack(range)
            throw Self.failure(error)
        }
        let made = GrantSegment(
            serial: serial, references: references, file: file, pages: range,
            tablePageCount: tablePageCount, cache: self)
        return state.withLock { state in
            // Another thread may have been first; then this one's goes at once.
            if let known = state.entries[serial]?.segment { return known }
            state.entries[serial] = Entry(segment: made)
            return made
        }
    }

    /// Takes back the addresses of a segment that nobody holds any more.
    func forget(_ serial: UInt32, _ range: Range<Int>) {
        // A newer one of the same number is let go outside the lock: it may be the last reference.
        _ = state.withLock { state -> GrantSegment? in
            if let newer = state.entries[serial]?.segment { return newer }
            state.entries[serial] = nil
            return nil
        }
        giveBack(range)
    }

    private func giveBack(_ range: Range<Int>) {
        // Without memory to unmap them the addresses stay taken, and nothing else is hurt.
        guard (try? tables.unmap(count: range.count, at: range.lowerBound)) != nil else { return }
        state.withLock { $0.free.giveBack(range) }
    }
}
