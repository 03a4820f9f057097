internal import RoostMemory

/// The destination entries as their one writer, the route processor, sees them: their life, their
/// collector, their ports and namespaces.
///
/// An entry's life:
///
///     allocate      finish        retire                 pass            pass, after the last release
///     ───────▶ private ──▶ cached ──▶ garbage ── held ──▶ waiting ──────────────┐
///                 └──────────────────────▲ └── not held ──▶ destroyed ◀─────────┘
///
/// The table that publishes an entry owns it, uncounted, and retires it once, when it has unlinked it
/// everywhere. Everybody else who keeps it counts. An entry discards until it is finished.
public struct DestinationTable: ~Copyable {
    /// The entries as readers and holders see them.
    public let slab: DestinationSlab
    /// The bounds.
    public let limits: DestinationLimits

    internal let quiescence: Quiescence
    internal var records: FixedArray<DestinationRecord>
    internal var portLinks: EntryLinks
    internal var namespaceLinks: EntryLinks
    internal var ports: FixedArray<PortPlace>
    internal var namespaces: FixedArray<NamespacePlace>
    /// Entries whose namespace is gone.
    internal var orphans = NamespacePlace()
    internal var metricsIndex = MetricsIndex()
    internal var collector: Collector
    internal var events: [DeviceEvent] = []
    private var freeFirst: UInt32 = 0
    private var lastFresh: UInt32 = 0
    private var ipv4Count = 0
    private var ipv6Count = 0

    /// Makes a table without entries.
    ///
    /// - Parameters:
    ///   - limits: The bounds.
    ///   - workerCount: How many workers count their uses.
    ///   - quiescence: Where the workers announce their batches.
    /// - Throws: `RouterError` of kind `memory`, or `invalidValue` for bounds outside their ranges.
    public init(
        limits: DestinationLimits, workerCount: Int, quiescence: Quiescence
    ) throws(RouterError) {
        let range = 1...DestinationLimits.largestCount
        guard range.contains(limits.entryCount), range.contains(limits.holderCount),
            limits.tickRate >= 10, limits.sliceEntryCount > 0, workerCount >= 0
        else {
            throw RouterError(
                .invalidValue,
                "\(limits.entryCount) destinations, \(limits.holderCount) holders: each has to be "
                    + "1 to \(DestinationLimits.largestCount), with 10 ticks a second or more")
        }
        let slab = try DestinationSlab(limits: limits, workerCount: workerCount)
        let records = try Self.array(of: DestinationRecord.self, count: slab.capacity)
        let portLinks = try EntryLinks(count: slab.capacity)
        let namespaceLinks = try EntryLinks(count: slab.capacity)
        var ports = try Self.array(of: PortPlace.self, count: 1 << 16)
        ports[0].state = .up
        namespaces = try Self.array(of: NamespacePlace.self, count: 1 << 16)
        self.slab = slab
        self.records = records
        self.portLinks = portLinks
        self.namespaceLinks = namespaceLinks
        self.ports = ports
        self.limits = limits
        self.quiescence = quiescence
        collector = Collector(
            pace: CollectorPace(tickRate: limits.tickRate, processor: limits.processor))
    }

    private static func array<Element: BitwiseCopyable & Sendable>(
        of type: Element.Type, count: Int
    ) throws(RouterError) -> FixedArray<Element> {
        do {
            return try FixedArray(count: count)
        } catch {
            throw RouterError(error, for: "\(count) records of destinations")
        }
    }

    /// How many entries a family has.
    public func count(of family: AddressFamily) -> Int {
        switch family {
        case .ipv4: ipv4Count
        case .ipv6: ipv6Count
        }
    }

    /// How many entries there are.
    public var count: Int { ipv4Count + ipv6Count }

    /// In which part of its life an entry is.
    public func state(of handle: DestinationHandle) -> DestinationState {
        handle.index < slab.capacity ? records[handle.index].state : .free
    }

    internal mutating func add(_ difference: Int, to family: AddressFamily) {
        switch family {
        case .ipv4: ipv4Count += difference
        case .ipv6: ipv6Count += difference
        }
    }

    /// A free place, `none` when all are taken.
    internal mutating func takePlace() -> DestinationHandle {
        if freeFirst != 0 {
            let place = freeFirst
            freeFirst = records[Int(place)].next
            return DestinationHandle(rawValue: place)
        }
        guard Int(lastFresh) + 1 < slab.capacity else { return .none }
        lastFresh += 1
        return DestinationHandle(rawValue: lastFresh)
    }

    /// Gives a place back.
    internal mutating func givePlace(_ handle: DestinationHandle) {
        records[handle.index] = DestinationRecord(next: freeFirst)
        freeFirst = handle.rawValue
    }

    /// One past the highest place that was ever taken.
    internal var placesEnd: UInt32 { lastFresh + 1 }

    /// Changes the account that an entry belongs to: its namespace's, or the orphans'.
    internal mutating func account(
        of handle: DestinationHandle, _ change: (inout DestinationAccount) -> Void
    ) {
        let record = records[handle.index]
        if record.isOrphan {
            change(&orphans.account)
        } else {
            change(&namespaces[Int(record.namespace)].account)
        }
    }
}
