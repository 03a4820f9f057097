internal import RoostMemory

/// An entry's life up to the garbage.
extension DestinationTable {
    /// How many entries one may be stacked on.
    internal static let depthLimit: UInt8 = 8

    /// Makes an entry that only its maker knows; it discards in both directions.
    ///
    /// When the family has more entries than its threshold, its operations are asked to collect first.
    ///
    /// - Returns: The entry, or ``DestinationHandle/none`` when there is no room, which is counted, or
    ///   no such namespace.
    public mutating func allocate(
        _ family: AddressFamily, namespace: NamespaceIndex, now: UInt64,
        operations: inout some DestinationOperations & ~Copyable
    ) -> DestinationHandle {
        guard namespaces[Int(namespace.rawValue)].state == .present else { return .none }
        if count(of: family) > limits[family].threshold {
            guard operations.collect(family, for: namespace, in: &self, now: now) else {
                return refuse(namespace)
            }
        }
        let handle = takePlace()
        guard !handle.isNone else { return refuse(namespace) }
        records[handle.index] = DestinationRecord(
            state: .private, family: family, namespace: namespace.rawValue, created: now)
        slab.store(
            DestinationWord(
                input: .discard, output: .discard, port: .blackhole, namespace: namespace),
            of: handle)
        portLinks.insert(handle.rawValue, in: &ports[0].entries)
        namespaceLinks.insert(
            handle.rawValue, in: &namespaces[Int(namespace.rawValue)].entries)
        add(1, to: family)
        namespaces[Int(namespace.rawValue)].account.created += 1
        namespaces[Int(namespace.rawValue)].account.entries += 1
        return handle
    }

    private mutating func refuse(_ namespace: NamespaceIndex) -> DestinationHandle {
        namespaces[Int(namespace.rawValue)].account.overflows += 1
        return .none
    }

    /// Stacks a private entry on another one, which it holds from then on.
    ///
    /// - Parameters:
    ///   - parent: A private entry that is stacked on nothing yet.
    ///   - child: A cached entry; marked `isParentOwned`, it goes with its last parent.
    ///   - now: The tick.
    /// - Returns: Whether it is; not when the stack is too deep or the holders' records are all taken.
    public mutating func stack(
        _ parent: DestinationHandle, on child: DestinationHandle, now: UInt64
    ) -> Bool {
        precondition(state(of: parent) == .private && records[parent.index].child == 0)
        precondition(state(of: child) == .cached)
        let depth = records[child.index].depth + 1
        guard depth <= Self.depthLimit,
            let reference = slab.hold(
                child, kind: .child, owner: UInt64(parent.rawValue), now: now)
        else { return false }
        records[parent.index].depth = depth
        records[parent.index].child = child.rawValue
        records[parent.index].childToken = reference.token().rawValue
        return true
    }

    /// The entry that another one is stacked on, or `none`.
    public func child(of handle: DestinationHandle) -> DestinationHandle {
        DestinationHandle(rawValue: records[handle.index].child)
    }

    /// Gives a private entry its contents; its maker may now publish it, with a releasing store.
    ///
    /// Through a port that is down, leaving, unknown or another namespace's it discards, killed.
    public mutating func finish(_ handle: DestinationHandle, as contents: DestinationContents) {
        precondition(state(of: handle) == .private)
        let metrics = metricsIndex.take(contents.metrics, in: slab, quiescence)
        slab.store(gateway: contents.gateway, of: handle)
        slab.store(
            DestinationLink(
                neighbour: contents.neighbour, pathMTU: contents.pathMTU, metrics: metrics),
            of: handle)
        slab.store(expiry: contents.expires, of: handle)
        slab.store(generation: contents.generation, of: handle)
        records[handle.index].state = .cached

        let namespace = NamespaceIndex(rawValue: records[handle.index].namespace)
        var word = DestinationWord(
            input: contents.input, output: contents.output, port: contents.port,
            namespace: namespace, error: contents.error, flags: contents.flags)
        let place = ports[Int(contents.port.rawValue)]
        let isOurs = contents.port == .blackhole || place.namespace == namespace
        if records[handle.index].isOrphan {
            word = word.discarding
            word.port = .blackhole
        } else if !isOurs || place.state == .unknown || place.state == .leaving {
            word = word.discarding
            word.port = namespaces[Int(namespace.rawValue)].loopback
        } else if place.state == .down {
            word = word.discarding
        }
        move(handle, from: .blackhole, to: word.port)
        slab.store(word, of: handle)
    }

    /// Retires an entry that was unlinked from every table: the collector destroys it once no batch
    /// and no holder has it.
    ///
    /// The second time nothing happens.
    public mutating func retire(_ handle: DestinationHandle, now: UInt64) {
        let state = state(of: handle)
        guard state == .cached || state == .private else { return }
        // A private entry was never found by anybody.
        let epoch = state == .private ? 0 : quiescence.retire()
        discard(retired: handle, now: now, epoch: epoch)
        append(handle)
        if collector.pass == nil {
            collector.pace.garbageArrived(now: now)
        } else {
            collector.hasNewGarbage = true
        }
    }

    /// Makes an entry garbage, in its record and its word.
    internal mutating func discard(retired handle: DestinationHandle, now: UInt64, epoch: UInt64) {
        records[handle.index].state = .garbage
        records[handle.index].retired = now
        records[handle.index].epoch = epoch
        account(of: handle) { $0.retired += 1 }
        var word = slab.word(of: handle)
        word.flags.formUnion([.isKilled, .isDead])
        if ports[Int(word.port.rawValue)].state != .up { word = word.discarding }
        slab.store(word, of: handle)
        collector.garbageCount += 1
    }

    private mutating func append(_ handle: DestinationHandle) {
        records[handle.index].next = 0
        if collector.garbageLast == 0 {
            collector.garbageFirst = handle.rawValue
        } else {
            records[Int(collector.garbageLast)].next = handle.rawValue
        }
        collector.garbageLast = handle.rawValue
    }

    /// Moves an entry from one port's list to another's.
    internal mutating func move(
        _ handle: DestinationHandle, from old: PortIndex, to new: PortIndex
    ) {
        guard old != new else { return }
        portLinks.remove(handle.rawValue, from: &ports[Int(old.rawValue)].entries)
        portLinks.insert(handle.rawValue, in: &ports[Int(new.rawValue)].entries)
    }
}
