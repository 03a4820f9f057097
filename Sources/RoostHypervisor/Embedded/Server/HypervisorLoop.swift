internal import Logging
internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// The hypervisor's one thread: waits for its sockets, and does what each asks in turn.
final class HypervisorLoop {
    /// How long nobody is let in after the system refused a connection.
    private static let pause = Duration.milliseconds(100)
    /// Connections that have not said who they are, at most.
    private static let strangerCount = 64
    private static let domainListenerToken: UInt64 = 1
    private static let storeListenerToken: UInt64 = 2

    private let domainListener: Listener
    private let storeListener: Listener
    private let poller: Poller
    private let logger: Logger
    private let idleLimit: Duration?

    private var state = HypervisorState()
    private var store = StoreServer()
    private var controls: [UInt64: ControlPeer] = [:]
    private var stores: [UInt64: StorePeer] = [:]
    private var storeTokens: [StoreConnectionID: UInt64] = [:]
    private var lastToken: UInt64 = 16
    /// When connections are taken again, while they are not.
    private var pausedUntil: ContinuousClock.Instant?
    /// Since when there has been no domain.
    private var idleSince: ContinuousClock.Instant? = .now

    init(
        at location: HypervisorLocation, options: EmbeddedHypervisor.Options
    ) throws(HypervisorError) {
        try location.makeDirectory()
        // Backends are ordinary domains here, and learn so that a peer is gone.
        for event in [StoreServer.introduceEvent, StoreServer.releaseEvent] {
            store.setPermissions(
                StorePermissions(owner: .privileged, others: .read), ofSpecial: event)
        }
        logger = options.logger
        idleLimit = options.exitsWhenIdle
        do throws(SystemError) {
            domainListener = try Listener(on: .unix(path: location.socketPath))
            storeListener = try Listener(on: .unix(path: location.storePath))
        } catch {
            throw HypervisorError(
                .system, errno: error.errno, "cannot start a hypervisor: \(error.description)")
        }
        do throws(Errno) {
            poller = try Poller.make()
            try poller.add(domainListener.descriptor, .input, token: Self.domainListenerToken)
            try poller.add(storeListener.descriptor, .input, token: Self.storeListenerToken)
        } catch {
            throw HypervisorError(
                .system, errno: error, "cannot wait for the hypervisor's sockets: \(error)")
        }
    }

    /// Serves until a signal is raised, or nobody has been here for as long as the options say.
    func run(until stop: StopSignal) {
        while !stop.isRaised {
            if stop.wait(orReadable: poller.descriptor, within: timeLeft()) { break }
            // A bound on each turn, so that the signal and the time are looked at under any load.
            for _ in 0..<64 {
                guard let (token, ready) = poller.next() else { break }
                serve(token, ready)
                sendStoreOutput()
            }
            resumeAccepting()
            if isIdleForLong { break }
        }
        domainListener.stop()
        storeListener.stop()
        controls = [:]
        stores = [:]
    }

    private func serve(_ token: UInt64, _ ready: Poller.Interest) {
        switch token {
        case Self.domainListenerToken:
            accept(from: domainListener, token, acceptDomain)
        case Self.storeListenerToken:
            accept(from: storeListener, token, acceptTool)
        default:
            if let peer = controls[token] {
                serve(peer, token, ready)
            } else if let peer = stores[token] {
                serve(peer, token, ready)
            }
        }
    }

    // MARK: Letting in

    private func accept(
        from listener: Listener, _ token: UInt64, _ take: (StreamSocket) throws(Errno) -> Void
    ) {
        do {
            let socket = try listener.accept(timeout: .zero)
            try socket.checkPeerIsTrusted()
            try socket.makeNonblocking()
            try take(socket)
        } catch let error as SystemError where error.kind == .timeout {
            // Who connected went away before it was taken.
        } catch let error as SystemError where error.kind == .credentials {
            logger.warning("\(error.description)")
        } catch {
            logger.warning("cannot let a connection in, trying again soon: \(error)")
            poller.remove(domainListener.descriptor)
            poller.remove(storeListener.descriptor)
            pausedUntil = .now + Self.pause
        }
    }

    private func resumeAccepting() {
        guard let until = pausedUntil, .now >= until else { return }
        do throws(Errno) {
            try poller.add(domainListener.descriptor, .input, token: Self.domainListenerToken)
            try poller.add(storeListener.descriptor, .input, token: Self.storeListenerToken)
            pausedUntil = nil
        } catch {
            poller.remove(domainListener.descriptor)
            pausedUntil = .now + Self.pause
        }
    }

    private func makeToken() -> UInt64 {
        lastToken += 1
        return lastToken
    }

    private func acceptDomain(_ socket: StreamSocket) throws(Errno) {
        let strangers = controls.values.count { $0.domain == nil }
        guard strangers < Self.strangerCount,
            let credentials = try? socket.peerCredentials()
        else { return }
        try socket.limitSendBuffer(HypervisorLimits.controlSendBufferByteCount)
        let token = makeToken()
        try poller.add(socket.descriptor, .input, token: token)
        controls[token] = ControlPeer(socket, userID: credentials.userID)
    }

    private func acceptTool(_ socket: StreamSocket) throws(Errno) {
        let tools = stores.values.count { $0.domain == nil }
        guard tools < HypervisorLimits.storeConnectionCount else { return }
        _ = try addStore(socket, domain: nil, isPrivileged: true)
    }

    private func addStore(
        _ socket: StreamSocket, domain: DomainID?, isPrivileged: Bool
    ) throws(Errno) -> UInt64 {
        let token = makeToken()
        try poller.add(socket.descriptor, .input, token: token)
        let id = store.connect(as: domain ?? .privileged, isPrivileged: isPrivileged)
        stores[token] = StorePeer(socket, id: id, domain: domain)
        storeTokens[id] = token
        return token
    }

    // MARK: Domains

    private func serve(_ peer: ControlPeer, _ token: UInt64, _ ready: Poller.Interest) {
        do throws(SystemError) {
            if ready.contains(.output) {
                try peer.flush()
            } else if let message = try peer.receive() {
                if let domain = peer.domain {
                    try peer.send(state.answer(message, from: domain))
                } else {
                    try admit(peer, message)
                }
            }
        } catch {
            if error.errno != .wouldBlock { return end(peer, token) }
        }
        // Who does not read its answers asks nothing more: the end of the connection still shows.
        let interest: Poller.Interest = peer.isBlocked ? .output : .input
        if (try? poller.change(peer.socket.descriptor, interest, token: token)) == nil {
            end(peer, token)
        }
    }

    /// Makes a domain of who has connected.
    private func admit(_ peer: ControlPeer, _ hello: ControlMessage) throws(SystemError) {
        guard hello.operation == ControlMessage.Operation.hello.rawValue else {
            throw SystemError(.transfer, "the first message was no greeting")
        }
        let domain: ServerDomain
        switch state.admit(hello, userID: peer.userID) {
        case .success(let admitted): domain = admitted
        case .failure(let reason):
            let refusal = ControlMessage(answering: hello, status: reason)
            return try peer.send([HypervisorState.Outgoing(message: refusal)])
        }
        peer.domain = domain
        introduce(domain)
        let (ours, theirs) = try StreamSocket.pair()
        do throws(Errno) {
            try ours.makeNonblocking()
            peer.storeToken = try addStore(
                ours, domain: domain.id, isPrivileged: hello.words[2] == 1)
        } catch {
            throw SystemError(.transfer, errno: error, "cannot serve a domain's store: \(error)")
        }
        idleSince = nil
        logger.debug("domain \(domain.id) '\(domain.name)' appeared")
        var first = ControlMessage(answering: hello)
        first.words[0] = UInt32(domain.id.rawValue)
        var second = first
        first.hasMore = true
        second.hasMore = false
        try peer.send([
            HypervisorState.Outgoing(message: first, descriptor: theirs.descriptor, owner: theirs),
            HypervisorState.Outgoing(
                message: second, descriptor: domain.page.descriptor, owner: domain),
        ])
    }

    /// Makes a domain's own folder in the store, and says that it is here.
    private func introduce(_ domain: ServerDomain) {
        let own = StorePermissions(owner: domain.id)
        let nodes = [
            ("", [UInt8]()), ("/domid", Array("\(domain.id)".utf8)),
            ("/name", Array(domain.name.utf8)),
        ]
        for (name, value) in nodes {
            do {
                try store.put(
                    value, at: StorePath("/local/domain/\(domain.id)\(name)"), permissions: own)
            } catch {
                logger.warning("cannot make a node of domain \(domain.id): \(error)")
            }
        }
        store.domainAppeared(domain.id)
    }

    /// Takes back all that a domain had.
    private func end(_ peer: ControlPeer, _ token: UInt64) {
        poller.remove(peer.socket.descriptor)
        controls[token] = nil
        guard let domain = peer.domain else { return }
        if let storeToken = peer.storeToken, let storePeer = stores[storeToken] {
            end(storePeer, storeToken)
        }
        state.remove(domain.id)
        store.domainDied(domain.id)
        // What Xen's tool stack does: its nodes go, so that its peers see at once that it is gone.
        if let home = try? StorePath("/local/domain/\(domain.id)") { _ = try? store.remove(home) }
        if state.domains.isEmpty { idleSince = .now }
        logger.debug("domain \(domain.id) '\(domain.name)' is gone")
    }

    // MARK: The store

    private func serve(_ peer: StorePeer, _ token: UInt64, _ ready: Poller.Interest) {
        let goesOn = ready.contains(.output) || peer.receive(into: &store)
        send(to: peer, token, isGone: !goesOn)
    }

    /// Sends what the store has for a connection, and waits for what it can do next.
    private func send(to peer: StorePeer, _ token: UInt64, isGone: Bool = false) {
        guard !isGone, peer.send(from: &store) else { return end(peer, token) }
        var interest: Poller.Interest = []
        if store.acceptsInput(from: peer.id) { interest.insert(.input) }
        if peer.isBlocked { interest.insert(.output) }
        if (try? poller.change(peer.socket.descriptor, interest, token: token)) == nil {
            end(peer, token)
        }
    }

    /// Sends to all connections for which the store has something new.
    private func sendStoreOutput() {
        for id in store.pendingConnections {
            guard let token = storeTokens[id], let peer = stores[token], !peer.isBlocked else {
                continue
            }
            send(to: peer, token)
        }
    }

    private func end(_ peer: StorePeer, _ token: UInt64) {
        poller.remove(peer.socket.descriptor)
        stores[token] = nil
        storeTokens[peer.id] = nil
        store.disconnect(peer.id)
    }

    // MARK: Time

    /// How long there is nothing to do unless somebody asks.
    private func timeLeft() -> Duration? {
        let ends = [pausedUntil, idleEnd].compactMap { $0 }
        return ends.min().map { max(.zero, ContinuousClock.now.duration(to: $0)) }
    }

    private var idleEnd: ContinuousClock.Instant? {
        guard let idleLimit, let idleSince else { return nil }
        return idleSince + idleLimit
    }

    private var isIdleForLong: Bool {
        guard let idleEnd, state.domains.isEmpty else { return false }
        return .now >= idleEnd
    }
}
