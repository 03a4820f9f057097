internal import RoostMemory

/// The reference counts of the entries, each alone in a line of 64 bytes, and the entries that fell.
///
/// A count's word:
///
///      63        62             32 31                              0
///     +---------+-----------------+---------------------------------+
///     | retired |        0        |              count              |
///     +---------+-----------------+---------------------------------+
///
/// `retired` is set once the entry is out of every table and every batch that could have found it has
/// ended. From then on only who holds the entry can hold it once more, so the count reaches zero
/// exactly once, and the one whose decrement gives "retired, 0" pushes the entry on a stack that the
/// collector takes whole. Push and take-all need no counter against reuse: who pushes reads the head
/// only to link it.
internal struct ReferenceCounts: ~Copyable, Sendable {
    /// Words between two counts: a line of 64 bytes.
    static let stride = 64 / MemoryLayout<UInt64>.size
    private static let retired: UInt64 = 1 << 63
    private static let countMask: UInt64 = 0xffff_ffff

    private let words: AtomicArray<UInt64>
    private let fallenNext: AtomicArray<UInt32>
    /// The entry that fell last; alone in its memory.
    private let fallenHead: AtomicArray<UInt32>

    init(count: Int) throws(MemoryError) {
        let words = try AtomicArray<UInt64>(count: count * Self.stride)
        let fallenNext = try AtomicArray<UInt32>(count: count)
        fallenHead = try AtomicArray(count: 1)
        self.words = words
        self.fallenNext = fallenNext
    }

    /// One reference more.
    ///
    /// Any thread that may hold the entry.
    func add(_ handle: DestinationHandle) {
        _ = words.add(1, at: handle.index * Self.stride)
    }

    /// One reference less, by one decrement whose result decides; who took the last one of a
    /// retired entry leaves it to the collector.
    ///
    /// Any thread.
    ///
    /// - Returns: How many are left, and whether the entry is retired.
    /// - Precondition: There was one.
    @discardableResult
    func remove(_ handle: DestinationHandle) -> (left: UInt32, isRetired: Bool) {
        let word = words.subtract(1, at: handle.index * Self.stride)
        let left = word & Self.countMask
        precondition(left != Self.countMask, "more references given back than were taken")
        if word == Self.retired { push(handle) }
        return (UInt32(truncatingIfNeeded: left), word & Self.retired != 0)
    }

    /// Marks an entry that nobody can find any more.
    ///
    /// The processor.
    ///
    /// - Returns: How many still hold it.
    func retire(_ handle: DestinationHandle) -> UInt32 {
        let word = words.add(Self.retired, at: handle.index * Self.stride)
        return UInt32(truncatingIfNeeded: word & Self.countMask)
    }

    /// Makes the word of an entry that is destroyed ready for the next one.
    ///
    /// The processor.
    func clear(_ handle: DestinationHandle) {
        words.release(0, at: handle.index * Self.stride)
    }

    /// How many hold an entry, for listings.
    func count(_ handle: DestinationHandle) -> UInt32 {
        UInt32(truncatingIfNeeded: words.relaxed(handle.index * Self.stride) & Self.countMask)
    }

    private func push(_ handle: DestinationHandle) {
        var head = fallenHead.relaxed(0)
        while true {
            fallenNext.storeRelaxed(head, at: handle.index)
            let result = fallenHead.exchange(expected: head, desired: handle.rawValue, at: 0)
            if result.exchanged { return }
            head = result.original
        }
    }

    /// Takes all entries that fell since the last time: the last of them, linked by
    /// ``next(after:)``.
    ///
    /// The processor.
    func takeFallen() -> DestinationHandle {
        var head = fallenHead.relaxed(0)
        while head != 0 {
            let result = fallenHead.exchange(expected: head, desired: 0, at: 0)
            if result.exchanged { break }
            head = result.original
        }
        return DestinationHandle(rawValue: head)
    }

    /// The entry that fell before another one.
    func next(after handle: DestinationHandle) -> DestinationHandle {
        DestinationHandle(rawValue: fallenNext.relaxed(handle.index))
    }
}
