internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// The destination's answers, what is lost, and the end.
extension ReceiverEngine {
    /// Takes the destination's answers.
    mutating func hearDestination() {
        guard isDestinationReady, let destination else { return }
        isDestinationReady = false
        var input = ByteQueue(capacity: WireFormat.answerLimit)
        do throws(Errno) {
            guard try input.fill(from: destination.descriptor) > 0 else { return closed(nil) }
        } catch {
            // A QEMU that exits with bytes unread resets the connection.
            return closed(error)
        }
        var passing = ByteQueue(capacity: 2 * WireFormat.answerLimit)
        var isAnswered = false
        let isSound = Self.follow(input.bytes, &returnPath, ping, &passing, &isAnswered)
        guard isSound else {
            return fail(MigrationError(.peer, "the destination QEMU answers nonsense"))
        }
        // The source knows no PING but its own, and the last word is not for it.
        if assembler.opensReturnPath, !passing.isEmpty, !owner.isOver, !owner.isHandingOn {
            link.writer.frame(.answer, passing.bytes)
        }
        if isAnswered {
            isLoaded = true
            checkLoaded()
        }
        if let verdict = returnPath.verdict { hear(verdict) }
    }

    private static func follow(
        _ bytes: RawSpan, _ returnPath: inout ReturnPath, _ ping: UInt32?,
        _ passing: inout ByteQueue, _ isAnswered: inout Bool
    ) -> Bool {
        returnPath.follow(bytes) { type, message in
            switch type {
            case ReturnPath.Message.shut: break
            case ReturnPath.Message.pong where isOurs(message, ping): isAnswered = true
            default: passing.append(message)
            }
        }
    }

    private static func isOurs(_ message: RawSpan, _ ping: UInt32?) -> Bool {
        message.byteCount == 8 && message.loadBigEndian(at: 4, as: UInt32.self) == ping
    }

    /// The destination's last word.
    private mutating func hear(_ verdict: UInt32) {
        if verdict == 0, owner.isHandingOn {
            happen(.arrived)
        } else if verdict == 0 {
            fail(
                MigrationError(
                    .peer,
                    "the destination QEMU says that it has the guest before it was given all "
                        + "of it: look whether it runs there"))
        } else {
            note(Self.notTaken(nil))
            happen(.rejected)
        }
    }

    /// The destination ended its connection.
    mutating func closed(_ errno: Errno?) {
        guard !owner.isOver, sink == nil else {
            // Why the file's thread cannot go on it says itself.
            outbound.removeAll()
            assembler.writer.output.removeAll()
            destination = nil
            return
        }
        if owner.isHandingOn {
            // A mark that has not left was not read by anybody.
            guard let markPosition, streamByteCount > markPosition else {
                note(Self.closedEarly(errno))
                return happen(.rejected)
            }
            note(
                MigrationError(
                    .peer, errno: errno,
                    "the destination QEMU closed the connection without a word after it had been given "
                        + "the guest: look whether it runs there"))
            return happen(.destinationClosed)
        }
        note(assembler.statistics.isPastMemory ? Self.notTaken(errno) : Self.closedEarly(errno))
        happen(.destinationClosed)
    }

    /// The relay says why it gave the move up.
    mutating func explain(_ frame: FrameReader.Frame) {
        let text = link.reader.text(of: frame)
        if failure == nil || isSuspicion {
            failure = MigrationError(.peer, "the sending side says: \(text)")
            isSuspicion = false
        }
        isTold = true
        happen(.heard(.abort))
    }

    /// The connection to the relay is gone.
    mutating func lose(_ end: WireLink.End) {
        let fault = link.wire?.fault()
        // One that sends no more may still read.
        defer {
            link.drain()
            link.close()
        }
        guard !owner.isOver else {
            // It has read the last word, or comes back for it.
            deadline = .now + lateness
            return
        }
        if owner.stage == .loading { note(Self.lost(end, fault), isSuspicion: true) }
        happen(.linkLost)
        guard !owner.isOver else {
            deadline = .now + lateness
            return
        }
        guard receiver.canComeBack else {
            // What was handed on is seen to its end; what was not is given back.
            fail(Self.lost(end, fault))
            if owner.isOver { deadline = .now }
            return
        }
        holdDeadline = .now + Self.holdLimit
    }

    /// Tells others how far the move is.
    mutating func publish() {
        var statistics = assembler.statistics
        statistics.wireBytes = link.reader.takenByteCount
        statistics.streamBytes = streamByteCount
        receiver.state.withLock { state in
            statistics.wireBytes = max(statistics.wireBytes, state.statistics.wireBytes)
            state.statistics = statistics
        }
    }

    // MARK: The end

    /// Whether there is nothing more to say or to hear.
    var isFinished: Bool {
        guard !isHalted else { return true }
        guard owner.isOver, let deadline else { return false }
        return ContinuousClock.now >= deadline
    }

    /// Closes everything.
    mutating func finish() {
        publish()
        closeDestination()
        link.close()
        let (journal, wantsMemory) = (journal, receiver.options.dumpFolder != nil)
        receiver.state.withLock { $0.journal = journal }
        if wantsMemory { receiver.keep(assembler.takeMemory()) }
    }

    /// What the move came to.
    func report() throws(MigrationError) {
        if isHalted || owner.place == .notKnown {
            throw Whereabouts(place: .notKnown, session: session, isKept: journal != nil).error(
                failure ?? MigrationError(.peer, "the move is not complete"))
        }
        guard owner.place != .destination else { return }
        throw failure ?? MigrationError(.peer, "the move was given up; nothing of it was started")
    }

    // MARK: Errors

    static func unexpected(_ frame: FrameReader.Frame) -> MigrationError {
        StreamAssembler.unexpected(frame.kind)
    }

    static var differs: MigrationError {
        MigrationError(
            .mismatch,
            "the memory that arrived is not the source's: look at the memory of both hosts, and move "
                + "the guest again")
    }

    static var cutShort: MigrationError {
        MigrationError(
            .peer,
            "the sending relay was started again before the stream was whole; nothing of it was started"
        )
    }

    private static func closedEarly(_ errno: Errno?) -> MigrationError {
        MigrationError(
            .transfer, errno: errno,
            "the destination QEMU closed the connection before it had the whole stream; its standard "
                + "error says why" + (errno.map { ": \($0)" } ?? ""))
    }

    private static func notTaken(_ errno: Errno?) -> MigrationError {
        MigrationError(
            .peer, errno: errno,
            "the destination QEMU did not take the guest; its standard error says why")
    }

    private static func lost(_ end: WireLink.End, _ fault: String?) -> MigrationError {
        let tls = fault.map { "; TLS: \($0)" } ?? ""
        switch end {
        case .closed:
            return MigrationError(
                .peer,
                "the sending relay went away before the stream was whole; nothing of it was "
                    + "started\(tls)")
        case .broken(let errno):
            return MigrationError(
                .transfer, errno: errno,
                "the connection between the two relays broke: \(errno); nothing of it was "
                    + "started\(tls)")
        case .silent:
            return MigrationError(
                .timeout,
                "the other side has not been heard of for longer than --link-timeout: see that its "
                    + "host and the network between are up; nothing of it was started\(tls)")
        }
    }
}

extension MigrationReceiver {
    /// Whether a relay that lost its connection can come back.
    var canComeBack: Bool { if case .listener = entrance { true } else { false } }

    /// Keeps the memory of a move that is over, to be written out.
    func keep(_ memory: consuming GuestMemory?) {
        var memory = memory
        self.memory.withLock { $0 = memory.take() }
    }
}
