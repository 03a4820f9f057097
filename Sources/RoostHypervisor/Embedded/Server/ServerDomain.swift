internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// A domain as the hypervisor knows it.
///
/// A class because channels and segments refer to it; only the hypervisor's thread does.
final class ServerDomain {
    let id: DomainID
    let userID: UInt32
    let name: String
    /// What the hypervisor tells the domain without a message.
    let page: MemoryFile
    private let words: PageWindow
    private var generation: UInt32 = 0

    /// The ports in use.
    var ports: [UInt32: ServerPort] = [:]
    private var lastPort: UInt32 = 0
    /// The segments that it has made, oldest first.
    var segments: [ServerSegment] = []
    /// How many pages they have.
    var grantedPageCount = 0
    /// The reference from which its next segment's are sought.
    var nextReference: UInt32

    init(
        _ id: DomainID, userID: UInt32, name: String, nextReference: UInt32
    ) throws(MemoryError) {
        let page = try MemoryFile.make(name: "roost-domain", byteCount: DomainPage.byteCount)
        let words = try PageWindow(pageCount: 1)
        try words.map(page.descriptor, filePage: 0, count: 1, at: 0, isWritable: true)
        self.id = id
        self.userID = userID
        self.name = name
        self.nextReference = nextReference
        self.page = page
        self.words = words
    }

    /// Tells the domain that what is granted to it has changed.
    func noteGrantChange() {
        generation &+= 1
        words.storeReleasing(generation, at: DomainPage.generationOffset)
    }

    /// Tells the domain what has become of one of its ports.
    func note(_ state: DomainPage.PortState, of port: EventPort) {
        words.storeReleasing(state.rawValue, at: DomainPage.offset(of: port))
    }

    /// A port that is not in use; numbers come round before one is given again.
    func freePort() -> EventPort? {
        let limit = UInt32(HypervisorLimits.portCount)
        guard ports.count < limit else { return nil }
        repeat {
            lastPort = lastPort % limit + 1
        } while ports[lastPort] != nil
        return EventPort(rawValue: lastPort)
    }
}

/// One domain's end of a channel.
struct ServerPort {
    let channel: ServerChannel
    /// Which of the channel's two ends it is.
    let side: Int
}

/// A channel: two ends, of which one at least is open, and the event that wakes each.
final class ServerChannel {
    /// Who holds each end, or may bind to it.
    let domains: [DomainID]
    /// The open ends' ports.
    var ports: [EventPort?]
    private let first: EventCounter
    private let second: EventCounter

    init(from owner: DomainID, port: EventPort, to peer: DomainID) throws(Errno) {
        domains = [owner, peer]
        ports = [port, nil]
        first = try EventCounter.make()
        second = try EventCounter.make()
    }

    /// The event that wakes an end.
    func event(of side: Int) -> FileDescriptor {
        side == 0 ? first.descriptor : second.descriptor
    }

    /// Makes an event pending at an end.
    func signal(_ side: Int) {
        if side == 0 { first.signal() } else { second.signal() }
    }
}

/// Pages that one domain shares with one other.
final class ServerSegment {
    /// The hypervisor's number for it, which grows with each.
    let serial: UInt32
    let granter: DomainID
    let peer: DomainID
    let references: Range<UInt32>
    let file: MemoryFile

    var pageCount: Int { references.count }

    init(
        serial: UInt32, granter: DomainID, peer: DomainID, references: Range<UInt32>
    ) throws(MemoryError) {
        let pageCount = references.count
        let tablePageCount = GrantTable.tablePageCount(forPages: pageCount)
        self.serial = serial
        self.granter = granter
        self.peer = peer
        self.references = references
        file = try MemoryFile.make(
            name: "roost-grants", byteCount: (tablePageCount + pageCount) * pageByteCount)
    }

    /// Marks the segment as ended for who still maps it.
    func markEnded() throws(MemoryError) {
        let table = try PageWindow(pageCount: 1)
        try table.map(file.descriptor, filePage: 0, count: 1, at: 0, isWritable: true)
        table.storeReleasing(1, at: GrantTable.endedOffset)
    }

    /// Takes back the marks of a peer that is gone: the granter can end its grants.
    func clearMarks() throws(MemoryError) {
        let count = GrantTable.tablePageCount(forPages: pageCount)
        let table = try PageWindow(pageCount: count)
        try table.map(file.descriptor, filePage: 0, count: count, at: 0, isWritable: true)
        for page in 0..<pageCount {
            let offset = GrantTable.flagsOffset(of: page)
            if table.loadAcquiring(at: offset) & GrantTable.inUse != 0 {
                table.clearBits(GrantTable.inUse, at: offset)
            }
        }
    }
}
