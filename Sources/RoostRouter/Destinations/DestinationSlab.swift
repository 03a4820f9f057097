internal import RoostMemory

/// The destination entries as the packet path sees them: words in shared memory, found by handle.
///
/// Theory of operation. An entry is the result of a routing decision, kept for all packets of a next
/// hop (or of one destination that something was learned about). Workers only read entries, inside a
/// batch announced to ``Quiescence``; they count no references. One thread, the route processor, writes
/// them through ``DestinationTable``. Who keeps an entry longer than a batch takes a counted reference,
/// from any thread, and is listed with it.
///
/// An entry's memory, by handle, in arrays of its own kind so that what is written often lies apart
/// from what is read often:
///
///     hot      64 bytes  action, link, gateway (2), exceptions, expiry, serial, generation
///     count    64 bytes  the reference count alone
///     usage    16 bytes  a worker, written by that worker only
///     record   68 bytes  links, times and states, in DestinationTable: the processor's own
///
/// Every handle below ``capacity`` may be read at any time: memory that is no entry says discard.
public final class DestinationSlab: Sendable {
    /// Words of an entry, a line of 64 bytes.
    private enum Word {
        static let stride = 8
        static let action = 0
        static let link = 1
        static let gatewayHigh = 2
        static let gatewayLow = 3
        static let exceptions = 4
        static let expiry = 5
        static let serial = 6
        static let generation = 7
    }

    /// One more than the largest handle.
    public let capacity: Int
    private let hot: AtomicArray<UInt64>
    private let metricSets: SharedArray<DestinationMetrics>
    /// One counter a worker, in lines of their own.
    private let discards: AtomicArray<UInt64>
    internal let usageCounters: UsageCounters
    internal let counts: ReferenceCounts
    internal let holderSlab: HolderSlab

    internal init(limits: DestinationLimits, workerCount: Int) throws(RouterError) {
        capacity = limits.entryCount + 1
        do {
            hot = try AtomicArray(count: capacity * Word.stride)
            metricSets = try SharedArray(count: MetricsIndex.limit)
            discards = try AtomicArray(count: workerCount * Word.stride)
            usageCounters = try UsageCounters(entryCount: capacity, workerCount: workerCount)
            counts = try ReferenceCounts(count: capacity)
            holderSlab = try HolderSlab(count: limits.holderCount)
        } catch {
            throw RouterError(error, for: "\(limits.entryCount) destinations")
        }
    }

    // MARK: The packet path, inside a batch

    /// What an entry does; what was written before it became so is seen.
    public func word(of handle: DestinationHandle) -> DestinationWord {
        DestinationWord(rawValue: hot.acquire(handle.index &* Word.stride))
    }

    /// Where an entry's packets go next.
    public func link(of handle: DestinationHandle) -> DestinationLink {
        DestinationLink(rawValue: hot.acquire(handle.index &* Word.stride &+ Word.link))
    }

    /// The next hop's address as ``NetworkAddress/halves``; the packet's own destination is the next
    /// hop where the entry's mark says so.
    public func gateway(of handle: DestinationHandle) -> (high: UInt64, low: UInt64) {
        let base = handle.index &* Word.stride
        return (hot.relaxed(base &+ Word.gatewayHigh), hot.relaxed(base &+ Word.gatewayLow))
    }

    /// The tick at which what was learned ends; 0 is never.
    public func expiry(of handle: DestinationHandle) -> UInt64 {
        hot.relaxed(handle.index &* Word.stride &+ Word.expiry)
    }

    /// The word that names the entry's exceptions; 0 is none.
    public func exceptions(of handle: DestinationHandle) -> UInt32 {
        UInt32(truncatingIfNeeded: hot.acquire(handle.index &* Word.stride &+ Word.exceptions))
    }

    /// The generation for which the entry was made, as its owner set it.
    public func generation(of handle: DestinationHandle) -> UInt64 {
        hot.acquire(handle.index &* Word.stride &+ Word.generation)
    }

    /// A set of metrics by the number that an entry's link gave in the same batch.
    public func metrics(at number: UInt16) -> DestinationMetrics {
        metricSets[Int(number)]
    }

    /// Counts packets of an entry, in memory that only this worker writes.
    ///
    /// - Precondition: The worker's number is below the table's number of workers.
    public func recordUse(
        of handle: DestinationHandle, worker: Int, packets: UInt64 = 1, now: UInt64
    ) {
        usageCounters.record(handle, worker: worker, packets: packets, now: now)
    }

    /// The discard action, for packets received and sent alike: counts the packets, which the caller
    /// frees, and answers success, since nobody acts on the difference.
    public func discard(worker: Int, packets: UInt64 = 1) -> ActionResult {
        let word = worker &* Word.stride
        discards.storeRelaxed(discards.relaxed(word) &+ packets, at: word)
        return .success
    }

    // MARK: Any thread

    /// How often and when an entry was used.
    public func usage(of handle: DestinationHandle) -> DestinationUsage {
        usageCounters.fold(handle)
    }

    /// How many packets the workers discarded.
    public var discardCount: UInt64 {
        (0..<usageCounters.workerCount).reduce(0) { $0 &+ discards.relaxed($1 * Word.stride) }
    }

    /// An entry's name for keeping outside.
    public func id(of handle: DestinationHandle) -> DestinationID {
        DestinationID(handle: handle, serial: serial(of: handle))
    }

    /// Whether one who kept an entry may use it.
    ///
    /// Any thread.
    ///
    /// - Parameters:
    ///   - id: The entry as it was kept.
    ///   - generation: The current generation of what the entry was made from.
    ///   - now: The tick.
    /// - Returns: `dead` for one that is gone or retired, `check` for one that was killed, is outdated or
    ///   has expired: both mean to route again.
    public func check(_ id: DestinationID, generation: UInt64, now: UInt64) -> Obsolescence {
        guard isCurrent(id) else { return .dead }
        let flags = word(of: id.handle).flags
        guard !flags.contains(.isDead) else { return .dead }
        let expiry = expiry(of: id.handle)
        let isExpired = expiry != 0 && expiry <= now
        let isOutdated = self.generation(of: id.handle) != generation
        return isExpired || isOutdated || flags.contains(.isKilled) ? .check : .valid
    }

    /// Whether a name still names the entry it was made for.
    public func isCurrent(_ id: DestinationID) -> Bool {
        id.handle.index < capacity && serial(of: id.handle) == id.serial
    }

    private func serial(of handle: DestinationHandle) -> UInt32 {
        UInt32(truncatingIfNeeded: hot.acquire(handle.index &* Word.stride &+ Word.serial))
    }
}

/// What ``DestinationTable`` writes; the processor's.
extension DestinationSlab {
    internal func store(_ word: DestinationWord, of handle: DestinationHandle) {
        hot.release(word.rawValue, at: handle.index * Word.stride)
    }

    internal func store(_ link: DestinationLink, of handle: DestinationHandle) {
        hot.release(link.rawValue, at: handle.index * Word.stride + Word.link)
    }

    internal func store(gateway: (high: UInt64, low: UInt64), of handle: DestinationHandle) {
        hot.storeRelaxed(gateway.high, at: handle.index * Word.stride + Word.gatewayHigh)
        hot.storeRelaxed(gateway.low, at: handle.index * Word.stride + Word.gatewayLow)
    }

    internal func store(expiry: UInt64, of handle: DestinationHandle) {
        hot.release(expiry, at: handle.index * Word.stride + Word.expiry)
    }

    internal func store(exceptions: UInt32, of handle: DestinationHandle) {
        hot.release(UInt64(exceptions), at: handle.index * Word.stride + Word.exceptions)
    }

    internal func store(generation: UInt64, of handle: DestinationHandle) {
        hot.release(generation, at: handle.index * Word.stride + Word.generation)
    }

    internal func write(_ metrics: DestinationMetrics, at number: UInt16) {
        metricSets.write(metrics, at: Int(number))
    }

    /// Forgets an entry and changes its place's serial number.
    internal func clear(_ handle: DestinationHandle) {
        let base = handle.index * Word.stride
        for word in 0..<Word.stride where word != Word.serial {
            hot.release(0, at: base + word)
        }
        hot.release(UInt64(serial(of: handle) &+ 1), at: base + Word.serial)
        usageCounters.clear(handle)
        counts.clear(handle)
    }
}
