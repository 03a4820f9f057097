internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// A connection whose other side has said HELLO and what it is for.
final class ArrivedLink: Sendable {
    let purpose: WireFormat.Purpose
    let session: MoveSession
    let token: MoveSession
    private let link: Mutex<WireLink?>

    init(
        _ purpose: WireFormat.Purpose, _ session: MoveSession, _ token: MoveSession,
        _ link: consuming WireLink
    ) {
        self.purpose = purpose
        self.session = session
        self.token = token
        self.link = Mutex(link)
    }

    /// Gives the link away, once.
    func take() -> WireLink? { link.withLock { $0.take() } }

    /// Says one thing, hears the other side out, and closes; blocking.
    func end(within limit: Duration, _ body: (inout FrameWriter) -> Void) {
        guard var link = take() else { return }
        body(&link.writer)
        link.sayLast(within: limit)
    }
}

extension WireLink {
    /// Sends what was written, reads what still comes to its end, and closes; blocking.
    mutating func sayLast(within limit: Duration) {
        let deadline = ContinuousClock.now + limit
        deafen()
        drain()
        while let socket = wire?.socket, end == nil, ContinuousClock.now < deadline {
            drain()
            endSending()
            var readiness: StreamSocket.Readiness = .input
            if wantsOutput { readiness.insert(.output) }
            guard !socket.wait(for: readiness, until: deadline).isEmpty else { break }
            // With nothing to send only input can have ended the wait.
            if !wantsOutput || !socket.wait(for: .input, until: .now).isEmpty { fill() }
        }
        close()
    }

    /// Says HELLO and waits until the other side has said that, and what it comes for; blocking.
    ///
    /// - Parameters:
    ///   - deadline: When to stop waiting.
    ///   - stop: Ends the wait when raised.
    /// - Returns: What it comes for.
    /// - Throws: `MigrationError`: what is wrong with whoever connected.
    mutating func greet(
        until deadline: ContinuousClock.Instant, unless stop: StopSignal?
    ) throws(MigrationError) -> (WireFormat.Purpose, MoveSession, MoveSession) {
        writer.hello()
        drain()
        while true {
            while let frame = try reader.next() {
                switch frame.kind {
                case .hello, .beat: continue
                case .open:
                    guard let opened = opening(in: frame) else { throw Self.stranger }
                    return opened
                case .failed:
                    throw MigrationError(
                        .peer, "the sending side says: \(reader.text(of: frame))")
                default: throw Self.stranger
                }
            }
            let ready = wire?.socket.wait(for: .input, unless: stop, until: deadline) ?? []
            if stop?.isRaised == true {
                throw MigrationError(.cancelled, "the receiving side was told to stop")
            }
            guard !ready.isEmpty else {
                throw MigrationError(
                    .timeout,
                    "whoever is at the other end of the connection is silent: connect roost "
                        + "migrate relay with roost migrate receive")
            }
            fill()
            switch end {
            case .closed:
                throw MigrationError(
                    .peer,
                    "whoever connected went away without a word: connect roost migrate relay here")
            case .broken(let errno):
                throw MigrationError(
                    .transfer, errno: errno, "the connection of whoever connected broke: \(errno)")
            case .silent, nil: break
            }
        }
    }

    private func opening(
        in frame: FrameReader.Frame
    ) -> (WireFormat.Purpose, MoveSession, MoveSession)? {
        var cursor = SpanCursor(reader.input.bytes.extracting(frame.payload))
        guard let purpose = cursor.read(UInt8.self).flatMap(WireFormat.Purpose.init),
            let session = MoveSession(&cursor), let token = MoveSession(&cursor)
        else { return nil }
        return (purpose, session, token)
    }

    private static var stranger: MigrationError {
        MigrationError(
            .peer, "whoever connected does not say what for: connect roost migrate relay here")
    }
}

/// Greets whoever connects, so that a move gets the one it waits for whatever else comes.
///
/// Each connection is greeted on a thread of its own. Any number may be silent, wrong or gone: so
/// many wait at a time, the oldest gives way, and none for longer than the limit.
package final class MoveListener: Sendable {
    /// How many may be greeted at a time.
    static let greetingCount = 16
    /// How long one may take to say what it is.
    static let greetingLimit = Duration.seconds(10)

    private let accept: @Sendable () async throws -> WireSocket
    private let refused: @Sendable (String) -> Void
    private let greetings = Mutex<[StopSignal]>([])

    /// Makes a listener.
    ///
    /// - Parameters:
    ///   - accept: Waits for the next connection; throws when no more will come.
    ///   - refused: Is told in a sentence who was turned away.
    package init(
        accept: @escaping @Sendable () async throws -> WireSocket,
        refused: @escaping @Sendable (String) -> Void
    ) {
        self.accept = accept
        self.refused = refused
    }

    /// Greets until the task is cancelled or no more connections come.
    ///
    /// - Parameters:
    ///   - timeout: How long a link may be silent.
    ///   - welcome: Is given each that said what it is for, on a thread of its own.
    /// - Throws: What accepting throws, other than by a cancellation.
    func run(
        timeout: Duration, _ welcome: @escaping @Sendable (ArrivedLink) -> Void
    ) async throws {
        defer { greetings.withLock { all in for one in all { one.raise() } } }
        while !Task.isCancelled {
            let wire = try await accept()
            guard let place = enter() else {
                wire.socket.shutdown(.both)
                continue
            }
            let failure = DedicatedThread.start(name: "roost-greet") {
                defer { self.leave(place) }
                var link = WireLink(wire, timeout: timeout, hasWindow: false)
                do throws(MigrationError) {
                    let (purpose, session, token) = try link.greet(
                        until: .now + Self.greetingLimit, unless: place)
                    welcome(ArrivedLink(purpose, session, token, link))
                } catch {
                    // One whose place was taken is not told of: there would be one for each.
                    if error.kind != .cancelled { self.refused("\(error); waiting on") }
                    link.writer.failed(error.description)
                    link.sayLast(within: .seconds(1))
                }
            }
            if failure != nil {
                leave(place)
                wire.socket.shutdown(.both)
            }
        }
    }

    private func enter() -> StopSignal? {
        guard let place = try? StopSignal() else { return nil }
        greetings.withLock { greetings in
            if greetings.count >= Self.greetingCount { greetings.removeFirst().raise() }
            greetings.append(place)
        }
        return place
    }

    private func leave(_ place: StopSignal) {
        greetings.withLock { $0.removeAll { $0 === place } }
    }
}
