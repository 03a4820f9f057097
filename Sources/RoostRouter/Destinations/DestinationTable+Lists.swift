internal import RoostMemory

/// What there is, as plain values.
extension DestinationTable {
    /// Visits the entries through a port, live and retired; the cost is their number.
    public func forEachEntry(of port: PortIndex, _ body: (DestinationHandle) -> Void) {
        var handle = ports[Int(port.rawValue)].entries.first
        while handle != 0 {
            let next = portLinks.next(after: handle)
            body(DestinationHandle(rawValue: handle))
            handle = next
        }
    }

    /// Visits the entries of a namespace, live and retired; the cost is their number.
    public func forEachEntry(of namespace: NamespaceIndex, _ body: (DestinationHandle) -> Void) {
        var handle = namespaces[Int(namespace.rawValue)].entries.first
        while handle != 0 {
            let next = namespaceLinks.next(after: handle)
            body(DestinationHandle(rawValue: handle))
            handle = next
        }
    }

    /// A namespace's counts.
    public func account(of namespace: NamespaceIndex) -> DestinationAccount {
        namespaces[Int(namespace.rawValue)].account
    }

    /// The counts of entries whose namespace is gone.
    public var orphanAccount: DestinationAccount { orphans.account }

    /// Retired entries that somebody holds, as far as the collector knows.
    public var waitingCount: Int { collector.waitingCount }

    /// Retired entries that no pass has settled yet.
    public var garbageCount: Int { collector.garbageCount }

    /// How long slices took.
    public var collectorStatistics: CollectorStatistics { collector.statistics }

    /// When the next pass is due.
    public var collectorPace: CollectorPace { collector.pace }

    /// The last passes, the newest last; at most 64.
    public var collectorTrace: [CollectorTrace] { collector.trace }

    /// Who holds entries that a removed port left behind: what delays nothing, but is worth a look.
    ///
    /// - Parameters:
    ///   - port: The port that is gone or going.
    ///   - limit: At most how many are listed.
    /// - Returns: The holders, in no order; the cost is the most holders there ever were.
    public func holders(ofFormer port: PortIndex, limit: Int) -> [DestinationHolder] {
        slab.holders(limit: limit) { records[$0.handle.index].formerPort == port.rawValue }
    }

    /// Entries in the order of their places.
    ///
    /// - Parameters:
    ///   - start: The first place to look at; for the next page, one more than the last handle.
    ///   - limit: At most how many.
    /// - Returns: The entries.
    public func entries(from start: UInt32 = 1, limit: Int) -> [EntrySnapshot] {
        var found: [EntrySnapshot] = []
        var place = max(start, 1)
        while place < placesEnd, found.count < limit {
            let handle = DestinationHandle(rawValue: place)
            if state(of: handle) != .free { found.append(snapshot(of: handle)) }
            place += 1
        }
        return found
    }

    private func snapshot(of handle: DestinationHandle) -> EntrySnapshot {
        let record = records[handle.index]
        let link = slab.link(of: handle)
        return EntrySnapshot(
            id: slab.id(of: handle), state: record.state, family: record.family,
            word: slab.word(of: handle), neighbour: link.neighbour, pathMTU: link.pathMTU,
            metrics: slab.metrics(at: link.metrics), gateway: slab.gateway(of: handle),
            expires: slab.expiry(of: handle), child: child(of: handle),
            formerPort: PortIndex(rawValue: record.formerPort), isOrphan: record.isOrphan,
            created: record.created, retired: record.retired, usage: slab.usage(of: handle),
            referenceCount: slab.referenceCount(of: handle))
    }
}
