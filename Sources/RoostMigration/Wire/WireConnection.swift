internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// One end of the wire.
///
/// Frames go out under a lock, since two threads of a receiver send them. No call blocks for
/// longer than the move lasts: once its ``MoveEnding`` is over, there is a limited time for what
/// is still to be said and heard. That the connection broke is noted there as a suspicion only,
/// since the other side's last frame may tell why.
final class WireConnection: Sendable {
    let socket: StreamSocket
    private let ending: MoveEnding
    private let writer: Mutex<FrameWriter>
    /// Whether the other side has said HELLO, and so is what it should be.
    private let isGreeted = Atomic<Bool>(false)

    init(_ socket: StreamSocket, _ ending: MoveEnding) {
        self.socket = socket
        self.ending = ending
        writer = Mutex(FrameWriter())
    }

    // MARK: Sending

    /// Writes frames and sends them.
    ///
    /// - Parameter body: Writes to the frame writer.
    /// - Throws: `MigrationError` of kind `transfer`.
    func send(_ body: (inout FrameWriter) -> Void) throws(MigrationError) {
        try writer.withLock { writer throws(MigrationError) in
            body(&writer)
            try flush(&writer)
        }
    }

    /// Sends what a writer holds.
    ///
    /// A frame that was begun is completed also when the move ends meanwhile, so that the reason
    /// can follow it.
    func flush(_ writer: inout FrameWriter) throws(MigrationError) {
        writer.close()
        while !writer.output.isEmpty {
            let sent: Int
            do throws(Errno) {
                sent = try socket.sendNow(writer.output.bytes)
            } catch {
                throw broke(error)
            }
            writer.output.removeFirst(sent)
            guard sent == 0 else { continue }
            guard ending.waitToEnd(for: .output, of: socket) else { throw broke(.timedOut) }
        }
    }

    /// Waits until a socket takes bytes.
    ///
    /// - Throws: What ended the move, or `MigrationError` of kind `peer` when the other side has
    ///   closed the wire, so that nothing it said before is of use.
    func waitForOutput(of other: StreamSocket) throws(MigrationError) {
        let ready = ending.wait(for: .output, of: other, or: (socket, .end))
        try ending.check()
        guard ready == .other else { return }
        ending.suspect(
            MigrationError(
                .peer,
                "the other relay went away before the move was complete: see its own message"))
        try ending.check()
    }

    private func broke(_ errno: Errno) -> MigrationError {
        let advice =
            isGreeted.load(ordering: .acquiring)
            ? "see the other side's message" : MigrationRelay.strangerAdvice
        let failure = MigrationError(
            .transfer, errno: errno,
            "the connection between the two relays broke: \(errno); \(advice)")
        ending.suspect(failure)
        return failure
    }

    // MARK: Receiving

    /// What a wait for bytes came to.
    enum Arrival {
        /// Bytes are in the reader's input.
        case bytes
        /// The other side sends no more.
        case end
        /// The other socket has room, or time is over.
        case nothing
    }

    /// Reads what has come, waiting for it.
    ///
    /// - Parameters:
    ///   - reader: Whose input is filled.
    ///   - other: A socket whose room for output ends the wait too.
    ///   - deadline: When to stop waiting.
    /// - Returns: What came.
    /// - Throws: `MigrationError` of kind `transfer`, or what ended the move.
    func fill(
        _ reader: inout FrameReader, orOutputOf other: StreamSocket? = nil,
        until deadline: ContinuousClock.Instant? = nil
    ) throws(MigrationError) -> Arrival {
        let ready = ending.wait(
            for: .input, of: socket, or: other.map { ($0, .output) }, until: deadline)
        try ending.check()
        guard ready.contains(.this) else { return ending.isOver ? .end : .nothing }
        return try read(&reader)
    }

    private func read(_ reader: inout FrameReader) throws(MigrationError) -> Arrival {
        do throws(Errno) {
            return try reader.input.fill(from: socket.descriptor) > 0 ? .bytes : .end
        } catch {
            throw broke(error)
        }
    }

    /// Reads until a whole frame is there.
    ///
    /// - Parameter reader: Keeps what was read.
    /// - Returns: The frame, or `nil` when the other side sends no more or the move is complete.
    /// - Throws: `MigrationError` of kind `transfer` or `peer`, or what ended the move.
    func receive(_ reader: inout FrameReader) throws(MigrationError) -> FrameReader.Frame? {
        while true {
            if let frame = try reader.next() { return frame }
            guard try fill(&reader) == .bytes else { return nil }
        }
    }

    /// Reads the first frames, which must come within a time.
    ///
    /// - Throws: As ``receive(_:)``, and `timeout`.
    func receive(
        _ reader: inout FrameReader, until deadline: ContinuousClock.Instant
    ) throws(MigrationError) -> FrameReader.Frame? {
        while true {
            if let frame = try reader.next() {
                isGreeted.store(reader.isGreeted, ordering: .releasing)
                return frame
            }
            switch try fill(&reader, until: deadline) {
            case .bytes: break
            case .end: return nil
            case .nothing:
                throw MigrationError(
                    .timeout,
                    "whoever is at the other end of the connection is silent: connect roost "
                        + "migrate relay with roost migrate receive")
            }
        }
    }

    // MARK: Ending

    /// Sends no more, and reads what the other side still says, to its end.
    ///
    /// As long as a side reads, the other one can send its last frame, and bytes that lie unread
    /// do not reset the connection under it. It takes no longer than the ending allows.
    ///
    /// - Returns: The sentence of FAILED, where one came.
    func close(_ reader: inout FrameReader) -> String? {
        socket.shutdown(.writing)
        defer { socket.shutdown(.both) }
        var sentence: String?
        var isWire = true
        while true {
            do throws(MigrationError) {
                while isWire, let frame = try reader.next() {
                    if frame.kind == .failed { sentence = sentence ?? reader.text(of: frame) }
                }
            } catch {
                isWire = false
            }
            if !isWire { reader.input.removeAll() }
            guard ending.waitToEnd(for: .input, of: socket), (try? read(&reader)) == .bytes else {
                return sentence
            }
        }
    }
}
