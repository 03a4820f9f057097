internal import RoostMemory

/// ARP and neighbour discovery as the router takes part in them.
extension Processor {
    /// An ARP packet has come.
    mutating func receive(_ packet: ARPPacket, on port: PortEntry) {
        let link = NeighbourLink<IPv4Address>(
            port: port.index, mac: port.mac, owns: { port.owns($0) },
            isOnLink: { address in port.addresses4.contains { $0.subnet.contains(address) } })
        switch NeighbourProtocol.receive(packet, on: link, now: now, &neighbours, &outbox) {
        case .answer(let answer): outbox.send(answer, to: answer.targetHardware, by: port)
        // What others say to each other is nothing to count.
        case .taken, .ignored(.notForUs), .ignored(.otherKind): break
        case .conflict: count(.addressConflict, on: port)
        case .ignored: count(.refusedNeighbour, on: port)
        }
        endFailure(of: packet.senderAddress, on: port)
    }

    private func count(_ counter: PacketCounter, on port: PortEntry) {
        view.counters.count(counter, on: port.index, worker: outbox.worker)
    }

    /// A neighbour that failed is known again: packets to it and by it go their way at once.
    private mutating func endFailure(of address: some NetworkAddress, on port: PortEntry) {
        let (high, low) = address.halves
        let key = NeighbourKey(port.index, type(of: address).family, high: high, low: low)
        guard view.neighbours.word(view.neighbours.find(key)).isUsable else { return }
        let nextHops = namespaces[Int(port.namespace.rawValue)].nextHops
        let gateway = IPAddress(key.family, high, low)
        func use(_ gateway: IPAddress?) -> NextHopUse? {
            nextHops[
                NextHopKey(
                    kind: .forward(gateway: gateway), family: key.family, port: port.index)]
        }
        if let use = use(gateway) {
            exceptions.nextHopAnswered(use.destination, in: &destinations)
        }
        if let use = use(nil) {
            exceptions.destinationAnswered(
                ExceptionPlace(nextHop: use.destination, address: address), in: &destinations,
                operations: &remains, now: now)
        }
    }

    /// A message of neighbour discovery has come.
    mutating func receive(
        _ message: NeighbourMessage, from frameSource: MACAddress, on port: PortEntry
    ) {
        let link = NeighbourLink<IPv6Address>(
            port: port.index, mac: port.mac, owns: { port.owns($0) },
            isOnLink: { address in port.addresses6.contains { $0.subnet.contains(address) } })
        let verdict = NeighbourProtocol.receive(
            message, from: frameSource, on: link, now: now, &neighbours, &outbox)
        switch verdict {
        case .advertise(let target, let destination, let asker):
            outbox.sendDiscovery(to: asker, by: port) { frame, offset in
                NeighbourMessage.writeAdvertisement(
                    of: target, hardware: port.mac, to: destination, isOverride: true, into: &frame,
                    at: offset)
            }
        // What others say to each other is nothing to count.
        case .taken, .ignored(.notForUs), .ignored(.otherKind): break
        case .conflict: count(.addressConflict, on: port)
        case .ignored: count(.refusedNeighbour, on: port)
        }
        endFailure(of: message.kind == .advertisement ? message.target : message.source, on: port)
    }
}
