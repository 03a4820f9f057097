import RoostHypervisor
import RoostMemory

@testable import RoostBlock

/// A backend that does what a test says, on the real ring, grants and channel of a frontend's queue.
struct ScriptedBackend: ~Copyable {
    var ring: BackendRing
    var mapper: EmbeddedGrantMapper
    var channel: EmbeddedEventChannel
    /// The disk's bytes.
    let disk: PageWindow
    private let ringWindow: PageWindow
    /// Every segment of a request with data that was served, in order.
    var segments: [BlockSegment] = []

    static let diskByteCount = 1 << 20

    static func attach(
        _ domain: EmbeddedDomain, to guest: DomainID, layout: RingLayout,
        references: [GrantReference], port: EventPort
    ) throws -> ScriptedBackend {
        var mapper = try domain.makeMapper(of: guest)
        let window = try PageWindow(pageCount: layout.pageCount)
        _ = try mapper.map(references.span, .readWrite, into: window, at: 0)
        let disk = try PageWindow(pageCount: diskByteCount / pageByteCount)
        try disk.mapAnonymous(count: disk.pageCount, at: 0)
        guard let ring = BackendRing.attach(layout, in: window, atPage: 0) else {
            throw BlockError(.peer, "the ring cannot be attached to")
        }
        return ScriptedBackend(
            ring: ring, mapper: mapper, channel: try domain.bind(to: guest, port: port),
            disk: disk, ringWindow: window)
    }

    private init(
        ring: consuming BackendRing, mapper: consuming EmbeddedGrantMapper,
        channel: consuming EmbeddedEventChannel, disk: PageWindow, ringWindow: PageWindow
    ) {
        self.ring = ring
        self.mapper = mapper
        self.channel = channel
        self.disk = disk
        self.ringWindow = ringWindow
    }

    /// The requests that have come.
    mutating func take() -> [BlockRequest] {
        guard case .slots(let count) = ring.look() else { return [] }
        return (0..<count).map { _ in ring.takeRequest() }
    }

    /// The segments that a request names, those of indirect ones copied out of their pages.
    mutating func segments(of request: BlockRequest) -> [BlockSegment] {
        guard request.operation == .indirect else {
            return (0..<request.segmentCount).map { request.segments[$0] }
        }
        guard let scratch = try? PageWindow(pageCount: 1),
            (try? scratch.mapAnonymous(count: 1, at: 0)) != nil
        else { return [] }
        let reference = GrantReference(rawValue: request.indirectGrants[0])
        let byteCount = request.segmentCount * BlockSegment.byteCount
        let copy = GrantCopy(
            .fromGrant, reference: reference, pageOffset: 0, byteCount: UInt16(byteCount),
            windowOffset: 0)
        guard transfer([copy], scratch) else { return [] }
        return (0..<request.segmentCount).map {
            scratch.loadSegment(at: $0 * BlockSegment.byteCount)
        }
    }

    /// Does a request as a good backend would, by copying.
    ///
    /// - Returns: The status to answer.
    mutating func perform(_ request: BlockRequest) -> BlockStatus {
        let isWrite =
            request.answeredCode == BlockOperation.write.rawValue
            || request.answeredCode == BlockOperation.writeBarrier.rawValue
        guard isWrite || request.answeredCode == BlockOperation.read.rawValue else { return .okay }
        var offset = Int(request.sector) * sectorByteCount
        for segment in segments(of: request) {
            segments.append(segment)
            let copy = GrantCopy(
                isWrite ? .fromGrant : .toGrant, reference: segment.reference,
                pageOffset: UInt16(segment.pageOffset), byteCount: UInt16(segment.byteCount),
                windowOffset: offset)
            guard offset + segment.byteCount <= Self.diskByteCount, transfer([copy], disk) else {
                return .error
            }
            offset += segment.byteCount
        }
        return .okay
    }

    private mutating func transfer(_ copies: [GrantCopy], _ window: PageWindow) -> Bool {
        var failures = [Bool](repeating: false, count: copies.count)
        var span = failures.mutableSpan
        return mapper.copy(copies.span, window: window, failures: &span)
    }

    /// Whether the pages of a segment can be written by this backend.
    mutating func canWrite(_ segment: BlockSegment) -> Bool {
        let copy = GrantCopy(
            .toGrant, reference: segment.reference, pageOffset: 0, byteCount: 4, windowOffset: 0)
        return transfer([copy], disk)
    }

    /// Answers a request; the frontend sees it at the next ``publish()``.
    mutating func answer(_ request: BlockRequest, _ status: BlockStatus) {
        ring.put(BlockResponse(id: request.id, code: request.answeredCode, status))
    }

    /// Shows the answers.
    mutating func publish() {
        if ring.publish() { try? channel.notify() }
    }

    /// Serves everything that has come.
    ///
    /// - Returns: How many requests.
    @discardableResult
    mutating func serve() -> Int {
        let requests = take()
        for request in requests { answer(request, perform(request)) }
        publish()
        return requests.count
    }
}
