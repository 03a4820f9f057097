internal import RoostMemory

/// The exceptions as the packet path sees them: by next hop and destination.
///
/// Any thread may look up, inside a batch. A worker that has a next hop's entry marked
/// `hasExceptions` asks here and, when there is an entry, goes by that one: its actions, error, path
/// MTU (0 is the next hop's) and neighbour (none is the next hop's).
final class ExceptionIndex: Sendable {
    /// The keys and the handles of the exceptions' entries.
    let keys: KeyedIndex
    /// Of each namespace the generation that its exceptions have to be of.
    private let generations: AtomicArray<UInt64>
    private let slab: DestinationSlab

    init(limit: Int, slab: DestinationSlab) throws(RouterError) {
        keys = try KeyedIndex(limit: limit)
        self.slab = slab
        do {
            generations = try AtomicArray(count: Int(UInt16.max) + 1)
        } catch {
            throw RouterError(error, for: "the generations of exceptions")
        }
    }

    /// The entry of what is known of a destination behind a next hop, `none` when nothing is.
    ///
    /// - Parameters:
    ///   - nextHop: The next hop's shared entry.
    ///   - high: The destination's upper half, as in ``NetworkAddress/halves``.
    ///   - low: Its lower half.
    ///   - namespace: The namespace of both.
    /// - Returns: The entry, good until the batch ends.
    func find(
        nextHop: DestinationHandle, high: UInt64, low: UInt64, namespace: NamespaceIndex
    ) -> DestinationHandle {
        let found = keys.find(IndexKey(scope: nextHop.rawValue, high: high, low: low))
        guard found != 0 else { return .none }
        let handle = DestinationHandle(rawValue: found)
        return slab.generation(of: handle) == generation(of: namespace) ? handle : .none
    }

    /// Whether an entry that somebody holds is still the one for a destination behind a next hop.
    ///
    /// Holders ask this instead of keeping a list of whom to tell.
    func isCurrent(
        _ held: DestinationHandle, nextHop: DestinationHandle, high: UInt64, low: UInt64,
        namespace: NamespaceIndex
    ) -> Bool {
        guard !slab.word(of: held).flags.contains(.isKilled) else { return false }
        let found = find(nextHop: nextHop, high: high, low: low, namespace: namespace)
        return held == (found.isNone ? nextHop : found)
    }

    /// The generation that a namespace's exceptions have to be of.
    func generation(of namespace: NamespaceIndex) -> UInt64 {
        generations.acquire(Int(namespace.rawValue))
    }

    /// Makes all exceptions of a namespace unfindable until each is found to be right still.
    func startGeneration(of namespace: NamespaceIndex) {
        generations.release(
            generations.relaxed(Int(namespace.rawValue)) &+ 1, at: Int(namespace.rawValue))
    }
}
