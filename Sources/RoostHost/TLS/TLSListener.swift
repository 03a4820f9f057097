internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// Accepts TLS connections, each as a ``TLSBridge``.
public final class TLSListener: Sendable {
    /// Connections that wait for ``accept()``, made or failed; further ones are closed at once.
    static let waitingLimit = 16
    /// Handshakes under way at a time; whoever comes then takes the place of the oldest.
    static let handshakeLimit = 64

    private typealias Arrival = Result<TLSBridge, HostError>

    private let listener: Listener
    private let stop: StopSignal
    private let arrivals: AsyncStream<Arrival>

    /// The TCP port: that asked for, or the one the system chose for 0.
    public let port: Int

    /// Listens for TLS clients that show a certificate of the identity's authority.
    ///
    /// - Parameters:
    ///   - host: The name or address to listen on, such as `::` for all.
    ///   - port: The TCP port; 0 for any that is free.
    ///   - identity: Who we are, and whom we trust.
    ///   - linkTimeout: After how long a client that takes no bytes counts as gone.
    /// - Returns: A listener, which accepts from now on.
    /// - Throws: `HostError` of kind `connection`.
    public static func listen(
        host: String, port: Int, identity: TLSIdentity, linkTimeout: Duration = .seconds(10)
    ) async throws(HostError) -> TLSListener {
        guard let number = UInt16(exactly: port) else {
            throw HostError(
                .connection, "cannot listen on \(host):\(port): ports have the numbers 1 to 65535")
        }
        let stop = try TLSBridge.stopSignal()
        let listener = try await TLSBridge.thread("roost-tls-listen") { () throws(HostError) in
            do throws(SystemError) {
                return try Listener(on: .tcp(host: host, port: number))
            } catch {
                let why =
                    error.kind == .address ? "no such host" : error.errno.map { "\($0)" } ?? ""
                throw HostError(
                    .connection, errno: error.errno,
                    "cannot listen on \(host):\(port): \(why); give an address of this host and a "
                        + "port that is free")
            }
        }.get()
        let (arrivals, arrived) = AsyncStream.makeStream(
            of: Arrival.self, bufferingPolicy: .bufferingOldest(waitingLimit))
        let failure = DedicatedThread.start(name: "roost-tls-accept") {
            Self.welcome(listener, identity, linkTimeout, stop, arrived)
            arrived.finish()
        }
        if let failure {
            throw HostError(.connection, errno: failure.errno, failure.description)
        }
        return TLSListener(listener, stop, arrivals)
    }

    private init(
        _ listener: Listener, _ stop: StopSignal, _ arrivals: AsyncStream<Arrival>
    ) {
        self.listener = listener
        self.stop = stop
        self.arrivals = arrivals
        port =
            if case .tcp(_, let port) = listener.endpoint { Int(port) } else { 0 }
    }

    deinit {
        listener.stop()
        stop.raise()
    }

    /// Accepts until the listener is stopped; each handshake has a thread of its own.
    private static func welcome(
        _ listener: Listener, _ identity: TLSIdentity, _ linkTimeout: Duration, _ stop: StopSignal,
        _ arrived: AsyncStream<Arrival>.Continuation
    ) {
        let underWay = Handshakes()
        while true {
            let socket: StreamSocket
            do throws(SystemError) {
                socket = try listener.accept()
            } catch {
                guard error.kind != .cancelled else { return }
                arrived.yield(
                    .failure(HostError(.connection, errno: error.errno, error.description)))
                // Out of descriptors, for one: it may pass.
                if stop.wait(within: .milliseconds(100)) { return }
                continue
            }
            socket.setLinkTimeout(linkTimeout)
            // One that says nothing keeps nobody out.
            guard let place = try? StopSignal() else { continue }
            underWay.enter(place, below: handshakeLimit)
            let explain = HandshakeFailure(
                peer: socket.peerAddress ?? "a client", host: nil,
                authorityPath: identity.authorityPath, own: identity.leaf)
            let failure = DedicatedThread.start(name: "roost-tls-hello") {
                let outcome: Arrival
                do throws(HostError) {
                    outcome = .success(
                        try TLSBridge.establish(over: socket, explain, place) {
                            () throws(TLSFault) in
                            try TLSSession.server(identity.context, over: socket.descriptor)
                        })
                } catch {
                    outcome = .failure(error)
                }
                // One whose place was taken is not told of: there would be one for each.
                if underWay.leave(place) { arrived.yield(outcome) }
            }
            if failure != nil { _ = underWay.leave(place) }
        }
    }

    /// What ends the handshakes under way, the oldest first.
    private final class Handshakes: Sendable {
        private let stops = Mutex<[StopSignal]>([])

        func enter(_ stop: StopSignal, below limit: Int) {
            stops.withLock { stops in
                if stops.count >= limit { stops.removeFirst().raise() }
                stops.append(stop)
            }
        }

        /// Whether it was still there.
        func leave(_ stop: StopSignal) -> Bool {
            stops.withLock { stops in
                guard let index = stops.firstIndex(where: { $0 === stop }) else { return false }
                stops.remove(at: index)
                return true
            }
        }
    }

    /// The next client whose handshake has ended.
    ///
    /// A client that is refused does not end the listening: call again for the next. One that is
    /// slow does not keep others waiting. Cancelling the task ends the listener.
    ///
    /// - Returns: A bridge over the established connection.
    /// - Throws: `HostError` of kind `verification`, `refused` or `connection` for a client that
    ///   failed; of kind `cancelled` when the listener was closed.
    public func accept() async throws(HostError) -> TLSBridge {
        for await arrival in arrivals {
            return try arrival.get()
        }
        throw HostError(.cancelled, "no longer listening for TLS connections")
    }

    /// Stops listening; bridges that were accepted go on.
    public func close() async {
        listener.stop()
        stop.raise()
    }
}
