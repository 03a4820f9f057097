internal import RoostMemory

/// The neighbours of a router: who is behind which port at which link-layer address.
///
/// The processor owns the table and does all that changes it; workers read its ``view``. A worker
/// that finds a usable neighbour sends. One that does not hands the packet over, and
/// ``send(_:to:context:now:_:)`` keeps it until an answer or a failure. What follows from an event goes
/// to a ``NeighbourSink``. Time is given with every call.
///
/// Limits, so that nobody's scan costs anybody else anything (RFC 6583, and quotas):
/// - a namespace has a quota of neighbours, of those asked for, and of packets that wait; the quotas
///   together fit the table, so each namespace can always have its own;
/// - a port has limits of its own below them, and sends so many solicitations a second;
/// - what makes room is a remembered failure, then a stale neighbour that nobody holds, of the same
///   port; one that was confirmed and is in use never does;
/// - neighbours that are held, next hops of routes, are asked for whatever the limits say.
///
/// Memory of a neighbour is used again once every worker's batch that could have found it has ended.
struct NeighbourTable: ~Copyable {
    /// What workers read.
    let view: NeighbourView
    /// How much is kept.
    let limits: NeighbourLimits
    /// How long states last.
    let timing: NeighbourTiming
    /// What was counted.
    var statistics = NeighbourStatistics()

    let quiescence: Quiescence
    var records: FixedArray<NeighbourRecord>
    var ports: FixedArray<NeighbourPort>
    var namespaces: FixedArray<NeighbourUsage>
    /// Each port's neighbours by class; then the free ones, and those that readers may still see.
    var lists: IndexedLists
    /// Of each retired neighbour the epoch in which it could be found.
    var epochs: FixedArray<UInt64>
    var timers: TimerWheel
    var frames: PendingFrames
    var random: KeyedRandom
    /// How many places were ever used.
    var touched = 0
    /// How many neighbours there are.
    var count = 0
    /// What the quotas add up to.
    var promised = (entries: 0, frames: 0)

    static let freeList = PortTable.limit * NeighbourClass.allCases.count
    static let retiredList = freeList + 1
    /// Places beyond the limit, for neighbours that readers may still see.
    static let slack = 1_024

    /// Makes an empty table.
    ///
    /// - Parameters:
    ///   - limits: How much is kept.
    ///   - timing: How long states last.
    ///   - random: Where the spread of times comes from.
    ///   - quiescence: The workers' epochs.
    /// - Throws: `RouterError` of kind `memory`.
    init(
        limits: NeighbourLimits = NeighbourLimits(), timing: NeighbourTiming = NeighbourTiming(),
        random: KeyedRandom = KeyedRandom(), quiescence: Quiescence
    ) throws(RouterError) {
        let places = limits.entries + Self.slack
        // All that may fail comes first: a noncopyable value is initialized whole or not at all.
        let view = try NeighbourView(limit: places)
        let lists = try IndexedLists(
            things: places, lists: Self.retiredList + 1, of: "neighbours")
        let timers = try TimerWheel(things: places, of: "neighbours")
        let frames = try PendingFrames(
            limit: limits.frames, frameByteCount: limits.frameByteCount)
        do {
            let records = try FixedArray<NeighbourRecord>(count: places + 1)
            let epochs = try FixedArray<UInt64>(count: places + 1)
            let ports = try FixedArray<NeighbourPort>(count: PortTable.limit)
            let namespaces = try FixedArray<NeighbourUsage>(count: Int(UInt16.max) + 1)
            self.records = records
            self.epochs = epochs
            self.ports = ports
            self.namespaces = namespaces
        } catch {
            throw RouterError(error, for: "a table of \(places) neighbours")
        }
        self.limits = limits
        self.timing = timing
        self.random = random
        self.quiescence = quiescence
        self.view = view
        self.lists = lists
        self.timers = timers
        self.frames = frames
    }

    /// Gives a namespace its quota, or another one; what it has already stays.
    ///
    /// - Throws: `RouterError` of kind `limit` when the quotas together pass the table's limits.
    mutating func setQuota(
        _ quota: NeighbourQuota, of namespace: NamespaceIndex
    ) throws(RouterError) {
        let place = Int(namespace.rawValue)
        let old = namespaces[place].quota
        let entries = promised.entries - old.entries + quota.entries
        let waiting = promised.frames - old.frames + quota.frames
        guard entries <= limits.entries, waiting <= limits.frames else {
            throw RouterError(
                .limit,
                "\(namespace) cannot have \(quota.entries) neighbours and \(quota.frames) waiting "
                    + "packets: all may have \(limits.entries) and \(limits.frames); lower its quota"
            )
        }
        promised = (entries, waiting)
        namespaces[place].quota = quota
    }

    /// What a namespace has, and may have.
    func usage(of namespace: NamespaceIndex) -> NeighbourUsage {
        namespaces[Int(namespace.rawValue)]
    }

    /// Where a neighbour stands; none when the handle is of nobody.
    func state(of handle: NeighbourHandle) -> NeighbourState {
        records[Int(handle.rawValue)].state
    }

    /// What a neighbour is found by, or was.
    func key(of handle: NeighbourHandle) -> NeighbourKey {
        records[Int(handle.rawValue)].key
    }

    /// When ``tick(now:limit:_:)`` is to be called at the latest, in milliseconds; nil when nothing is
    /// due.
    var nextDeadline: UInt64? { timers.nextExpiry }

    // MARK: - Holders

    /// Finds or makes a neighbour and holds it; nobody is asked before a packet comes.
    ///
    /// - Returns: The neighbour, which is to be released, or none when a limit refuses it.
    mutating func acquire(
        _ key: NeighbourKey, _ sink: inout some NeighbourSink & ~Copyable
    ) -> NeighbourHandle {
        var handle = view.find(key)
        if handle.isNone {
            guard case .success(let made) = make(key, asUnresolved: false, &sink) else {
                return .none
            }
            handle = made
        }
        hold(handle)
        return handle
    }

    /// Holds a neighbour once more: it stays until it is released.
    ///
    /// - Precondition: It is held, or was found and nothing was changed since.
    mutating func hold(_ handle: NeighbourHandle) {
        precondition(records[Int(handle.rawValue)].isUsed)
        records[Int(handle.rawValue)].holders += 1
    }

    /// Ends one hold of a neighbour.
    ///
    /// - Precondition: It is held.
    mutating func release(_ handle: NeighbourHandle) {
        let place = Int(handle.rawValue)
        precondition(records[place].holders > 0)
        records[place].holders -= 1
        guard records[place].holders == 0 else { return }
        if records[place].isDead {
            retire(handle)
        } else if records[place].state.phase == .none {
            takeOut(handle)
            retire(handle)
        }
    }

    // MARK: - Entries

    /// The list of a port's neighbours of a class.
    static func list(_ port: PortIndex, _ kind: NeighbourClass) -> Int {
        Int(port.rawValue) * NeighbourClass.allCases.count + kind.rawValue
    }

    /// Gives a neighbour an event, and does what follows but for the event's own packet.
    mutating func handle(
        _ event: NeighbourEvent, _ handle: NeighbourHandle, now: UInt64,
        _ sink: inout some NeighbourSink & ~Copyable
    ) -> NeighbourActions {
        let place = Int(handle.rawValue)
        var record = records[place]
        let actions = record.state.handle(event, now: now, timing: timing, random: &random)
        records[place] = record
        settle(handle)
        if actions.contains(.flush) { flush(handle, &sink) }
        if actions.contains(.fail) && record.queueCount > 0 { failQueue(handle, &sink) }
        if actions.contains(.solicitGroup) || actions.contains(.solicitStation) {
            solicit(handle, isGroup: actions.contains(.solicitGroup), now: now, &sink)
        }
        if actions.contains(.forget) { forget(handle, now: now, &sink) }
        return actions
    }

    /// Brings lists, counts, timer and the readers' word in line with a neighbour's state.
    mutating func settle(_ handle: NeighbourHandle) {
        let record = records[Int(handle.rawValue)]
        let wanted = NeighbourClass(record.state.phase)
        let list = Self.list(record.key.port, wanted)
        let old = lists.list(of: handle.rawValue)
        if old != list {
            let wasAsked = old == Self.list(record.key.port, .asked)
            if wasAsked != (wanted == .asked) {
                namespaces[Int(record.namespace.rawValue)].asked += wasAsked ? -1 : 1
            }
            lists.append(handle.rawValue, to: list)
        }
        if record.state.deadline == 0 {
            timers.cancel(handle.rawValue)
        } else {
            timers.schedule(handle.rawValue, at: record.state.deadline)
        }
        view.publish(NeighbourWord(record.state), of: handle)
    }

    /// Forgets what is known of a neighbour at an operator's word: one that is held is asked for anew,
    /// another one goes; packets that wait are dropped.
    mutating func flushOut(
        _ handle: NeighbourHandle, _ sink: inout some NeighbourSink & ~Copyable
    ) {
        let place = Int(handle.rawValue)
        guard records[place].isUsed, !records[place].isDead else { return }
        guard records[place].holders > 0 else {
            remove(handle, reason: .removed, &sink)
            return
        }
        dropQueue(handle, .removed, &sink)
        records[place].state = NeighbourState()
        settle(handle)
    }

    mutating func forget(
        _ handle: NeighbourHandle, now: UInt64, _ sink: inout some NeighbourSink & ~Copyable
    ) {
        let place = Int(handle.rawValue)
        guard records[place].holders > 0 else {
            remove(handle, reason: .removed, &sink)
            return
        }
        records[place].state.keepStale(now: now, timing: timing)
        settle(handle)
    }
}
