internal import RoostMemory
internal import Synchronization

/// The route processor: the one writer of all of a router's tables.
///
/// It lives on one thread. Workers hand it the packets that they cannot finish; it resolves
/// neighbours, answers what is for the router, sends ICMP errors within their budget, keeps routes and
/// destinations, and collects. It never stops the packet path: workers read what it publishes.
struct Processor: ~Copyable {
    let view: RouterView
    let directory: PortDirectory
    let traces: TraceLog
    /// The processor's own reading: nothing that it finds is taken away under it.
    let step: ForwardingStep
    var ports: PortTable
    var destinations: DestinationTable
    var forwarding: ForwardingTables
    var exceptions: ExceptionTable
    var neighbours: NeighbourTable
    var budget: ICMPBudget
    /// What destinations leave behind when they are destroyed.
    var remains = DestinationLeftovers()
    var outbox: Outbox
    var namespaces: [RouterNamespace] = []
    /// The collector's last passes.
    var passes: [CollectorPass] = []
    /// What is left to do about things that are gone, a bounded part at a time.
    var farewells: [Farewell] = []
    /// Which of them is next.
    var nextFarewell = 0
    /// Packets that are being written.
    var built: FrameBatch
    /// A fragment of one of them.
    var pieces: FrameBatch
    /// The longest frame of any port, in bytes.
    let frameLimit: Int
    /// The time in milliseconds, read once a turn.
    var now: UInt64
    let startedAt: UInt64
    /// What the last packet of the router's own was numbered.
    var identification: UInt16
    /// Has the compiler leave the processor where it lies when it is borrowed.
    ///
    /// A value of plain parts is
    /// taken apart into all of them in each method that reads it, and checking that was a third of the
    /// time to build this module.
    private let staysInPlace = Atomic<Bool>(true)

    // MARK: Packets from workers

    /// Deals with a packet that a worker has handed over.
    ///
    /// - Parameters:
    ///   - entry: Why, and where it came in.
    ///   - frame: The frame as the worker left it.
    mutating func handle(_ entry: PuntRing.Entry, _ frame: RawSpan) {
        guard let port = outbox.port(entry.port), port.isUp else { return }
        do throws(PacketError) {
            let link = try EthernetHeader(frame)
            switch link.etherType {
            case EtherType.arp:
                receive(try ARPPacket(frame, at: link.payloadOffset), on: port)
            case EtherType.ipv4:
                let header = try IPv4Header(frame, at: link.payloadOffset)
                handle(entry.punt, frame, link, header, on: port)
            case EtherType.ipv6:
                let header = try IPv6Header(frame, at: link.payloadOffset)
                handle(entry.punt, frame, link, header, on: port)
            default:
                break
            }
        } catch {
            // The worker has read the same bytes, but for those that only the processor looks at.
            view.counters.count(error, on: entry.port, worker: outbox.worker)
        }
        sendReports()
    }

    // MARK: Time

    /// Does what is due; a bounded part of it.
    ///
    /// - Returns: When to come again: at once, at a time in milliseconds, or when something happens.
    mutating func work(clock: some CollectorClock) -> NextTurn {
        for port in directory.takeGone() { remove(port) }
        followLinks()
        var isMore = neighbours.tick(now: now, &outbox)
        sendReports()
        isMore =
            !exceptions.expire(
                in: &destinations, operations: &remains, now: now, budget: Self.sliceBudget)
            || isMore
        isMore = !revalidate() || isMore
        isMore = sayFarewell() || isMore
        switch destinations.collect(clock: clock, operations: &remains) {
        case .more: isMore = true
        case .passed(let trace): keep(CollectorPass(trace))
        case .idle: break
        }
        for neighbour in remains.takeNeighbours() { neighbours.release(neighbour) }
        forwarding.reclaim()
        if isMore { return .atOnce }
        // Workers note the neighbours that they use without waking anybody.
        let times = [neighbours.nextDeadline, exceptions.nextWake, destinations.nextWake]
        return .at(min(times.compactMap { $0 }.min() ?? .max, now + Self.noteInterval))
    }

    /// When the processor is to look again.
    enum NextTurn: Equatable {
        case atOnce
        case at(UInt64)
    }

    /// How many passes of the collector are shown.
    private static let passLimit = 32

    private mutating func keep(_ pass: CollectorPass) {
        if passes.count == Self.passLimit { passes.removeFirst() }
        passes.append(pass)
        traces.note(pass, now: now)
    }

    /// How long workers' notes may lie, in milliseconds.
    private static let noteInterval: UInt64 = 250

    /// How many exceptions are dealt with at once: some tens of microseconds.
    private static let sliceBudget = 64

    /// Looks through the exceptions of namespaces where too much has changed at once.
    ///
    /// - Returns: Whether all are looked through.
    private mutating func revalidate() -> Bool {
        Self.revalidate(&exceptions, &destinations, forwarding, now)
    }

    private static func revalidate(
        _ exceptions: inout ExceptionTable, _ destinations: inout DestinationTable,
        _ forwarding: borrowing ForwardingTables, _ now: UInt64
    ) -> Bool {
        exceptions.revalidate(of: &destinations, now: now, budget: sliceBudget) {
            place, namespace in
            let reader = forwarding.reader
            let group =
                switch place.family {
                case .ipv4:
                    reader.lookup(IPv4Address(high: place.high, low: place.low), in: namespace)
                case .ipv6:
                    reader.lookup(IPv6Address(high: place.high, low: place.low), in: namespace)
                }
            // It throws for a namespace that is none only.
            let hops = (try? forwarding.nextHops(of: group, in: namespace)) ?? []
            return hops.contains { $0.destination == place.nextHop }
        }
    }

    /// What goes in parts.
    enum Farewell {
        /// A next hop that no route leads to: what hangs off it goes first.
        case nextHop(DestinationHandle)
        /// A port that is down: what was learned through it goes.
        case learnedThrough(PortIndex)
        /// A port that is gone: what was learned through it goes, and its place is free once nothing
        /// refers to it.
        case port(PortIndex)
    }

    /// Does a part of what is left to do about things that are gone.
    ///
    /// - Returns: Whether there is more that can be done at once.
    private mutating func sayFarewell() -> Bool {
        guard !farewells.isEmpty else { return false }
        let place = nextFarewell < farewells.count ? nextFarewell : 0
        let isDone: Bool
        switch farewells[place] {
        case .nextHop(let handle):
            isDone = exceptions.nextHopLost(
                handle, of: &destinations, now: now, budget: Self.sliceBudget)
            if isDone { destinations.retire(handle, now: now) }
        case .learnedThrough(let port):
            isDone = exceptions.portLost(
                port, of: &destinations, now: now, budget: Self.sliceBudget)
        case .port(let port):
            // What was learned goes first: the next port of the place has its own.
            isDone =
                exceptions.portLost(port, of: &destinations, now: now, budget: Self.sliceBudget)
                && destinations.hasGone(port)
            if isDone { ports.reclaim(port) }
        }
        // In turn, and without moving the others: there are as many as next hops when a port goes.
        if isDone {
            farewells[place] = farewells[farewells.count - 1]
            farewells.removeLast()
        } else {
            nextFarewell = place + 1
        }
        return !farewells.isEmpty
    }
}

/// What destroyed destinations leave: the neighbours they held, to be released by their table's owner.
struct DestinationLeftovers: DestinationOperations {
    private var neighbours: [NeighbourHandle] = []

    mutating func destroy(_ remains: DestinationRemains) {
        if !remains.neighbour.isNone { neighbours.append(remains.neighbour) }
    }

    mutating func rehome(
        _ neighbour: NeighbourHandle, from port: PortIndex, to loopback: PortIndex
    ) {
        // A port's neighbours go with it: its table re-homes those that are held.
    }

    /// Takes the neighbours that are to be released.
    mutating func takeNeighbours() -> [NeighbourHandle] {
        defer { neighbours.removeAll(keepingCapacity: true) }
        return neighbours
    }
}

extension CollectorPass {
    /// A pass as it is shown.
    init(_ trace: CollectorTrace) {
        self.init(
            namespace: nil, total: trace.total, delayed: trace.delayed, workPerformed: trace.freed,
            freed: trace.freed, expires: .milliseconds(Int64(clamping: trace.expires)),
            elapsed: .microseconds(Int64(clamping: trace.elapsedMicroseconds)))
    }
}
