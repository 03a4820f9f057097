internal import RoostMemory

/// One record for each counted reference, so that all can be listed by kind, age and holder.
///
/// Any thread takes and gives back records, without locks: free ones are a stack whose head carries a
/// counter against reuse, records never used come from a rising mark. A record's first word says what
/// it is, 0 when free; its version lets a listing see that a record changed while it was read.
///
///      63      56 55             32 31                              0
///     +----------+-----------------+---------------------------------+
///     |   kind   |     version     |           destination           |   then owner, since
///     +----------+-----------------+---------------------------------+
internal struct HolderSlab: ~Copyable, Sendable {
    private static let stride = 4
    private static let versionMask: UInt64 = 0xff_ffff

    private let words: AtomicArray<UInt64>
    private let next: AtomicArray<UInt32>
    /// Counter in the high half, first free record in the low one; alone in its memory.
    private let free: AtomicArray<UInt64>
    /// The highest record that was ever taken; alone in its memory.
    private let mark: AtomicArray<UInt32>
    /// How many holds were refused.
    private let refusals: AtomicArray<UInt64>
    private let limit: UInt32

    init(count: Int) throws(MemoryError) {
        limit = UInt32(count)
        let words = try AtomicArray<UInt64>(count: (count + 1) * Self.stride)
        let next = try AtomicArray<UInt32>(count: count + 1)
        let free = try AtomicArray<UInt64>(count: 1)
        let mark = try AtomicArray<UInt32>(count: 1)
        refusals = try AtomicArray(count: 1)
        self.words = words
        self.next = next
        self.free = free
        self.mark = mark
    }

    /// How many holds were refused because all records were taken.
    var refusalCount: UInt64 { refusals.relaxed(0) }

    /// Fills a record.
    ///
    /// - Returns: Its place, or `nil` when all are taken.
    func take(
        _ handle: DestinationHandle, kind: HolderKind, owner: UInt64, now: UInt64
    ) -> UInt32? {
        guard let record = pop() ?? raiseMark() else {
            _ = refusals.add(1, at: 0)
            return nil
        }
        let base = Int(record) * Self.stride
        let version = (words.relaxed(base + 3) &+ 1) & Self.versionMask
        words.storeRelaxed(version, at: base + 3)
        words.release(owner, at: base + 1)
        words.release(now, at: base + 2)
        words.release(
            UInt64(kind.rawValue) << 56 | version << 32 | UInt64(handle.rawValue), at: base)
        return record
    }

    /// The entry that a taken record holds.
    func handle(of record: UInt32) -> DestinationHandle {
        DestinationHandle(
            rawValue: UInt32(truncatingIfNeeded: words.acquire(Int(record) * Self.stride)))
    }

    /// Frees a record.
    func give(_ record: UInt32) {
        words.release(0, at: Int(record) * Self.stride)
        var head = free.relaxed(0)
        while true {
            next.storeRelaxed(UInt32(truncatingIfNeeded: head), at: Int(record))
            let desired = (head >> 32 &+ 1) << 32 | UInt64(record)
            let result = free.exchange(expected: head, desired: desired, at: 0)
            if result.exchanged { return }
            head = result.original
        }
    }

    /// The records that are taken, as far as a condition holds; those taken or freed meanwhile may
    /// be missing or there.
    ///
    /// Any thread; its cost is the most records that were ever taken.
    func list(
        limit listLimit: Int, where isWanted: (DestinationHolder) -> Bool
    ) -> [DestinationHolder] {
        var holders: [DestinationHolder] = []
        var record: UInt32 = 1
        let last = min(mark.acquire(0), limit)
        while record <= last, holders.count < listLimit {
            if let holder = holder(record), isWanted(holder) { holders.append(holder) }
            record += 1
        }
        return holders
    }

    private func holder(_ record: UInt32) -> DestinationHolder? {
        let base = Int(record) * Self.stride
        let word = words.acquire(base)
        guard let kind = HolderKind(rawValue: UInt8(truncatingIfNeeded: word >> 56)) else {
            return nil
        }
        let owner = words.acquire(base + 1)
        let since = words.acquire(base + 2)
        guard words.acquire(base) == word else { return nil }
        let handle = DestinationHandle(rawValue: UInt32(truncatingIfNeeded: word))
        return DestinationHolder(handle: handle, kind: kind, owner: owner, since: since)
    }

    private func pop() -> UInt32? {
        var head = free.acquire(0)
        while true {
            let record = UInt32(truncatingIfNeeded: head)
            guard record != 0 else { return nil }
            let below = next.relaxed(Int(record))
            let desired = (head >> 32 &+ 1) << 32 | UInt64(below)
            let result = free.exchange(expected: head, desired: desired, at: 0)
            if result.exchanged { return record }
            head = result.original
        }
    }

    private func raiseMark() -> UInt32? {
        var last = mark.relaxed(0)
        while last < limit {
            let result = mark.exchange(expected: last, desired: last + 1, at: 0)
            if result.exchanged { return last + 1 }
            last = result.original
        }
        return nil
    }
}
