internal import RoostMemory

/// Packets of the router's own, and those that waited: where they go.
extension Processor {
    /// Sends the last built packet towards its destination, as any other packet but for its time to
    /// live.
    mutating func output(
        _ slot: Int, to destination: IPv4Address, in namespace: NamespaceIndex
    ) {
        defer { built.removeAll() }
        guard let way = way(to: destination, in: namespace) else { return }
        count(sendIPv4(slot, by: way), in: namespace)
    }

    private mutating func count(_ outcome: NeighbourSendOutcome?, in namespace: NamespaceIndex) {
        guard let outcome else { return }
        if outcome == .sent {
            namespaces[Int(namespace.rawValue)].ownPackets.resolved += 1
        } else {
            namespaces[Int(namespace.rawValue)].ownPackets.unresolved += 1
        }
    }

    /// Sends a built packet of IPv4, fragmented where it is too long for the way.
    ///
    /// - Returns: What became of it, or of its last fragment; nil when it could not be cut.
    @discardableResult
    mutating func sendIPv4(_ slot: Int, by way: Way) -> NeighbourSendOutcome? {
        // What was built or read before has a header.
        guard let header = try? IPv4Header(built.frame(slot), at: EthernetHeader.byteCount) else {
            return nil
        }
        guard header.totalByteCount > way.maximumByteCount else { return send(slot, by: way) }
        guard var fragmenter = IPv4Fragmenter(header, mtu: way.maximumByteCount) else { return nil }
        var outcome: NeighbourSendOutcome?
        let room = EthernetHeader.byteCount + way.maximumByteCount
        while !fragmenter.isDone {
            pieces.removeAll()
            guard let piece = pieces.appendSlot(byteCount: room) else { return nil }
            let length = fragmenter.write(from: built, slot, to: piece, of: &pieces)
            pieces.setByteCount(length, of: piece)
            outcome = neighbours.send(
                pieces.frame(piece), to: way.key, context: hold(way.nextHop, for: way.key),
                now: now, &outbox)
        }
        return outcome
    }

    /// Sends the last built packet towards its destination; link-local ones stay on their port.
    mutating func output(
        _ slot: Int, to destination: IPv6Address, in namespace: NamespaceIndex, by port: PortEntry
    ) {
        defer { built.removeAll() }
        if destination.isLinkLocal {
            let key = NeighbourKey(port.index, destination)
            _ = neighbours.send(built.frame(slot), to: key, context: 0, now: now, &outbox)
            return
        }
        guard
            let way = way(to: destination, in: namespace),
            built.byteCount(of: slot) - EthernetHeader.byteCount <= way.maximumByteCount
        else { return }
        count(send(slot, by: way), in: namespace)
    }

    /// Sends a built frame to the next hop of a way, or has it wait for that.
    @discardableResult
    mutating func send(_ slot: Int, by way: Way) -> NeighbourSendOutcome {
        neighbours.send(
            built.frame(slot), to: way.key, context: hold(way.nextHop, for: way.key), now: now,
            &outbox)
    }

    // MARK: Ways

    /// Where packets to an address go.
    struct Way {
        /// The entry shared by all that go by the next hop.
        let nextHop: DestinationHandle
        /// That entry, or what is known of this destination alone.
        let destination: DestinationHandle
        let key: NeighbourKey
        let port: PortIndex
        let maximumByteCount: Int
    }

    /// The way to an address; nil when packets to it go nowhere.
    func way(
        to address: IPv4Address, in namespace: NamespaceIndex, flowHash: UInt64? = nil
    ) -> Way? {
        let group = forwarding.reader.lookup(address, in: namespace)
        return way(to: address, by: group, in: namespace, flowHash)
    }

    /// The way to an address; nil when packets to it go nowhere.
    func way(
        to address: IPv6Address, in namespace: NamespaceIndex, flowHash: UInt64? = nil
    ) -> Way? {
        let group = forwarding.reader.lookup(address, in: namespace)
        return way(to: address, by: group, in: namespace, flowHash)
    }

    private func way(
        to address: some NetworkAddress, by group: PathGroupIndex, in namespace: NamespaceIndex,
        _ flowHash: UInt64?
    ) -> Way? {
        guard !group.isNone else { return nil }
        let paths = forwarding.reader.paths(of: group, in: namespace)
        // The router's own packets are no flows worth spreading.
        let shared =
            paths.single ?? step.nextHop(of: paths, flowHash: flowHash ?? address.halves.low)
        let way = step.way(to: address, by: shared)
        guard way.word.input == .forward else { return nil }
        return Way(
            nextHop: shared, destination: way.handle, key: nextHop(of: way, for: address),
            port: way.word.port,
            maximumByteCount: view.maximumByteCount(way))
    }

    /// The neighbour that packets to an address go to.
    func nextHop(
        of way: ForwardingStep.Way, for address: some NetworkAddress
    ) -> NeighbourKey {
        let next =
            way.isOnLink ? address.halves : view.destinations.gateway(of: way.handle)
        return NeighbourKey(
            way.word.port, type(of: address).family, high: next.high, low: next.low)
    }

    /// Holds a destination for a packet that may wait, as the context of a neighbour's queue.
    func hold(_ handle: DestinationHandle, for key: NeighbourKey) -> UInt64 {
        let reference = view.destinations.hold(
            handle, kind: .queuedPacket, owner: key.low, now: now)
        guard let reference else { return 0 }
        return UInt64(reference.token().rawValue)
    }
}
