import RoostHypervisor
import RoostMemory
import Synchronization
import Testing

@testable import RoostBlock

typealias FakeQueue = BackendQueue<FakeMapper, FakeChannel, FakeStorageQueue>

/// A queue of a backend over fakes, and a frontend that writes to its ring whatever a test wants.
///
/// The guest's memory is the ring, then pages of data; the grant of data page `n` is `100 + n`.
struct BackendRig: ~Copyable {
    /// What a rig is made of; the rest is usual.
    struct Options {
        var mode = GrantMode.persistent
        var overflow = GrantOverflow.mapOnce
        var order = ResponseOrder.asRequested
        var blockProtocol = BlockProtocol.x86_64
        var indirectLimit = 64
        var persistentLimit: Int?
        var ceiling = 1 << 20
        var pace = FakeDisk.Pace.immediately
        var geometry = DiskGeometry(sectorCount: 1024)
        var startingAt: UInt32 = 0
    }

    static let dataPageCount = 600

    let domain: FakeDomain
    let disk: FakeDisk
    let wire: FakeChannel.Wire
    let time: BackendClock.Manual
    let shared: FakeQueue.Shared
    var front: FrontendRing
    var queue: FakeQueue

    private init(
        domain: FakeDomain, disk: FakeDisk, wire: FakeChannel.Wire, time: BackendClock.Manual,
        shared: FakeQueue.Shared, front: consuming FrontendRing, queue: consuming FakeQueue
    ) {
        self.domain = domain
        self.disk = disk
        self.wire = wire
        self.time = time
        self.shared = shared
        self.front = front
        self.queue = queue
    }

    static func make(_ options: Options = Options()) throws -> BackendRig {
        let layout = try #require(RingLayout(options.blockProtocol, pageOrder: 0))
        let domain = try FakeDomain(pageCount: 1 + dataPageCount)
        let disk = try FakeDisk(sectorCount: Int(options.geometry.sectorCount), options.pace)
        let wire = try FakeChannel.Wire()
        let time = BackendClock.Manual()
        let front = FrontendRing(
            layout, in: domain.window, atPage: 0, startingAt: options.startingAt)
        domain.grant(1, page: 0)
        for page in 0..<dataPageCount { domain.grant(100 + UInt32(page), page: 1 + page) }
        var configuration = BackendConfiguration(layout: layout)
        configuration.mode = options.mode
        configuration.overflow = options.overflow
        configuration.order = options.order
        configuration.indirectSegmentLimit = options.indirectLimit
        configuration.persistentLimit = options.persistentLimit
        let shared = FakeQueue.Shared(
            geometry: options.geometry,
            control: BackendControl(sectorCount: options.geometry.sectorCount),
            ceiling: GrantCeiling(limit: options.ceiling), clock: BackendClock(time))
        let references = [GrantReference(rawValue: 1)]
        let queue = try FakeQueue.attach(
            configuration, shared, ring: references.span, mapper: FakeMapper(domain),
            channel: FakeChannel(wire), storage: FakeStorageQueue(disk))
        return BackendRig(
            domain: domain, disk: disk, wire: wire, time: time, shared: shared, front: front,
            queue: queue)
    }

    /// A request of whole pages, or of a window of each.
    static func request(
        _ operation: BlockOperation, id: UInt64 = 1, sector: UInt64 = 0, pages: [Int],
        sectors: ClosedRange<UInt8> = 0...7
    ) -> BlockRequest {
        var request = BlockRequest(operation, id: id, sector: sector)
        request.segmentCount = pages.count
        for (index, page) in pages.prefix(11).enumerated() {
            request.segments[index] = BlockSegment(
                grant: GrantReference(rawValue: 100 + UInt32(page)),
                firstSector: sectors.lowerBound, lastSector: sectors.upperBound)
        }
        return request
    }

    /// An indirect request, whose segments are written into a page of the guest's.
    func indirect(
        _ inner: BlockOperation, id: UInt64 = 1, sector: UInt64 = 0, descriptorPage: Int,
        pages: [Int]
    ) -> BlockRequest {
        var request = BlockRequest(.indirect, id: id, sector: sector)
        request.innerCode = inner.rawValue
        request.segmentCount = pages.count
        request.indirectGrants[0] = 100 + UInt32(descriptorPage)
        for (index, page) in pages.enumerated() {
            domain.window.storeSegment(
                BlockSegment(100 + UInt32(page), 0x700),
                at: (1 + descriptorPage) * pageByteCount + 8 * index)
        }
        return request
    }

    /// Shows a request to the backend.
    mutating func ask(_ request: BlockRequest) {
        front.put(request)
        _ = front.publish()
    }

    /// Takes the responses that are there.
    mutating func responses() -> [BlockResponse] {
        guard case .slots(let count) = front.look() else {
            Issue.record("the backend claims too many responses")
            return []
        }
        var found: [BlockResponse] = []
        for _ in 0..<count { found.append(front.takeResponse()) }
        return found
    }

    /// Has one request done, and answers its status.
    mutating func status(
        of request: BlockRequest, _ location: SourceLocation = #_sourceLocation
    ) -> BlockStatus? {
        ask(request)
        _ = queue.serve()
        let found = responses()
        #expect(found.count == 1, sourceLocation: location)
        #expect(found.first?.id == request.id, sourceLocation: location)
        #expect(found.first?.code == request.answeredCode, sourceLocation: location)
        return found.first?.status
    }

    /// Fills a page of the guest's.
    func fill(page: Int, _ byte: UInt8) {
        domain.window.put(
            [UInt8](repeating: byte, count: pageByteCount), at: (1 + page) * pageByteCount)
    }

    /// The bytes of a page of the guest's.
    func contents(page: Int) -> [UInt8] {
        domain.window.array(at: (1 + page) * pageByteCount, count: pageByteCount)
    }

    /// The disk's bytes.
    func stored(sector: Int, count: Int) -> [UInt8] {
        disk.state.withLock {
            Array($0.bytes[sector * sectorByteCount..<(sector + count) * sectorByteCount])
        }
    }

    var statistics: BackendStatistics { shared.counters.snapshot() }

    /// Ends the queue, and expects nothing to be left of it.
    mutating func close(_ location: SourceLocation = #_sourceLocation) {
        let left = queue.close()
        #expect(left == 0, sourceLocation: location)
        #expect(domain.mappedCount == 0, sourceLocation: location)
        #expect(statistics.grantsMapped == 0, sourceLocation: location)
    }
}
