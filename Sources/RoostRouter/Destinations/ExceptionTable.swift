internal import RoostMemory

/// The exceptions of all next hops: what was learned about single destinations.
///
/// A next hop's entry is shared by all destinations behind it. What holds for one of them only, a
/// path MTU, a redirect, a failure, a policy, is an entry of its own that hangs off the next hop's:
///
///     next hop ──hasExceptions──▶ index: (next hop, destination) ──▶ exception's entry
///
/// Theory of operation. An exception begins in its namespace's *probation*, a small space in which
/// the oldest makes room for the newest. When its turn comes and two packets have used it, it is
/// *confirmed* and moves to the larger space, where only one that carried no packet for a minute
/// makes room; if there is none, the newcomer goes. So a flood of facts about destinations that nobody
/// uses runs through probation, and what is in use stays, whatever a namespace does. All spaces are
/// quotas of the namespace. A gateway that fails is one fact of the next hop, not of each destination.
///
/// Exceptions are linked by next hop, port, redirect's neighbour and, within a next hop, by address:
/// a change touches those whose answer it changes. Their lives end by a wheel of timers. Each call does
/// bounded work, given as a budget where there may be much.
///
/// The processor's thread owns it; workers read ``index`` and the slab. Exceptions' numbers in lists,
/// timers and order are their entries' handles.
struct ExceptionTable: ~Copyable {
    /// What workers look up in.
    let index: ExceptionIndex
    /// The bounds beside quotas.
    let limits: ExceptionLimits
    /// The namespaces' shares.
    let quotas: QuotaLedger
    /// What happened so far.
    var counts = ExceptionCounts()

    var records: FixedArray<ExceptionRecord>
    var nextHops: FixedArray<NextHopRecord>
    var order: ExceptionOrder
    /// When facts end, of exceptions and of next hops that fail.
    var timers: TimerWheel
    /// Of each namespace all exceptions, oldest first.
    var members: IndexedLists
    /// Of each namespace and space the exceptions, the first to make room first.
    var spaces: IndexedLists
    var byNextHop: IndexedLists
    var byPort: IndexedLists
    /// The redirects by their neighbours.
    var byNeighbour: IndexedLists
    var random: KeyedRandom
    /// The namespaces whose generation changed, the one under way first.
    var sweeps: [ExceptionSweep] = []

    /// Makes a table without exceptions.
    ///
    /// - Parameters:
    ///   - limits: Its bounds.
    ///   - slab: Where entries lie.
    ///   - quotas: The namespaces' shares.
    ///   - random: What bounds are drawn from; only tests give one.
    /// - Throws: `RouterError` of kind `memory`.
    init(
        limits: ExceptionLimits = ExceptionLimits(), slab: DestinationSlab, quotas: QuotaLedger,
        random: KeyedRandom = KeyedRandom()
    ) throws(RouterError) {
        let entries = slab.capacity
        let namespaces = Int(UInt16.max) + 1
        let spaceCount = ExceptionSpace.allCases.count
        let index = try ExceptionIndex(limit: limits.exceptions, slab: slab)
        let order = try ExceptionOrder(limit: entries)
        let timers = try TimerWheel(things: entries, of: "exceptions")
        let members = try IndexedLists(things: entries, lists: namespaces, of: "exceptions")
        let spaces = try IndexedLists(
            things: entries, lists: namespaces * spaceCount, of: "exceptions")
        let byNextHop = try IndexedLists(things: entries, lists: entries, of: "exceptions")
        let byPort = try IndexedLists(
            things: entries, lists: Int(UInt16.max) + 1, of: "exceptions")
        let byNeighbour = try IndexedLists(
            things: entries, lists: limits.greatestNeighbour + 1, of: "redirects")
        do {
            let records = try FixedArray<ExceptionRecord>(count: entries)
            nextHops = try FixedArray(count: entries)
            self.records = records
        } catch {
            throw RouterError(error, for: "the exceptions of \(entries) entries")
        }
        self.index = index
        self.limits = limits
        self.quotas = quotas
        self.random = random
        self.order = order
        self.timers = timers
        self.members = members
        self.spaces = spaces
        self.byNextHop = byNextHop
        self.byPort = byPort
        self.byNeighbour = byNeighbour
    }

    /// How many exceptions a namespace has.
    func count(in namespace: NamespaceIndex) -> Int {
        members.count(Int(namespace.rawValue))
    }

    /// What is known of a destination behind a next hop; nil when nothing is.
    func facts(of place: ExceptionPlace) -> ExceptionFacts? {
        let found = index.keys.find(place.key)
        return found == 0 ? nil : records[Int(found)].facts
    }

    /// Where an exception stands; nil when there is none.
    func space(of place: ExceptionPlace) -> ExceptionSpace? {
        let found = index.keys.find(place.key)
        return found == 0 ? nil : records[Int(found)].space
    }

    /// Some of a namespace's exceptions, oldest first.
    func places(in namespace: NamespaceIndex, limit: Int) -> [ExceptionPlace] {
        var places: [ExceptionPlace] = []
        var next = members.first(Int(namespace.rawValue))
        while next != 0 && places.count < limit {
            places.append(records[Int(next)].place)
            next = members.next(next)
        }
        return places
    }

    /// When ``expire(in:operations:now:budget:)`` has something to do next; nil when nothing ends.
    var nextWake: UInt64? { timers.nextExpiry }

    /// The list of a namespace's space.
    static func list(_ space: ExceptionSpace, of namespace: NamespaceIndex) -> Int {
        Int(namespace.rawValue) * ExceptionSpace.allCases.count + Int(space.rawValue)
    }

    /// What a namespace's space counts against.
    static func quota(of space: ExceptionSpace) -> QuotaKind {
        space == .probation ? .probation : .exceptions
    }
}

/// A namespace whose exceptions are looked through after its generation changed.
struct ExceptionSweep: BitwiseCopyable, Sendable {
    var namespace: NamespaceIndex
    /// The next exception to look at, 0 after the last.
    var cursor: UInt32
}
