/// What a request that can be done asks for, in steps.
struct RequestPlan: Equatable {
    /// A request's steps, each one request to the storage, done in this order.
    struct Steps: OptionSet {
        let rawValue: UInt8

        static let flushBefore = Steps(rawValue: 1)
        static let transfer = Steps(rawValue: 2)
        static let flushAfter = Steps(rawValue: 4)
    }

    /// What the transfer is; there is one if `steps` says so.
    var operation: StorageOperation
    /// What is to be done; nothing, if empty.
    var steps: Steps
    /// Whether all requests before it are to end first, and those behind it to wait for it.
    var isBarrier = false
    /// How many segments it has, which are yet to be checked.
    var segmentCount = 0
    /// Whether they lie in pages of their own.
    var isIndirect = false
    /// For a discard how many sectors of 512 bytes.
    var discardSectorCount: UInt64 = 0
}

/// What is said to a request after a look at it.
enum RequestVerdict: Equatable {
    case accept(RequestPlan)
    case refuse(BlockStatus)
}

/// Decides what of a frontend's request can be done, as Linux's blkback does, before any grant of
/// it is touched.
///
/// It looks at private copies only. A refusal is `.unsupported` only where that stays true; Linux's
/// frontend stops asking then. A request that reaches over the end of the disk fails whole.
struct RequestValidator: Sendable {
    /// What the disk is.
    var geometry: DiskGeometry
    /// The most segments of an indirect request; 0 when none was offered.
    var indirectSegmentLimit: Int

    /// Looks at everything but the segments.
    func check(_ request: BlockRequest) -> RequestVerdict {
        switch request.operation {
        case .read:
            return checkTransfer(request, RequestPlan(operation: .read, steps: .transfer))
        case .write:
            return checkTransfer(request, RequestPlan(operation: .write, steps: .transfer))
        case .flush, .writeBarrier:
            return checkFlush(request)
        case .discard:
            return checkDiscard(request)
        case .indirect:
            return checkIndirect(request)
        case nil:
            return .refuse(.unsupported)
        }
    }

    private func checkTransfer(
        _ request: BlockRequest, _ plan: RequestPlan
    ) -> RequestVerdict {
        guard 1...BlockRequest.directSegmentLimit ~= request.segmentCount,
            plan.operation == .read || !geometry.isReadOnly
        else { return .refuse(.error) }
        var plan = plan
        plan.segmentCount = request.segmentCount
        return .accept(plan)
    }

    /// A flush is done although none was offered.
    ///
    /// With segments it is followed by a write of them.
    private func checkFlush(_ request: BlockRequest) -> RequestVerdict {
        let isBarrier = request.operation == .writeBarrier
        var plan = RequestPlan(
            operation: .write, steps: geometry.canFlush ? .flushBefore : [], isBarrier: isBarrier)
        guard request.segmentCount > 0 else { return .accept(plan) }
        plan.steps.insert(.transfer)
        if isBarrier, geometry.canFlush { plan.steps.insert(.flushAfter) }
        return checkTransfer(request, plan)
    }

    /// That what is discarded should be unreadable is not offered, and so not heeded.
    private func checkDiscard(_ request: BlockRequest) -> RequestVerdict {
        guard !geometry.isReadOnly,
            isOnDisk(sector: request.sector, count: request.discardSectorCount)
        else { return .refuse(.error) }
        guard geometry.canDiscard else { return .refuse(.unsupported) }
        let steps: RequestPlan.Steps = request.discardSectorCount > 0 ? .transfer : []
        return .accept(
            RequestPlan(
                operation: .discard, steps: steps, discardSectorCount: request.discardSectorCount))
    }

    private func checkIndirect(_ request: BlockRequest) -> RequestVerdict {
        guard indirectSegmentLimit > 0 else { return .refuse(.unsupported) }
        guard 1...indirectSegmentLimit ~= request.segmentCount else { return .refuse(.error) }
        let operation: StorageOperation
        switch BlockOperation(rawValue: request.innerCode) {
        case .read: operation = .read
        case .write where !geometry.isReadOnly: operation = .write
        default: return .refuse(.error)
        }
        return .accept(
            RequestPlan(
                operation: operation, steps: .transfer, segmentCount: request.segmentCount,
                isIndirect: true))
    }

    /// Adds a segment to a transfer.
    ///
    /// - Parameters:
    ///   - segment: A private copy.
    ///   - sectorCount: How many sectors the segments before it have; it grows by this one's.
    /// - Returns: Whether it is a run of sectors of a page.
    func add(_ segment: BlockSegment, to sectorCount: inout UInt64) -> Bool {
        guard segment.isValid else { return false }
        // At most 4,096 segments of 8 sectors: this cannot overflow.
        sectorCount &+= UInt64(segment.sectorCount)
        return true
    }

    /// Whether sectors are there, and begin and end where the disk's own do.
    ///
    /// - Parameters:
    ///   - sector: The first, in units of 512 bytes.
    ///   - count: How many of 512 bytes.
    /// - Returns: Whether they are.
    func isOnDisk(sector: UInt64, count: UInt64) -> Bool {
        let (end, overflow) = sector.addingReportingOverflow(count)
        let unit = UInt64(geometry.logicalSectorByteCount / sectorByteCount)
        return !overflow && end <= geometry.sectorCount && (sector | count) & (unit &- 1) == 0
    }
}
