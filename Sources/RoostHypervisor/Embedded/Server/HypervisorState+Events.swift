internal import SystemPackage

/// Event channels: made unbound by one domain, bound by the other, and open again to it when either
/// goes.
extension HypervisorState {
    func allocateUnbound(
        _ message: ControlMessage, _ domain: ServerDomain
    ) -> Result<[Outgoing], Errno> {
        let peer = UInt16(exactly: message.words[0]).map(DomainID.init(rawValue:))
        guard let peer, peer < .firstReserved else { return .failure(.invalidArgument) }
        guard let port = domain.freePort() else { return .failure(.noSpace) }
        do throws(Errno) {
            let channel = try ServerChannel(from: domain.id, port: port, to: peer)
            domain.ports[port.rawValue] = ServerPort(channel: channel, side: 0)
            domain.note(.unbound, of: port)
            return .success(Self.end(of: channel, 0, port, message))
        } catch {
            return .failure(error)
        }
    }

    func bind(
        _ message: ControlMessage, _ domain: ServerDomain
    ) -> Result<[Outgoing], Errno> {
        let peerID = UInt16(exactly: message.words[0]).map(DomainID.init(rawValue:))
        guard let peer = peerID.flatMap({ domains[$0] }),
            let other = peer.ports[message.words[1]]
        else { return .failure(.noSuchFileOrDirectory) }
        let channel = other.channel
        let side = 1 - other.side
        guard channel.domains[side] == domain.id, channel.ports[side] == nil else {
            return .failure(.invalidArgument)
        }
        guard let port = domain.freePort() else { return .failure(.noSpace) }
        channel.ports[side] = port
        domain.ports[port.rawValue] = ServerPort(channel: channel, side: side)
        domain.note(.bound, of: port)
        if let otherPort = channel.ports[other.side] { peer.note(.bound, of: otherPort) }
        // As Xen does: the binder looks once, since an event may have been sent before.
        channel.signal(side)
        return .success(Self.end(of: channel, side, port, message))
    }

    func closePort(
        _ message: ControlMessage, _ domain: ServerDomain
    ) -> Result<[Outgoing], Errno> {
        let port = EventPort(rawValue: message.words[0])
        guard close(port, of: domain) else { return .failure(.noSuchFileOrDirectory) }
        return .success([Outgoing(message: ControlMessage(answering: message))])
    }

    /// Closes a port; its peer's waits for a successor.
    ///
    /// - Returns: Whether there was such a port.
    @discardableResult
    func close(_ port: EventPort, of domain: ServerDomain) -> Bool {
        guard let closed = domain.ports.removeValue(forKey: port.rawValue) else { return false }
        domain.note(.closed, of: port)
        let channel = closed.channel
        channel.ports[closed.side] = nil
        let other = 1 - closed.side
        if let left = channel.ports[other] {
            let peer =
                channel.domains[other] == domain.id ? domain : domains[channel.domains[other]]
            peer?.note(.unbound, of: left)
        }
        return true
    }

    /// What a domain is told of its end of a channel.
    private static func end(
        of channel: ServerChannel, _ side: Int, _ port: EventPort, _ message: ControlMessage
    ) -> [Outgoing] {
        var answer = ControlMessage(answering: message)
        answer.words[0] = port.rawValue
        var first = answer
        first.hasMore = true
        return [
            Outgoing(message: first, descriptor: channel.event(of: side), owner: channel),
            Outgoing(message: answer, descriptor: channel.event(of: 1 - side), owner: channel),
        ]
    }
}
