public import RoostMemory
internal import SystemPackage

/// Copies to and from grants, as Xen's grant copy: the kernel moves the bytes, nothing is mapped.
extension EmbeddedGrantMapper {
    /// Copies that lie behind each other at both ends, and go as one.
    private struct Run {
        var direction: GrantCopy.Direction
        var segment: Int
        var fileOffset: Int
        var windowOffset: Int
        var byteCount = 0
        /// The copies.
        var indices: Range<Int>
    }

    /// Copies bytes between grants and this domain's memory, without mapping anything.
    ///
    /// Copies that follow each other at both ends are one system call.
    ///
    /// - Parameters:
    ///   - copies: What to copy.
    ///   - window: Where this domain's bytes lie.
    ///   - failures: For each copy, whether it failed; as long as `copies`.
    /// - Returns: Whether all were done.
    public mutating func copy(
        _ copies: Span<GrantCopy>, window: PageWindow, failures: inout MutableSpan<Bool>
    ) -> Bool {
        precondition(failures.count == copies.count)
        var isComplete = true
        var run: Run?
        for index in 0..<copies.count {
            failures[index] = false
            guard let next = prepare(copies[index], index, window) else {
                failures[index] = true
                isComplete = false
                continue
            }
            if var current = run {
                if current.direction == next.direction, current.segment == next.segment,
                    current.indices.upperBound == index,
                    current.fileOffset &+ current.byteCount == next.fileOffset,
                    current.windowOffset &+ current.byteCount == next.windowOffset
                {
                    current.byteCount &+= next.byteCount
                    current.indices = current.indices.lowerBound..<index &+ 1
                    run = current
                    continue
                }
                if !finish(current, copies, window, &failures) { isComplete = false }
            }
            run = next
        }
        if let run, !finish(run, copies, window, &failures) { isComplete = false }
        return isComplete
    }

    /// Checks a copy and holds its grant; `nil` when it cannot be done.
    private mutating func prepare(
        _ copy: GrantCopy, _ index: Int, _ window: PageWindow
    ) -> Run? {
        let byteCount = Int(copy.byteCount)
        guard Int(copy.pageOffset) + byteCount <= pageByteCount, copy.windowOffset >= 0,
            byteCount <= window.byteCount, copy.windowOffset <= window.byteCount - byteCount
        else { return nil }
        // A hypervisor that is gone cannot tell what else is granted: the copy fails.
        guard let segment = (try? find(copy.reference)) ?? nil else { return nil }
        let page = Int(copy.reference.rawValue &- records[segment].firstReference)
        let access: GrantAccess = copy.direction == .toGrant ? .readWrite : .readOnly
        let frame = GrantPins.hold(page, of: records[segment], access, by: domain.id, in: tables)
        guard let frame else { return nil }
        // Counted until the run ends, so that the segment stays.
        records[segment].pinnedCount &+= 1
        return Run(
            direction: copy.direction, segment: segment,
            fileOffset: (Int(records[segment].dataPage) &+ frame) &* pageByteCount
                &+ Int(copy.pageOffset),
            windowOffset: copy.windowOffset, byteCount: byteCount, indices: index..<index &+ 1)
    }

    /// Does a run's copy and lets its grants go.
    private mutating func finish(
        _ run: Run, _ copies: Span<GrantCopy>, _ window: PageWindow,
        _ failures: inout MutableSpan<Bool>
    ) -> Bool {
        let record = records[run.segment]
        let file = FileDescriptor(rawValue: record.descriptor)
        let isDone =
            switch run.direction {
            case .fromGrant:
                window.read(
                    count: run.byteCount, from: file, at: run.fileOffset, to: run.windowOffset)
            case .toGrant:
                window.write(
                    count: run.byteCount, from: run.windowOffset, to: file, at: run.fileOffset)
            }
        let access: GrantAccess = run.direction == .toGrant ? .readWrite : .readOnly
        for index in run.indices {
            let page = Int(copies[index].reference.rawValue &- record.firstReference)
            GrantPins.letGo(page, of: record, access, in: tables)
            if !isDone { failures[index] = true }
        }
        records[run.segment].pinnedCount &-= Int32(run.indices.count)
        if records[run.segment].pinnedCount == 0, isEnded(run.segment) { drop(run.segment) }
        return isDone
    }
}
