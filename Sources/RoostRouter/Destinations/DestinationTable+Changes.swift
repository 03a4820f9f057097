/// Changes of an entry that packets may be reading: each one atomic store.
extension DestinationTable {
    /// Replaces the neighbour.
    ///
    /// - Returns: The neighbour that the entry had, whose claim is the caller's now.
    public mutating func setNeighbour(
        _ neighbour: NeighbourHandle, of handle: DestinationHandle
    ) -> NeighbourHandle {
        let link = slab.link(of: handle)
        slab.store(
            DestinationLink(
                neighbour: neighbour, pathMTU: link.pathMTU, metrics: link.metrics),
            of: handle)
        return link.neighbour
    }

    /// Replaces the path MTU in bytes; 0 is the port's.
    public mutating func setPathMTU(_ pathMTU: UInt16, of handle: DestinationHandle) {
        let link = slab.link(of: handle)
        slab.store(
            DestinationLink(
                neighbour: link.neighbour, pathMTU: pathMTU, metrics: link.metrics),
            of: handle)
    }

    /// Replaces the metrics, by another shared set: others that share the old one keep it.
    public mutating func setMetrics(_ metrics: DestinationMetrics, of handle: DestinationHandle) {
        let link = slab.link(of: handle)
        let number = metricsIndex.take(metrics, in: slab, quiescence)
        slab.store(
            DestinationLink(neighbour: link.neighbour, pathMTU: link.pathMTU, metrics: number),
            of: handle)
        metricsIndex.give(link.metrics, in: slab, quiescence)
    }

    /// Sets the tick at which what was learned ends; 0 is never.
    public mutating func setExpiry(_ expires: UInt64, of handle: DestinationHandle) {
        slab.store(expiry: expires, of: handle)
    }

    /// Sets the word that names the entry's exceptions, and the mark that tells of them.
    public mutating func setExceptions(_ exceptions: UInt32, of handle: DestinationHandle) {
        slab.store(exceptions: exceptions, of: handle)
        change(handle) { word in
            if exceptions == 0 {
                word.flags.remove(.hasExceptions)
            } else {
                word.flags.insert(.hasExceptions)
            }
        }
    }

    /// Sets the generation for which the entry is good.
    public mutating func setGeneration(_ generation: UInt64, of handle: DestinationHandle) {
        slab.store(generation: generation, of: handle)
    }

    /// Sets the failure that the entry stands for.
    public mutating func setError(_ error: DestinationError, of handle: DestinationHandle) {
        change(handle) { $0.error = error }
    }

    /// Adds marks.
    public mutating func insert(_ flags: DestinationFlags, in handle: DestinationHandle) {
        change(handle) { $0.flags.formUnion(flags) }
    }

    /// Takes marks away; an entry once killed or dead stays so.
    public mutating func remove(_ flags: DestinationFlags, from handle: DestinationHandle) {
        change(handle) { $0.flags.subtract(flags.subtracting([.isKilled, .isDead])) }
    }

    /// Tells all who hold the entry to route again; packets still go its way until it is replaced.
    public mutating func kill(_ handle: DestinationHandle) {
        change(handle) { $0.flags.insert(.isKilled) }
    }

    /// A transport says that a path looks bad: what was learned about it is not believed any longer.
    ///
    /// - Returns: Whether to route again.
    public mutating func takeNegativeAdvice(_ handle: DestinationHandle) -> Bool {
        guard state(of: handle) == .cached else { return true }
        let isLearned =
            slab.expiry(of: handle) != 0
            || slab.word(of: handle).flags.contains(.isException)
        if isLearned { kill(handle) }
        return isLearned
    }

    private func change(_ handle: DestinationHandle, _ body: (inout DestinationWord) -> Void) {
        var word = slab.word(of: handle)
        body(&word)
        slab.store(word, of: handle)
    }
}
