internal import RoostMemory
package import RoostSystem
internal import Synchronization
public import SystemPackage

/// The source's end of a move through Roost: QEMU's stream in, Roost's wire out.
///
/// A failure of either side closes the source's connection before its stream is complete, so that
/// QEMU fails the migration and the guest runs on where it is.
///
///     let relay = MigrationRelay(source: accepted, wire: connected, options: options)
///     let moved = try await relay.run()
///
/// ## Theory of operation
///
/// Two threads carry a move. One reads the stream, keeps the memory and sends frames. The other
/// takes what comes back: acknowledgements, the answers of the destination's QEMU, the end. The
/// second never blocks on anything but its one wait: answers that the source does not read gather
/// up to a limit. So it always reads the wire, the receiver can always write to it, and the two
/// directions cannot wait for each other.
///
/// A source with its return path on lets go of the guest when the destination's SHUT reaches it.
/// From the moment in which that is handed on nothing undoes the move, a cancellation included.
/// A source without one lets go when it has written its last byte: what fails after that leaves
/// the guest standing still there.
///
/// Any thread may call any method.
public final class MigrationRelay: Sendable {
    /// How long whoever is at the other end may take to say HELLO and READY.
    static let greetingLimit = Duration.seconds(30)
    /// The most bytes of answers that wait for the source to read them.
    static let answerLimit = 2 * WireFormat.answerLimit
    /// How long a stream that could be whole is waited on for its description.
    ///
    /// QEMU writes both at once, and nothing in a stream tells whether a description follows.
    static let descriptionLimit = Duration.milliseconds(200)

    struct State {
        var statistics = RelayStatistics()
        var hasRun = false
    }

    let source: StreamSocket
    let wire: WireConnection
    private let options: RelayOptions
    let ending: MoveEnding
    let phase = RelayPhase()
    let state = Mutex(State())
    /// Each is held by one thread for as long as that runs: first the one that greets, then the
    /// one that forwards and the one that takes answers, then the one that ends.
    private let forwarder: Mutex<RelayForwarder>
    let frames = Mutex(FrameReader())

    /// Makes a relay between two connections that it owns from then on.
    ///
    /// - Parameters:
    ///   - source: A connected stream socket that blocks, at whose other end QEMU migrates.
    ///   - wire: A connected stream socket that blocks, at whose other end a
    ///     ``MigrationReceiver`` is.
    ///   - options: The limits.
    public convenience init(
        source: FileDescriptor, wire: FileDescriptor, options: RelayOptions
    ) {
        self.init(
            source: StreamSocket(OwnedDescriptor(source)),
            wire: StreamSocket(OwnedDescriptor(wire)), options: options)
    }

    package convenience init(source: StreamSocket, wire: StreamSocket, options: RelayOptions) {
        self.init(source: source, wire: wire, options: options, grace: MoveEnding.defaultGrace)
    }

    init(source: StreamSocket, wire: StreamSocket, options: RelayOptions, grace: Duration) {
        self.source = source
        self.options = options
        ending = MoveEnding(grace: grace)
        ending.attach(source)
        self.wire = WireConnection(wire, ending)
        forwarder = Mutex(
            RelayForwarder(
                wire: self.wire, phase: phase, maximumRAMByteCount: options.maximumRAMByteCount))
    }

    /// What was moved so far, during the move and after it.
    public var statistics: RelayStatistics { state.withLock { $0.statistics } }

    /// Ends the move: the source's QEMU fails its migration and its guest runs on.
    ///
    /// May be called at any time, before ``run()`` too, and returns at once; ``run()`` then throws
    /// an error of kind `cancelled`. Does nothing to a move that is complete, or of which the
    /// source has been told that it is.
    public func cancel() {
        ending.fail(MigrationError(.cancelled, "the move was cancelled"))
    }

    /// Carries the move from the first byte to the destination's last word.
    ///
    /// Blocking work is done on threads of its own, which have ended when it returns; both
    /// connections are shut then. After a failure the other side is given at most five seconds to
    /// hear the reason. Cancelling the task is ``cancel()``.
    ///
    /// - Returns: What was moved.
    /// - Throws: `MigrationError`: what ended the move first, from either side, and where that
    ///   leaves the guest. An error of kind `transfer` for ``RelayOptions/dumpFolder`` comes after
    ///   the move, which is complete then.
    /// - Precondition: It is called once.
    public func run() async throws(MigrationError) -> RelayStatistics {
        let isFirst = state.withLock { state in
            defer { state.hasRun = true }
            return !state.hasRun
        }
        precondition(isFirst, "a relay carries one move")
        await withTaskCancellationHandler {
            await carry()
        } onCancel: {
            cancel()
        }
        if let failure = ending.failure { throw whereabouts(failure) }
        try await dump()
        return statistics
    }

    private func carry() async {
        if await ending.run("roost-relay", { () throws(MigrationError) in try self.greet() }) {
            async let answers = ending.run("roost-answers") { () throws(MigrationError) in
                try self.takeAnswers()
            }
            _ = await ending.run("roost-relay") { () throws(MigrationError) in try self.forward() }
            _ = await answers
        }
        ending.finish()
        _ = await ending.run("roost-relay") { () throws(MigrationError) in self.end() }
        source.shutdown(.both)
        wire.socket.shutdown(.both)
    }

    /// Says HELLO and waits until the other side has said HELLO and READY.
    private func greet() throws(MigrationError) {
        try ending.checkUsable()
        try ending.check()
        try forwarder.withLock { forwarder throws(MigrationError) in
            try forwarder.hello()
            update(forwarder.statistics)
        }
        let deadline = ContinuousClock.now + Self.greetingLimit
        try frames.withLock { reader throws(MigrationError) in
            while true {
                guard let frame = try wire.receive(&reader, until: deadline) else {
                    return ending.suspect(reader.isGreeted ? Self.goneError : Self.strangerError)
                }
                switch frame.kind {
                case .hello: continue
                case .ready: return
                case .failed: return ending.explain(Self.failure(reader.text(of: frame)))
                default: throw Self.unexpected(frame)
                }
            }
        }
    }

    // MARK: From the source to the destination

    private func forward() throws(MigrationError) {
        try forwarder.withLock { forwarder throws(MigrationError) in
            do throws(MigrationError) {
                try forwardStream(&forwarder)
            } catch {
                update(forwarder.statistics)
                throw error
            }
            update(forwarder.statistics)
        }
        // A move that failed has something more to say.
        if ending.failure == nil { wire.socket.shutdown(.writing) }
    }

    private func forwardStream(_ forwarder: inout RelayForwarder) throws(MigrationError) {
        var reader = StreamReader(maximumRAMByteCount: options.maximumRAMByteCount)
        var input = ByteQueue(capacity: 1 << 20)
        while try fill(&input) {
            guard !phase.isWhole else {
                // QEMU ignores what follows a stream that is whole, and so does this.
                guard forwarder.hasDescription || ending.isSettled else { throw Self.lateError }
                input.removeAll()
                continue
            }
            try reader.consume(input.bytes, into: &forwarder)
            input.removeAll()
            try forwarder.flush()
            update(forwarder.statistics, streamBytes: reader.streamOffset)
            // The source waits for the destination's last answer before it closes.
            if phase.opensReturnPath, reader.isWhole(), !isFollowed(&reader) {
                try ending.check()
                forwarder.hasDescription = reader.hasDescription
                try forwarder.end()
            }
        }
        if !phase.isWhole {
            do throws(MigrationError) {
                _ = try reader.finish()
            } catch {
                throw leftEarly(
                    MigrationError(
                        error.kind, streamOffset: error.streamOffset,
                        "the source QEMU closed the connection early: \(error)"))
            }
            try ending.check()
            try forwarder.end()
        }
    }

    /// Whether more follows a stream that is whole as it stands: its description.
    private func isFollowed(_ reader: inout StreamReader) -> Bool {
        guard !reader.hasDescription else { return false }
        let limit = ContinuousClock.now + Self.descriptionLimit
        return ending.wait(for: .input, of: source, until: limit) == .this
    }

    /// Reads from the source; `false` when it has closed the connection.
    private func fill(_ input: inout ByteQueue) throws(MigrationError) -> Bool {
        let count: Int
        do throws(Errno) {
            count = try input.fill(from: source.descriptor)
        } catch {
            try ending.check()
            // A QEMU that ends with answers unread resets the connection.
            guard error != .connectionReset else { return false }
            throw leftEarly(
                MigrationError(
                    .transfer, errno: error, "the source QEMU's connection broke: \(error)"))
        }
        // What is shut because the move is over says nothing about the source.
        try ending.check()
        return count > 0
    }

    /// Notes that the source left, maybe because of an answer whose reason comes after it.
    private func leftEarly(_ failure: MigrationError) -> MigrationError {
        ending.suspect(failure)
        return failure
    }

    private func update(_ statistics: RelayStatistics, streamBytes: UInt64? = nil) {
        state.withLock { state in
            let kept = state.statistics
            state.statistics = statistics
            state.statistics.acknowledgedFrames = kept.acknowledgedFrames
            state.statistics.streamBytes = streamBytes ?? kept.streamBytes
        }
    }

    // MARK: The end

    /// Tells the other side why this one ended, hears the same from it, and closes.
    private func end() {
        forwarder.withLock { forwarder in
            if let failure = ending.untold {
                try? forwarder.failed(failure.description)
            }
            update(forwarder.statistics)
        }
        let sentence = frames.withLock { wire.close(&$0) }
        if let sentence { ending.explain(Self.failure(sentence)) }
    }

    private func dump() async throws(MigrationError) {
        guard let folder = options.dumpFolder else { return }
        try await MoveEnding.dump(of: "the destination has the guest") {
            () throws(MigrationError) in
            try self.forwarder.withLock { forwarder throws(MigrationError) in
                try forwarder.memory?.dump(to: folder)
            }
        }
    }

    // MARK: Errors

    /// Adds where the guest is.
    private func whereabouts(_ failure: MigrationError) -> MigrationError {
        let place =
            if ending.isSettled {
                "the destination has the guest: see that it does not run at the source too"
            } else if phase.isWhole, !phase.opensReturnPath {
                "the source had sent everything and stands still: continue it (cont) only once it "
                    + "is certain that the destination does not run"
            } else {
                "the guest stays at the source"
            }
        return MigrationError(
            failure.kind, block: failure.block, blockOffset: failure.blockOffset,
            streamOffset: failure.streamOffset, errno: failure.errno, "\(failure); \(place)")
    }

    static var goneError: MigrationError {
        MigrationError(
            .peer,
            "the receiving relay went away before the move was complete: see the other side's "
                + "message")
    }

    /// What to look at where the other side has not even said HELLO.
    static let strangerAdvice =
        "see the other side's message; it may be no roost migrate receive, or want TLS where this "
        + "side has none (--tls-certificate, --tls-key, --tls-authority)"

    private static var strangerError: MigrationError {
        MigrationError(
            .peer, "the other side closed the connection before it said anything: \(strangerAdvice)"
        )
    }

    private static var lateError: MigrationError {
        MigrationError(
            .malformed,
            "the source QEMU stood still at the end of its stream, and then went on: try again")
    }

    static func failure(_ text: String) -> MigrationError {
        MigrationError(.peer, "the receiving side says: \(text)")
    }

    static func unexpected(_ frame: FrameReader.Frame) -> MigrationError {
        MigrationError(
            .peer,
            "the receiving side sent a frame (\(frame.kind)) that is damaged or out of place")
    }
}
