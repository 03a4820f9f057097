internal import RoostHypervisor
internal import RoostMemory
internal import SystemPackage

/// How requests are taken, done and answered.
extension BackendQueue where Mapper: ~Copyable, Channel: ~Copyable, Storage: ~Copyable {
    /// Requests that are taken before their responses are shown to the frontend, so that it works
    /// meanwhile: both ends would take turns otherwise, each waiting for all of the other's.
    private static var batchLimit: Int { 8 }

    /// Takes requests that wait, up to a barrier.
    ///
    /// - Returns: How many were taken.
    mutating func takeRequests() -> Int {
        guard !isBroken, barrier < 0 else { return 0 }
        guard case .slots(let waiting) = ring.look() else {
            isBroken = true
            return 0
        }
        var taken = 0
        while taken < min(waiting, Self.batchLimit), barrier < 0 {
            begin(ring.takeRequest())
            taken &+= 1
        }
        return taken
    }

    /// Begins a request: checks it, finds its pages, and has its first step done.
    private mutating func begin(_ request: BlockRequest) {
        var entry = InFlight()
        entry.id = request.id
        entry.code = request.answeredCode
        entry.sector = request.sector
        entry.start = now
        let tag = inFlight.insert(entry)
        let plan: RequestPlan
        switch validator.check(request) {
        case .accept(let accepted): plan = accepted
        case .refuse(let status): return finish(tag, status)
        }
        entry.operation = plan.operation
        entry.steps = plan.steps
        entry.isBarrier = plan.isBarrier
        entry.sectorCount = plan.discardSectorCount
        if plan.segmentCount > 0 {
            guard let sectorCount = takeSegments(of: request, plan, tag) else {
                return finish(tag, .error)
            }
            entry.sectorCount = sectorCount
            entry.segmentCount = Int32(plan.segmentCount)
            let isPlaced = place(tag, &entry)
            inFlight[tag] = entry
            guard isPlaced else { return finish(tag, .error) }
        } else {
            inFlight[tag] = entry
        }
        guard plan.isBarrier else { return advance(tag) }
        barrier = tag
        isBarrierStarted = false
        startBarrier()
    }

    /// Lets the barrier begin once all before it have ended.
    private mutating func startBarrier() {
        guard barrier >= 0, !isBarrierStarted, underWayCount == 0 else { return }
        isBarrierStarted = true
        advance(barrier)
    }

    /// Hands the next step of a request to the storage, or ends it after the last.
    private mutating func advance(_ tag: Int) {
        let entry = inFlight[tag]
        guard !entry.steps.isEmpty else { return finish(tag, .okay) }
        underWayCount &+= 1
        let isTransfer = entry.steps.first == .transfer
        let request =
            isTransfer
            ? StorageRequest(
                entry.operation, sector: entry.sector, sectorCount: entry.sectorCount, tag: tag)
            : StorageRequest(.flush, sector: 0, sectorCount: 0, tag: tag)
        Self.submit(
            &storage, request, tables.places, from: tables.first(tag),
            isTransfer ? Int(entry.segmentCount) : 0, window)
    }

    private static func submit(
        _ storage: inout Storage, _ request: StorageRequest,
        _ places: borrowing FixedArray<StorageSegment>, from start: Int, _ count: Int,
        _ window: PageWindow
    ) {
        storage.submit(request, segments: places.span(from: start, count: count), window: window)
    }

    /// Takes what the storage has ended.
    ///
    /// - Returns: How many steps of requests that were.
    mutating func takeCompletions() -> Int {
        var taken = 0
        while let completion = storage.takeCompletion() {
            precondition(underWayCount > 0)
            underWayCount &-= 1
            taken &+= 1
            complete(completion)
            startBarrier()
        }
        return taken
    }

    private mutating func complete(_ completion: StorageCompletion) {
        let tag = completion.tag
        if let errno = completion.errno {
            let isUnknown =
                inFlight[tag].operation == .discard
                && (errno == .notSupported || errno == .notSupportedOnSocket)
            return finish(tag, isUnknown ? .unsupported : .error)
        }
        inFlight[tag].steps.removeFirst()
        advance(tag)
    }

    /// Ends a request: its pages go, then its response is put, or waits for those before it.
    private mutating func finish(_ tag: Int, _ status: BlockStatus) {
        var entry = inFlight[tag]
        var status = status
        let isCopiedRead =
            configuration.mode == .copy && entry.operation == .read && entry.segmentCount > 0
        if status == .okay, isCopiedRead,
            !copyData(tag, Int(entry.segmentCount), .toGrant)
        {
            status = .error
        }
        if !release(tag, entry) { status = .error }
        entry.status = status
        entry.isDone = true
        inFlight[tag] = entry
        if barrier == tag { barrier = -1 }
        count(entry)
        switch configuration.order {
        case .asCompleted:
            put(entry)
            inFlight.remove(tag)
        case .asRequested:
            while let oldest = inFlight.oldest, inFlight[oldest].isDone {
                put(inFlight[oldest])
                inFlight.removeOldest()
            }
        }
    }

    private mutating func put(_ entry: InFlight) {
        ring.put(BlockResponse(id: entry.id, code: entry.code, entry.status))
        unpublishedCount &+= 1
    }

    private func count(_ entry: InFlight) {
        counters.addLatency(now &- entry.start)
        guard entry.status == .okay else { return counters.add(1, to: .errors) }
        let byteCount = Int(truncatingIfNeeded: entry.sectorCount) &* sectorByteCount
        if entry.isBarrier {
            counters.add(1, to: .barriers)
            counters.add(byteCount, to: .writtenBytes)
        } else if entry.code == BlockOperation.flush.rawValue {
            counters.add(1, to: .flushes)
            counters.add(byteCount, to: .writtenBytes)
        } else if entry.operation == .read {
            counters.add(1, to: .reads)
            counters.add(byteCount, to: .readBytes)
        } else if entry.operation == .write {
            counters.add(1, to: .writes)
            counters.add(byteCount, to: .writtenBytes)
        } else {
            counters.add(1, to: .discards)
        }
    }

    /// Shows the frontend the responses that were put, and tells it if it asked for that.
    mutating func publishResponses() {
        guard unpublishedCount > 0 else { return }
        unpublishedCount = 0
        guard ring.publish() else { return counters.add(1, to: .notificationsSuppressed) }
        do throws(HypervisorError) {
            try channel.notify()
            counters.add(1, to: .notificationsSent)
        } catch {
            // The frontend's end is gone; its state in the store says what comes of that.
            counters.add(1, to: .notificationsFailed)
        }
    }
}

extension RequestPlan.Steps {
    /// The step that is done first.
    var first: RequestPlan.Steps {
        RequestPlan.Steps(rawValue: rawValue & ~(rawValue &- 1))
    }

    /// Takes out the step that is done first; there is one.
    mutating func removeFirst() {
        self = RequestPlan.Steps(rawValue: rawValue & (rawValue &- 1))
    }
}
