/// Counted references, for whoever keeps an entry longer than a batch.
extension DestinationSlab {
    /// Takes a counted reference.
    ///
    /// Called by a thread that knows the entry to be alive: it found it in the batch that it is in, or
    /// holds it already, or is the processor. Never on the packet path's straight way.
    ///
    /// - Parameters:
    ///   - handle: The entry.
    ///   - kind: What for.
    ///   - owner: Whose, in the numbering of the kind.
    ///   - now: The tick.
    /// - Returns: The reference, or `nil` when all holders' records are taken; the caller then does
    ///   without, and the refusal is counted.
    public func hold(
        _ handle: DestinationHandle, kind: HolderKind, owner: UInt64, now: UInt64
    ) -> DestinationReference? {
        guard let record = holderSlab.take(handle, kind: kind, owner: owner, now: now) else {
            return nil
        }
        counts.add(handle)
        return DestinationReference(handle: handle, record: record)
    }

    /// Gives a reference back, by one atomic decrement whose result says whether a retired entry
    /// has fallen to the collector; nothing reads the count before.
    ///
    /// Any thread.
    public func release(_ reference: consuming DestinationReference) {
        let handle = reference.handle
        holderSlab.give(reference.record)
        counts.remove(handle)
    }

    /// A reference that was kept as a number, once a token.
    public func reference(of token: HolderToken) -> DestinationReference {
        DestinationReference(
            handle: holderSlab.handle(of: token.rawValue), record: token.rawValue)
    }

    /// How many holds were refused because all holders' records were taken.
    public var refusedHoldCount: UInt64 { holderSlab.refusalCount }

    /// How many hold an entry, at some moment of the call.
    public func referenceCount(of handle: DestinationHandle) -> Int {
        Int(counts.count(handle))
    }

    /// Who holds what, as far as a condition holds.
    ///
    /// What changes during the call may be missing.
    ///
    /// - Parameters:
    ///   - limit: At most how many are listed.
    ///   - isWanted: Which.
    /// - Returns: The holders, in no order. The cost is the most references there ever were at once:
    ///   for the control plane, on any thread, without stopping anything.
    public func holders(
        limit: Int, where isWanted: (DestinationHolder) -> Bool = { _ in true }
    ) -> [DestinationHolder] {
        holderSlab.list(limit: limit, where: isWanted)
    }
}
