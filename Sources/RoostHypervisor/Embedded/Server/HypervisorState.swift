internal import RoostMemory
internal import SystemPackage

/// Who lives on the embedded hypervisor and what each has: requests go in, answers come out.
///
/// It reads and sends nothing; what a domain sends can be anything, and costs that domain only.
struct HypervisorState {
    /// An answer and the descriptor that goes with it.
    struct Outgoing {
        var message: ControlMessage
        var descriptor: FileDescriptor?
        /// What owns the descriptor, until it is sent.
        var owner: AnyObject?
    }

    /// What is remembered of a domain that is gone, for one that comes back as it.
    private struct Retired {
        let userID: UInt32
        let nextReference: UInt32
    }

    /// The living domains.
    private(set) var domains: [DomainID: ServerDomain] = [:]
    private var retired: [DomainID: Retired] = [:]
    private var lastDomain: UInt16 = 0
    private var lastSegment: UInt32 = 0

    // MARK: Coming and going

    /// Lets a domain in.
    ///
    /// - Parameters:
    ///   - hello: Its first message.
    ///   - userID: Whose process it is.
    /// - Returns: The domain, or why it is refused.
    mutating func admit(
        _ hello: ControlMessage, userID: UInt32
    ) -> Result<ServerDomain, Errno> {
        guard hello.words[0] == ControlMessage.version else { return .failure(.notSupported) }
        guard domains.count < HypervisorLimits.domainCount else { return .failure(.noSpace) }
        var nextReference = UInt32(GrantTable.reservedEntryCount)
        let id: DomainID
        if hello.words[1] == 0 {
            id = freeDomain()
        } else {
            let wanted = UInt16(exactly: hello.words[1]).map(DomainID.init(rawValue:))
            guard let wanted, wanted < .firstReserved else { return .failure(.invalidArgument) }
            guard domains[wanted] == nil else { return .failure(.resourceBusy) }
            guard let before = retired[wanted], before.userID == userID else {
                return .failure(.permissionDenied)
            }
            nextReference = before.nextReference
            id = wanted
        }
        do throws(MemoryError) {
            let domain = try ServerDomain(
                id, userID: userID, name: hello.text, nextReference: nextReference)
            retired[id] = nil
            domains[id] = domain
            return .success(domain)
        } catch {
            return .failure(error.errno ?? .noMemory)
        }
    }

    /// The next number, which comes round before one is given again.
    private mutating func freeDomain() -> DomainID {
        repeat {
            lastDomain = lastDomain + 1 < DomainID.firstReserved.rawValue ? lastDomain + 1 : 1
        } while domains[DomainID(rawValue: lastDomain)] != nil
        let id = DomainID(rawValue: lastDomain)
        if retired.removeValue(forKey: id) != nil { withdraw(from: id) }
        return id
    }

    /// Ends what was shared with a domain that is gone, before another gets its number.
    private func withdraw(from id: DomainID) {
        for domain in domains.values {
            for segment in domain.segments where segment.peer == id {
                domain.grantedPageCount -= segment.pageCount
                end(segment)
            }
            domain.segments.removeAll { $0.peer == id }
            for (port, end) in domain.ports where end.channel.domains[1 - end.side] == id {
                close(EventPort(rawValue: port), of: domain)
            }
        }
    }

    /// Takes back all that a domain had, and nothing of anybody else's.
    mutating func remove(_ id: DomainID) {
        guard let domain = domains.removeValue(forKey: id) else { return }
        retired[id] = Retired(userID: domain.userID, nextReference: domain.nextReference)
        for port in domain.ports.keys.sorted() {
            close(EventPort(rawValue: port), of: domain)
        }
        for segment in domain.segments { end(segment) }
        domain.segments = []
        for other in domains.values {
            for segment in other.segments where segment.peer == id {
                // Without memory to do it the granter sees its pages in use for longer: safe.
                try? segment.clearMarks()
            }
        }
    }

    // MARK: Requests

    /// Does what a domain asks for.
    ///
    /// - Parameters:
    ///   - message: What it sent.
    ///   - domain: Who.
    /// - Returns: The answer; empty where none is wanted.
    mutating func answer(_ message: ControlMessage, from domain: ServerDomain) -> [Outgoing] {
        let outcome: Result<[Outgoing], Errno> =
            switch ControlMessage.Operation(rawValue: message.operation) {
            case .makeSegment: makeSegment(message, domain)
            case .dropSegment: dropSegment(message, domain)
            case .nextSegment: nextSegment(message, domain)
            case .allocateUnbound: allocateUnbound(message, domain)
            case .bind: bind(message, domain)
            case .closePort: closePort(message, domain)
            case .hello, nil: .failure(.invalidArgument)
            }
        guard message.request != 0 else { return [] }
        switch outcome {
        case .success(let answers):
            return answers
        case .failure(let reason):
            return [Outgoing(message: ControlMessage(answering: message, status: reason))]
        }
    }

    /// Reads a domain's number from a message.
    private static func domain(_ word: UInt32) -> DomainID? {
        let id = UInt16(exactly: word).map(DomainID.init(rawValue:))
        return id.flatMap { $0 < .firstReserved ? $0 : nil }
    }

    // MARK: Grants

    private mutating func makeSegment(
        _ message: ControlMessage, _ domain: ServerDomain
    ) -> Result<[Outgoing], Errno> {
        guard let peer = Self.domain(message.words[0]) else { return .failure(.invalidArgument) }
        let pageCount = Int(message.words[1])
        guard pageCount > 0, pageCount <= HypervisorLimits.segmentPageCount else {
            return .failure(.invalidArgument)
        }
        guard domain.segments.count < HypervisorLimits.segmentCount,
            domain.grantedPageCount + pageCount <= HypervisorLimits.grantedPageCount,
            lastSegment < .max, let references = freeReferences(pageCount, domain)
        else { return .failure(.noSpace) }
        let segment: ServerSegment
        do throws(MemoryError) {
            segment = try ServerSegment(
                serial: lastSegment + 1, granter: domain.id, peer: peer, references: references)
        } catch {
            return .failure(error.errno ?? .noMemory)
        }
        lastSegment += 1
        domain.segments.append(segment)
        domain.grantedPageCount += pageCount
        domain.nextReference = references.upperBound
        domains[peer]?.noteGrantChange()
        var answer = ControlMessage(answering: message)
        answer.words[0] = segment.serial
        answer.words[1] = references.lowerBound
        return .success([
            Outgoing(message: answer, descriptor: segment.file.descriptor, owner: segment)
        ])
    }

    /// References that none of the domain's segments has: the ones behind the last given, so that
    /// a reference is not given again before all others were.
    private func freeReferences(_ count: Int, _ domain: ServerDomain) -> Range<UInt32>? {
        let lowest = UInt32(GrantTable.reservedEntryCount)
        var start = domain.nextReference
        // Each segment in the way moves the start behind it, and the numbers come round once.
        for _ in 0...2 * domain.segments.count + 2 {
            guard UInt64(start) + UInt64(count) <= UInt64(UInt32.max) else {
                start = lowest
                continue
            }
            let range = start..<start + UInt32(count)
            guard let obstacle = domain.segments.first(where: { $0.references.overlaps(range) })
            else { return range }
            start = obstacle.references.upperBound
        }
        return nil
    }

    private func dropSegment(
        _ message: ControlMessage, _ domain: ServerDomain
    ) -> Result<[Outgoing], Errno> {
        let index = domain.segments.firstIndex { $0.serial == message.words[0] }
        guard let index else { return .failure(.noSuchFileOrDirectory) }
        let segment = domain.segments.remove(at: index)
        domain.grantedPageCount -= segment.pageCount
        end(segment)
        return .success([Outgoing(message: ControlMessage(answering: message))])
    }

    private func end(_ segment: ServerSegment) {
        // Without memory to do it the peer keeps the file until its mapper ends.
        try? segment.markEnded()
        domains[segment.peer]?.noteGrantChange()
    }

    private func nextSegment(
        _ message: ControlMessage, _ domain: ServerDomain
    ) -> Result<[Outgoing], Errno> {
        let granter = Self.domain(message.words[0]).flatMap { domains[$0] }
        let segment = granter?.segments.first {
            $0.peer == domain.id && $0.serial > message.words[1]
        }
        guard let segment else { return .failure(.noSuchFileOrDirectory) }
        var answer = ControlMessage(answering: message)
        answer.words[0] = segment.serial
        answer.words[1] = segment.references.lowerBound
        answer.words[2] = UInt32(segment.pageCount)
        return .success([
            Outgoing(message: answer, descriptor: segment.file.descriptor, owner: segment)
        ])
    }
}
