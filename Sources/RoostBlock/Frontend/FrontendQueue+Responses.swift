internal import RoostHypervisor
internal import RoostMemory

extension FrontendQueue where Allocator: ~Copyable, Channel: ~Copyable {
    /// Takes responses that have come, and asks to be told of the next if all are taken.
    ///
    /// Once the backend breaks the protocol, ``failure`` says how, and nothing is taken any more.
    ///
    /// - Parameter limit: How many to take at most.
    /// - Returns: Whether more wait.
    @discardableResult
    mutating func takeResponses(upTo limit: Int = .max) -> Bool {
        guard failure == nil else { return false }
        if stuck.count > 0 { retryStuck() }
        var left = limit
        while true {
            guard case .slots(let count) = ring.look() else {
                breakOff("it claims more responses than there are requests")
                return false
            }
            for _ in 0..<min(count, left) {
                let response = ring.takeResponse()
                if let wrong = take(response) {
                    breakOff(wrong)
                    return false
                }
            }
            guard count <= left else { return true }
            left &-= count
            guard ring.rearm() else { return false }
        }
    }

    private mutating func breakOff(_ what: String) {
        failure = BlockError(
            .peer, "the backend broke the protocol: \(what); the disk is out of use")
    }

    /// Takes one response, which may be anything.
    ///
    /// - Returns: What is wrong with it, or `nil`.
    private mutating func take(_ response: BlockResponse) -> String? {
        guard response.id < UInt64(shadows.count) else {
            return "it answers request \(response.id), and there are \(shadows.count)"
        }
        let id = Int(response.id)
        let shadow = shadows[id]
        guard shadow.isOutstanding else {
            return "it answers request \(id), which is not under way"
        }
        guard response.code == shadow.code else {
            return "it answers operation \(response.code) to operation \(shadow.code)"
        }
        guard let status = response.status else {
            return "it answers status \(response.statusCode), which does not exist"
        }
        end(id, shadow, status)
        return nil
    }

    /// A request on the ring has ended.
    private mutating func end(_ id: Int, _ shadow: Shadow, _ status: BlockStatus) {
        let index = Int(shadow.operation)
        var entry = operations[index]
        let first = id &* pagesPerRequest
        // After an error the pages hold whatever the backend left there.
        if status == .okay, entry.kind == .read {
            transfer(
                index, from: shadow.byteOffset, count: Int(shadow.byteCount), pages: first,
                toGrants: false)
        }
        for number in 0..<Int(shadow.dataPageCount) &+ Int(shadow.indirectPageCount) {
            giveBack(pages[first &+ number])
        }
        shadows[id].isOutstanding = false
        freeIDs[freeIDCount] = UInt16(truncatingIfNeeded: id)
        freeIDCount &+= 1
        entry.outstanding &-= 1
        entry.status = max(entry.status, Self.diskStatus(status).rawValue)
        if status == .unsupported { drop(entry.kind, &entry) }
        let isFailed = entry.status != DiskStatus.done.rawValue
        let isWaiting = operations.front == index
        if isFailed, isWaiting, entry.kind.hasData {
            // The rest of a request of which a part has failed is not asked for.
            entry.issued = entry.byteCount
            operations.dropFront()
        }
        operations[index] = entry
        if entry.outstanding == 0, entry.issued == entry.byteCount || !entry.kind.hasData {
            complete(index, DiskStatus(rawValue: entry.status) ?? .failed)
        }
    }

    private static func diskStatus(_ status: BlockStatus) -> DiskStatus {
        switch status {
        case .okay: .done
        case .error: .failed
        case .unsupported: .unsupported
        }
    }

    /// The backend has said that it never does this: it is not asked again.
    private mutating func drop(
        _ operation: DiskOperation, _ entry: inout OperationTable.Entry
    ) {
        switch operation {
        case .flush:
            // So there is no cache, and what was written is where it stays.
            if features?.geometry.canFlush == true {
                features?.geometry.canFlush = false
            } else {
                features?.canWriteBarriers = false
            }
            entry.status = DiskStatus.done.rawValue
        case .barrier: features?.canWriteBarriers = false
        case .discard: features?.geometry.canDiscard = false
        case .secureDiscard: features?.canDiscardSecurely = false
        case .read, .write: break
        }
    }

    /// What callers still wait for, in order, to be issued to a successor.
    func unfinished() -> [Submission] {
        operations.unfinished()
    }
}
