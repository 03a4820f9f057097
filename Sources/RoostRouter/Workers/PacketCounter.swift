internal import RoostMemory

/// What became of a packet that a port has received; each is a counter of that port.
enum PacketCounter: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    // What went its way.
    case forwarded, fragmented, delivered, askedForNeighbour, redirected
    // What was answered with an ICMP error, or would have been.
    case noRoute, unreachable, prohibited, beyondScope, timeToLiveExceeded, tooBig
    // What was dropped without a word.
    case discarded, martianSource, martianDestination, reversePath, otherHost, linkGroup
    case broadcast, multicast, linkLocal, sourceRoute, tagged, unknownProtocol, portDown
    case fragmentFailed
    /// ARP or neighbour discovery: somebody else has an address of the router (RFC 5227), or said what
    /// nothing is learned from.
    case addressConflict, refusedNeighbour
    /// The way to the processor was full, or the namespace had more than its share of it.
    case slowPathFull

    /// How many counters a port has: these, and one for each ``PacketError``.
    static let limit = 64
    /// Where the counters of packets that are none begin.
    static let firstError = 40

    /// The name in statistics.
    var name: String {
        switch self {
        case .forwarded: "forwarded"
        case .fragmented: "fragmented"
        case .delivered: "delivered"
        case .askedForNeighbour: "asked-for-neighbour"
        case .redirected: "redirected"
        case .noRoute: "no-route"
        case .unreachable: "unreachable"
        case .prohibited: "prohibited"
        case .beyondScope: "beyond-scope"
        case .timeToLiveExceeded: "ttl-exceeded"
        case .tooBig: "too-big"
        case .discarded: "discarded"
        case .martianSource: "martian-source"
        case .martianDestination: "martian-destination"
        case .reversePath: "reverse-path"
        case .otherHost: "other-host"
        case .linkGroup: "link-group"
        case .broadcast: "broadcast"
        case .multicast: "multicast"
        case .linkLocal: "link-local"
        case .sourceRoute: "source-route"
        case .tagged: "tagged"
        case .unknownProtocol: "unknown-protocol"
        case .portDown: "port-down"
        case .fragmentFailed: "fragment-failed"
        case .addressConflict: "address-conflict"
        case .refusedNeighbour: "refused-neighbour"
        case .slowPathFull: "slow-path-full"
        }
    }

    /// Whether the packet went no further.
    var isDrop: Bool {
        switch self {
        case .forwarded, .fragmented, .delivered, .askedForNeighbour, .redirected: false
        default: true
        }
    }
}

/// The counters of all ports, by worker; each worker writes its own, anyone reads their sums.
final class PacketCounters: Sendable {
    private let words: AtomicArray<UInt64>
    private let workerCount: Int

    /// Makes counters for a number of workers; the processor counts as one more.
    init(workerCount: Int) throws(RouterError) {
        self.workerCount = workerCount
        do {
            words = try AtomicArray(count: workerCount * PortTable.limit * PacketCounter.limit)
        } catch {
            throw RouterError(error, for: "packet counters")
        }
    }

    private func place(_ counter: Int, _ port: PortIndex, _ worker: Int) -> Int {
        (worker &* PortTable.limit &+ Int(port.rawValue)) &* PacketCounter.limit &+ counter
    }

    private func count(_ counter: Int, on port: PortIndex, worker: Int) {
        let place = place(counter, port, worker)
        words.storeRelaxed(words.relaxed(place) &+ 1, at: place)
    }

    /// Counts a packet.
    ///
    /// - Parameters:
    ///   - counter: What became of it.
    ///   - port: Where it came in.
    ///   - worker: Who counts.
    func count(_ counter: PacketCounter, on port: PortIndex, worker: Int) {
        count(Int(counter.rawValue), on: port, worker: worker)
    }

    /// Counts a packet that was none.
    func count(_ error: PacketError, on port: PortIndex, worker: Int) {
        count(
            min(PacketCounter.firstError + Int(error.rawValue), PacketCounter.limit - 1), on: port,
            worker: worker)
    }

    /// How often something became of a port's packets.
    func total(_ counter: PacketCounter, of port: PortIndex) -> UInt64 {
        total(Int(counter.rawValue), of: port)
    }

    /// How many of a port's packets had a fault.
    func total(_ error: PacketError, of port: PortIndex) -> UInt64 {
        total(
            min(PacketCounter.firstError + Int(error.rawValue), PacketCounter.limit - 1), of: port)
    }

    private func total(_ counter: Int, of port: PortIndex) -> UInt64 {
        (0..<workerCount).reduce(0) { $0 &+ words.relaxed(place(counter, port, $1)) }
    }
}
