internal import RoostSystem
internal import Synchronization
public import SystemPackage

/// A TLS 1.3 connection, given to an engine as a plain connected socket.
///
/// Engines block on descriptors and know nothing of TLS. The bridge owns the TCP connection and
/// gives the engine one end of a pair of unix sockets; bytes are copied both ways, no faster than
/// they are taken. Both sides show a certificate and verify the other's.
///
///     let bridge = try await TLSBridge.connect(host: "b.example", port: 4444, identity: identity)
///     … an engine reads and writes bridge.descriptor on a thread of its own …
///     await bridge.close()
///     if let failure = bridge.failure { … }
///
/// The end of input travels both ways as a half close: `shutdown(SHUT_WR)` by the engine becomes
/// TLS's closing message, and the peer's becomes the end of the engine's input. Any other end of
/// the connection is told to the engine as a reset (`ECONNRESET` on reading, `EPIPE` on writing),
/// after ``failure`` was set. The exception is an engine that has ended its own sending: it reads
/// an end of input, so whoever waits for an answer then asks ``failure`` before believing it.
///
/// A client whose certificate the server refuses learns of it on first reading: in TLS 1.3 its
/// handshake is over before the server has looked.
public final class TLSBridge: Sendable {
    /// How long connecting and the handshake may each take: a peer that is silent gives up then.
    static let handshakeLimit = Duration.seconds(10)
    /// How long ``close()`` waits for what is on its way and for the peer's own closing.
    static let closeLimit = Duration.seconds(5)

    private let end: EngineEnd
    /// Ends the copying at once.
    private let stop: StopSignal
    /// Raised when the copying has ended.
    private let ended: StopSignal

    /// The engine's end: a connected stream socket that blocks.
    ///
    /// The bridge owns it, until ``close()``; an engine ends its sending by `shutdown(2)`, and
    /// does not close it. A process that writes to it ignores `SIGPIPE`.
    public var descriptor: SystemPackage.FileDescriptor { end.descriptor }

    /// Why the connection broke; `nil` while it works and after it ended as it should.
    public var failure: HostError? { end.failure }

    /// Connects to a TLS server and verifies its certificate and name.
    ///
    /// Cancelling the task ends the handshake.
    ///
    /// - Parameters:
    ///   - host: The peer's name or address, which its certificate must carry.
    ///   - port: The peer's TCP port.
    ///   - identity: Who we are, and whom we trust.
    ///   - linkTimeout: After how long a peer that takes no bytes counts as gone.
    /// - Returns: A bridge over the established connection.
    /// - Throws: `HostError` of kind `connection`, `verification` or `refused`.
    public static func connect(
        host: String, port: Int, identity: TLSIdentity, linkTimeout: Duration = .seconds(10)
    ) async throws(HostError) -> TLSBridge {
        guard let number = UInt16(exactly: port), number > 0 else {
            throw HostError(
                .connection, "cannot connect to \(host):\(port): ports have the numbers 1 to 65535")
        }
        let stop = try stopSignal()
        let outcome = await withTaskCancellationHandler {
            await thread("roost-tls-hello") { () throws(HostError) in
                let socket = try dial(host, number)
                socket.setLinkTimeout(linkTimeout)
                let explain = HandshakeFailure(
                    peer: "\(host):\(port)", host: host, authorityPath: identity.authorityPath,
                    own: identity.leaf)
                return try establish(over: socket, explain, stop) { () throws(TLSFault) in
                    try TLSSession.client(identity.context, over: socket.descriptor, to: host)
                }
            }
        } onCancel: {
            stop.raise()
        }
        return try outcome.get()
    }

    private static func dial(_ host: String, _ port: UInt16) throws(HostError) -> StreamSocket {
        do throws(SystemError) {
            return try StreamSocket.connect(
                to: .tcp(host: host, port: port), timeout: handshakeLimit)
        } catch {
            let why =
                error.kind == .address
                ? "no such host" : error.errno.map { "\($0)" } ?? "no answer"
            throw HostError(
                .connection, errno: error.errno,
                "cannot connect to \(host):\(port): \(why); check the name and port, and that the "
                    + "peer is listening")
        }
    }

    /// Makes a TCP connection a TLS one, and joins it to a new pair of sockets; blocks.
    ///
    /// - Parameters:
    ///   - socket: The connection.
    ///   - explain: Says why it cannot be.
    ///   - stop: Gives up when raised; from then on the bridge's.
    ///   - begin: Makes the session of either end.
    /// - Returns: A bridge over the established connection.
    /// - Throws: `HostError`: why there is none.
    static func establish(
        over socket: StreamSocket, _ explain: HandshakeFailure, _ stop: StopSignal,
        _ begin: () throws(TLSFault) -> TLSSession
    ) throws(HostError) -> TLSBridge {
        var established: TLSPump?
        do throws(TLSFault) {
            try? socket.makeNonblocking()
            var pump = TLSPump(socket, try begin())
            if try pump.shakeHands(until: .now + handshakeLimit, unless: stop) {
                established = consume pump
            }
        } catch {
            throw explain.error(for: error)
        }
        if let pump = established.take() { return try TLSBridge(pump, explain, stop) }
        throw stop.isRaised
            ? HostError(.cancelled, "stopped connecting to \(explain.peer)")
            : HostError(
                .connection,
                "\(explain.peer) did not finish the TLS handshake in 10 seconds: check that "
                    + "it is a TLS port and that the host is not overloaded")
    }

    private init(
        _ pump: consuming TLSPump, _ explain: HandshakeFailure, _ stop: StopSignal
    ) throws(HostError) {
        let ended = try Self.stopSignal()
        let engine: StreamSocket
        do throws(Errno) {
            let (end, ours) = try EngineEnd.makePair()
            engine = StreamSocket(OwnedDescriptor(ours))
            try engine.makeNonblocking()
            self.end = end
        } catch {
            throw Self.shortage(error)
        }
        self.stop = stop
        self.ended = ended
        let waiting = Mutex<TLSPump?>(pump)
        let failure = DedicatedThread.start(name: "roost-tls") { [end] in
            defer { ended.raise() }
            guard var pump = waiting.withLock({ $0.take() }) else { return }
            do throws(TLSFault) {
                try pump.run(with: engine, until: stop)
            } catch {
                // Before the engine's socket is closed, so that its end is a reset.
                end.fail(explain.interruption(by: error))
            }
        }
        if let failure {
            throw HostError(.connection, errno: failure.errno, failure.description)
        }
    }

    deinit {
        end.close()
        stop.raise()
    }

    /// Ends the connection and closes ``descriptor``, which the engine no longer uses.
    ///
    /// What the engine wrote is sent first. Waits at most five seconds for that and for the peer
    /// to close too; ``failure`` says so where it did not.
    public func close() async {
        end.endSending()
        let (end, stop, ended) = (end, stop, ended)
        _ = await Self.thread("roost-tls-close") { () throws(HostError) in
            if !ended.wait(within: Self.closeLimit) {
                end.fail(
                    HostError(
                        .interrupted,
                        "the peer did not close the connection within 5 seconds of this host, so "
                            + "what was sent last may not have arrived: check the peer"))
                stop.raise()
                _ = ended.wait()
            }
            end.close()
        }
    }

    /// Runs what blocks on a thread of its own.
    static func thread<Value: Sendable>(
        _ name: String, _ body: @Sendable @escaping () throws(HostError) -> Value
    ) async -> Result<Value, HostError> {
        do throws(SystemError) {
            return try await DedicatedThread.result(name: name, body)
        } catch {
            return .failure(HostError(.connection, errno: error.errno, error.description))
        }
    }

    static func stopSignal() throws(HostError) -> StopSignal {
        do throws(Errno) {
            return try StopSignal()
        } catch {
            throw shortage(error)
        }
    }

    private static func shortage(_ errno: Errno) -> HostError {
        HostError(
            .connection, errno: errno,
            "cannot make a TLS connection: \(errno)"
                + (errno == .tooManyOpenFiles ? "; raise the limit on open files (ulimit -n)" : ""))
    }
}
