internal import RoostMemory
internal import SystemPackage

/// The segments that a mapper knows.
extension EmbeddedGrantMapper {
    /// The segment that has a reference, or `nil` when the granter has granted none such to us.
    mutating func find(_ reference: GrantReference) throws(HypervisorError) -> Int? {
        if let known = lookUp(reference.rawValue) { return known }
        // Nothing was granted since the last look: a peer that names bad references asks nobody.
        let generation = domain.page.loadAcquiring(at: DomainPage.generationOffset)
        guard generation != knownGeneration else { return nil }
        try refresh()
        knownGeneration = generation
        return lookUp(reference.rawValue)
    }

    private mutating func lookUp(_ reference: UInt32) -> Int? {
        guard let found = search(reference) else { return nil }
        guard isEnded(found) else {
            lastFound = found
            return found
        }
        order.removeAll { $0 == Int32(found) }
        records[found].isListed = false
        if records[found].pinnedCount == 0 { drop(found) }
        return nil
    }

    private borrowing func search(_ reference: UInt32) -> Int? {
        if records[lastFound].isListed,
            reference &- records[lastFound].firstReference < records[lastFound].pageCount
        {
            return lastFound
        }
        var low = 0
        var high = order.count
        while low < high {
            let middle = (low &+ high) / 2
            if records[Int(order[middle])].firstReference <= reference {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        guard low > 0 else { return nil }
        let found = Int(order[low &- 1])
        let isInside = reference &- records[found].firstReference < records[found].pageCount
        return isInside ? found : nil
    }

    /// Whether the granter has ended a segment or is gone.
    borrowing func isEnded(_ segment: Int) -> Bool {
        tables.loadAcquiring(at: records[segment].tableOffset &+ GrantTable.endedOffset) != 0
    }

    /// Lets a segment go, and with it its memory unless another mapper holds it.
    mutating func drop(_ segment: Int) {
        if records[segment].isListed { order.removeAll { $0 == Int32(segment) } }
        records[segment].isListed = false
        segments[segment] = nil
    }

    /// Asks the hypervisor for the segments that were made since it was asked last.
    private mutating func refresh() throws(HypervisorError) {
        for index in segments.indices where segments[index] != nil {
            if records[index].pinnedCount == 0, isEnded(index) { drop(index) }
        }
        while true {
            let answer: ControlConnection.Answer
            do throws(HypervisorError) {
                answer = try domain.control.ask(
                    ControlMessage(.nextSegment, UInt32(granter.rawValue), lastSerial), .grant,
                    "look for grants of domain \(granter)")
            } catch {
                if error.errno == .noSuchFileOrDirectory { return }
                throw error
            }
            guard let words = answer.last?.words, let file = answer.descriptor(0),
                words[0] > lastSerial, words[2] > 0,
                words[2] <= HypervisorLimits.segmentPageCount, words[1] <= .max - words[2]
            else {
                throw HypervisorError(
                    .malformed, "cannot map grants: the hypervisor's answer lacks something")
            }
            lastSerial = words[0]
            let segment = try domain.segments.segment(
                words[0], references: words[1]..<words[1] + words[2], file: file)
            try list(segment)
        }
    }

    /// Looks for references in a segment from now on.
    private mutating func list(_ segment: GrantSegment) throws(HypervisorError) {
        let index: Int
        if let free = segments.firstIndex(where: { $0 == nil }) {
            index = free
            segments[free] = segment
        } else {
            guard segments.count < Self.segmentLimit else {
                throw HypervisorError(
                    .system, errno: .noSpace,
                    "cannot map from more than \(Self.segmentLimit) segments of domain \(granter): "
                        + "unmap what it has ended")
            }
            index = segments.count
            segments.append(segment)
        }
        records[index] = segment.record
        records[index].isListed = true
        let first = records[index].firstReference
        let place = order.firstIndex { records[Int($0)].firstReference > first } ?? order.count
        order.insert(Int32(index), at: place)
    }
}
