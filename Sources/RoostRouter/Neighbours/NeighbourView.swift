internal import RoostMemory

/// What a worker needs to know of a neighbour, in one word.
struct NeighbourWord: BitwiseCopyable, Equatable, Sendable {
    private static let usableBit: UInt64 = 1 << 48
    private static let confirmationBit: UInt64 = 1 << 49
    private static let routerBit: UInt64 = 1 << 50
    private static let deadBit: UInt64 = 1 << 51

    /// The link-layer address in bits 0 to 47, flags above; 0 is no neighbour.
    let rawValue: UInt64

    /// Its link-layer address, if it is usable.
    var mac: MACAddress { MACAddress(rawValue: rawValue) }
    /// Whether packets can be sent to it now; otherwise they are punted, and the processor keeps or
    /// reports them.
    var isUsable: Bool { rawValue & Self.usableBit != 0 }
    /// Whether who sends to it is to say so: ``NeighbourView/noteUse(_:)``.
    var needsConfirmation: Bool { rawValue & Self.confirmationBit != 0 }
    /// Whether it said that it is a router.
    var isRouter: Bool { rawValue & Self.routerBit != 0 }
    /// Whether it will never be usable again: who holds it looks the neighbour up anew.
    var isDead: Bool { rawValue & Self.deadBit != 0 }

    init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The word of a state.
    init(_ state: NeighbourState) {
        guard state.phase.isUsable else {
            rawValue = 0
            return
        }
        rawValue =
            state.link.rawValue | Self.usableBit | (state.isRouter ? Self.routerBit : 0)
            | (state.phase == .stale ? Self.confirmationBit : 0)
    }

    /// The word of a neighbour that was taken out.
    static var dead: NeighbourWord { NeighbourWord(rawValue: deadBit) }
}

/// What workers see of a router's neighbours: any thread reads, the processor writes.
///
///     words    neighbour: address and flags        one word each, alone sufficient to send
///     uses     neighbour: was used while stale     a bit each, set by workers, taken by the processor
///
/// A handle that was found is good for the rest of the worker's batch, or as long as it is held.
final class NeighbourView: Sendable {
    private let words: AtomicArray<UInt64>
    private let uses: AtomicArray<UInt64>
    private let index: KeyedIndex
    /// How many neighbours there are at most.
    let limit: Int

    init(limit: Int) throws(RouterError) {
        self.limit = limit
        index = try KeyedIndex(limit: limit)
        do {
            // Handle 0 is none.
            words = try AtomicArray(count: limit + 1)
            uses = try AtomicArray(count: limit / 64 + 1)
        } catch {
            throw RouterError(error, for: "a table of \(limit) neighbours")
        }
    }

    /// The neighbour of a port and an address; none when there is none.
    func find(_ key: NeighbourKey) -> NeighbourHandle {
        NeighbourHandle(rawValue: index.find(key.indexKey))
    }

    /// What there is to know of a neighbour; of none that it is not usable.
    ///
    /// - Precondition: The handle is none or came from this table.
    func word(_ handle: NeighbourHandle) -> NeighbourWord {
        NeighbourWord(rawValue: words.acquire(Int(handle.rawValue)))
    }

    /// Says that a packet was sent to a neighbour whose word asks for it.
    ///
    /// The first packet writes; those after it only read, until the processor has taken the note and
    /// no longer asks.
    func noteUse(_ handle: NeighbourHandle) {
        let place = Int(handle.rawValue) / 64
        let bit: UInt64 = 1 << UInt64(handle.rawValue % 64)
        var seen = uses.relaxed(place)
        while seen & bit == 0 {
            let result = uses.exchange(expected: seen, desired: seen | bit, at: place)
            guard !result.exchanged else { return }
            seen = result.original
        }
    }

    // The processor's part.

    /// Takes the notes of 64 neighbours: a bit each, from handle 64 × `place` on.
    func takeUses(at place: Int) -> UInt64 {
        var seen = uses.relaxed(place)
        while seen != 0 {
            let result = uses.exchange(expected: seen, desired: 0, at: place)
            guard !result.exchanged else { return seen }
            seen = result.original
        }
        return 0
    }

    /// Lets workers see a neighbour's state.
    func publish(_ word: NeighbourWord, of handle: NeighbourHandle) {
        let place = Int(handle.rawValue)
        guard words.relaxed(place) != word.rawValue else { return }
        words.release(word.rawValue, at: place)
    }

    /// Lets workers find a neighbour; false when the index takes no more.
    func insert(_ key: NeighbourKey, _ handle: NeighbourHandle) -> Bool {
        index.insert(key.indexKey, handle: handle.rawValue) != .full
    }

    /// Lets workers find a neighbour no more.
    func remove(_ key: NeighbourKey) {
        _ = index.remove(key.indexKey)
    }
}
