internal import COpenSSL
internal import Glibc
internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// A TLS connection and the engine's socket, between which one thread copies both ways.
///
/// A side is read only when what it said before was taken, so no more than two buffers wait. The end of
/// input travels both ways as a half close.
struct TLSPump: ~Copyable, Sendable {
    /// What is read at a time: some of TLS's records of 16 KiB.
    static let bufferByteCount = 256 << 10

    private let peer: StreamSocket
    private var session: TLSSession

    /// What the peer sent and the engine has not taken yet, and the other way.
    private var inbound = ByteQueue(capacity: bufferByteCount)
    private var outbound = ByteQueue(capacity: bufferByteCount)
    /// Whether the side has ended its sending.
    private var peerEnded = false
    private var engineEnded = false
    /// Whether the end of the one was told to the other.
    private var engineTold = false
    private var peerTold = false
    /// What the session waits for.
    private var wanted: StreamSocket.Readiness = []

    /// Begins a connection.
    ///
    /// - Parameters:
    ///   - peer: The TCP connection.
    ///   - session: TLS over it.
    init(_ peer: StreamSocket, _ session: consuming TLSSession) {
        self.peer = peer
        self.session = session
    }

    /// Makes the connection a TLS one, blocking.
    ///
    /// - Parameters:
    ///   - deadline: When to give up.
    ///   - stop: Gives up when raised.
    /// - Returns: Whether it is one; `false` when time is over or the signal raised.
    /// - Throws: `TLSFault`: why it cannot be one.
    mutating func shakeHands(
        until deadline: ContinuousClock.Instant, unless stop: StopSignal
    ) throws(TLSFault) -> Bool {
        Self.blockBrokenPipes()
        while true {
            let readiness: StreamSocket.Readiness
            switch session.shakeHands() {
            case .done: return true
            case .wantsInput: readiness = .input
            case .wantsOutput: readiness = .output
            case .ended: throw TLSFault()
            case .failed(let fault): throw fault
            }
            guard !peer.wait(for: readiness, unless: stop, until: deadline).isEmpty,
                !stop.isRaised
            else { return false }
        }
    }

    /// Copies both ways until both sides have ended, blocking.
    ///
    /// - Parameters:
    ///   - engine: The bridge's end of the engine's socket, which does not block.
    ///   - stop: Ends it at once when raised.
    /// - Throws: `TLSFault`: what broke the connection to the peer.
    mutating func run(with engine: StreamSocket, until stop: StopSignal) throws(TLSFault) {
        Self.blockBrokenPipes()
        while !stop.isRaised {
            wanted = []
            var moved = try receive()
            guard let taken = give(to: engine), let said = take(from: engine) else { return }
            moved = try send() || taken || said || moved
            if engineTold, peerTold { return }
            guard !moved else { continue }
            var needed: StreamSocket.Readiness = inbound.isEmpty ? [] : .output
            if outbound.isEmpty, !engineEnded { needed.insert(.input) }
            // Whoever is asked for nothing is left out: its end would end every wait at once. Who has
            // nothing to say and nothing to take is noticed when it is asked next.
            if wanted.isEmpty {
                _ = engine.wait(for: needed, unless: stop)
            } else {
                _ = peer.wait(
                    for: wanted, or: needed.isEmpty ? nil : (engine, needed), unless: stop)
            }
        }
    }

    /// Reads what the peer sent.
    ///
    /// - Returns: Whether something came.
    private mutating func receive() throws(TLSFault) -> Bool {
        guard inbound.isEmpty, !peerEnded else { return false }
        switch session.read(into: &inbound) {
        case .done: return true
        case .wantsInput: wanted.insert(.input)
        case .wantsOutput: wanted.insert(.output)
        case .ended:
            peerEnded = true
            return true
        case .failed(let fault): throw fault
        }
        return false
    }

    /// Hands the engine what came.
    ///
    /// - Returns: Whether it took something; `nil` when it closed its end, so that nobody takes more.
    private mutating func give(to engine: StreamSocket) -> Bool? {
        if !inbound.isEmpty {
            guard let sent = try? engine.sendNow(inbound.bytes) else { return nil }
            inbound.removeFirst(sent)
            return sent > 0
        }
        guard peerEnded, !engineTold else { return false }
        engine.shutdown(.writing)
        engineTold = true
        return true
    }

    /// Takes what the engine wrote.
    ///
    /// - Returns: Whether there was something; `nil` when its end is gone.
    private mutating func take(from engine: StreamSocket) -> Bool? {
        guard outbound.isEmpty, !engineEnded else { return false }
        do throws(Errno) {
            engineEnded = try outbound.fill(from: engine.descriptor) == 0
            return true
        } catch {
            return error == .wouldBlock || error == .resourceTemporarilyUnavailable ? false : nil
        }
    }

    /// Sends what the engine wrote, and its end.
    ///
    /// - Returns: Whether something went.
    private mutating func send() throws(TLSFault) -> Bool {
        let step: TLSSession.Step
        if !outbound.isEmpty {
            step = session.write(outbound.bytes)
        } else if engineEnded, !peerTold {
            step = session.endSending()
        } else {
            return false
        }
        switch step {
        case .done(let byteCount):
            if outbound.isEmpty { peerTold = true }
            outbound.removeFirst(byteCount)
            return true
        case .wantsInput: wanted.insert(.input)
        case .wantsOutput: wanted.insert(.output)
        case .ended: throw TLSFault()
        case .failed(let fault):
            // The peer may have said why before it went.
            if fault.errno != nil, inbound.isEmpty, !peerEnded,
                case .failed(let said) = session.read(into: &inbound), said.reason != 0
            {
                throw said
            }
            throw fault
        }
        return false
    }

    /// Has writing to a connection that is gone fail on this thread rather than end the process:
    /// OpenSSL writes by write(2), and the signal is the thread's.
    private static func blockBrokenPipes() {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGPIPE)
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    }
}
