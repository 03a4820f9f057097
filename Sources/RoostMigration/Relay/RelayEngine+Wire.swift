internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// The wire: what the receiver says, and what is said to it.
extension RelayEngine {
    /// Says HELLO and what this connection is for.
    mutating func greet(_ purpose: WireFormat.Purpose) {
        forwarder.link.writer.hello()
        forwarder.link.writer.open(purpose, session, token)
        greeting = .waiting(until: .now + Self.greetingLimit)
    }

    /// Takes over a connection that was asked for again.
    mutating func connect(_ wire: WireSocket) {
        guard askDeadline != nil else { return wire.socket.shutdown(.both) }
        let link = WireLink(wire, timeout: relay.options.linkTimeout, hasWindow: true)
        forwarder.link = consume link
        greet(.comeBack)
    }

    /// Sends what there is to send, to both sides.
    mutating func say() {
        sendAnswers()
        forwarder.link.beat()
        forwarder.link.drain()
        // As long as a side reads on, the other one can send its last frame, and bytes that lie unread
        // do not reset the connection under it.
        if owner.isOver { forwarder.link.endSending() }
    }

    /// Takes every frame that has come, and notices when no more will.
    mutating func hearWire() {
        do throws(MigrationError) {
            while !forwarder.link.isDeaf, try takeFrame() {}
        } catch {
            forwarder.link.deafen()
            // What the receiver means is not known any more; what it did can be asked for.
            guard owner.stage == .sending else { return lose(error) }
            fail(error)
        }
        forwarder.link.checkSilence(isReading: true)
        if case .absent = greeting { return }
        guard let end = forwarder.link.end else { return }
        lose(Self.lost(end, isGreeted: isGreeted, forwarder.link.wire?.fault()))
    }

    private var isGreeted: Bool { if case .done = greeting { true } else { false } }

    /// Notes that the connection is of no more use.
    mutating func lose(_ error: MigrationError) {
        greeting = .absent
        if owner.isOver {
            deadline = .now
        } else {
            note(error, isSuspicion: true)
            happen(.linkLost)
            // One that sends no more may still read.
            forwarder.link.drain()
        }
        forwarder.link.mute()
    }

    /// Takes the next frame.
    ///
    /// - Returns: Whether there was one.
    private mutating func takeFrame() throws(MigrationError) -> Bool {
        guard let frame = try forwarder.link.reader.next() else { return false }
        // Of a move that is over only its reason is of use, and what was under way is no fault.
        if owner.isOver, !owner.isRestarted, frame.kind != .failed { return true }
        switch frame.kind {
        case .hello, .beat: break
        case .ready:
            guard case .waiting = greeting, owner.stage == .sending else {
                throw Self.unexpected(frame)
            }
            greeting = .done
        case .acknowledge: try acknowledge(frame)
        case .answer: try answer(frame)
        case .digests: try compare(frame)
        case .failed: explain(frame)
        case .prepared:
            guard let length = forwarder.link.number(in: frame), owner.expectsPrepared else {
                throw Self.unexpected(frame)
            }
            greeting = .done
            happen(.heard(.prepared(length)))
        case .started:
            guard owner.expectsOutcome else { throw Self.unexpected(frame) }
            greeting = .done
            // That it is known here, the receiver need not be asked again.
            forwarder.link.writer.frame(.started)
            happen(.heard(.started))
        case .unknown:
            guard owner.expectsOutcome else { throw Self.unexpected(frame) }
            greeting = .done
            note(Self.unknownThere)
            happen(.heard(.unknown))
        case .begin, .configuration, .section, .blocks, .pages, .opaque, .endOfRecords,
            .endOfSection, .command, .end, .open, .commit:
            throw Self.unexpected(frame)
        }
        return true
    }

    private mutating func acknowledge(_ frame: FrameReader.Frame) throws(MigrationError) {
        guard let (sequence, isTrue) = forwarder.link.takeAcknowledgement(frame), isTrue else {
            throw Self.unexpected(frame)
        }
        relay.state.withLock { state in
            let known = state.statistics.acknowledgedFrames
            state.statistics.acknowledgedFrames = max(known, sequence + 1)
        }
    }

    private mutating func answer(_ frame: FrameReader.Frame) throws(MigrationError) {
        // The destination's last word is for the receiver alone.
        guard owner.opensReturnPath, owner.stage == .sending,
            try forwarder.link.forward(frame, to: &answers)
        else { throw Self.unexpected(frame) }
    }

    /// The receiver says why it cannot go on, and that nothing was started.
    private mutating func explain(_ frame: FrameReader.Frame) {
        let text = forwarder.link.reader.text(of: frame)
        greeting = .done
        if failure == nil || isSuspicion {
            failure = MigrationError(.peer, "the receiving side says: \(text)")
            isSuspicion = false
        }
        isTold = true
        happen(.heard(.refused))
    }

    private mutating func compare(_ frame: FrameReader.Frame) throws(MigrationError) {
        guard let difference = try forwarder.difference(in: frame) else { return }
        fail(
            MigrationError(
                .mismatch, block: difference.block, blockOffset: difference.offset,
                "the receiver's memory is not the source's: block \(difference.block), "
                    + "\(difference.byteCount) bytes from 0x\(hex(difference.offset)) differ; look "
                    + "at the memory of both hosts, and move the guest again"))
    }

    // MARK: Errors

    static func unexpected(_ frame: FrameReader.Frame) -> MigrationError {
        MigrationError(
            .peer,
            "the receiving side sent a frame (\(frame.kind)) that is damaged or out of place")
    }

    /// What to look at where the other side has not even said HELLO.
    private static let strangerAdvice =
        "see the other side's message; it may be no roost migrate receive, or want TLS where this "
        + "side has none (--tls-certificate, --tls-key, --tls-authority)"

    /// Why a connection is gone, in a sentence.
    static func lost(
        _ end: WireLink.End, isGreeted: Bool, _ fault: String?
    ) -> MigrationError {
        let tls = fault.map { "; TLS: \($0)" } ?? ""
        switch end {
        case .closed where isGreeted:
            return MigrationError(
                .peer,
                "the receiving relay went away before the move was complete: see the other side's "
                    + "message\(tls)")
        case .closed:
            return MigrationError(
                .peer,
                "the other side closed the connection before it said anything: "
                    + "\(strangerAdvice)\(tls)")
        case .broken(let errno):
            return MigrationError(
                .transfer, errno: errno,
                "the connection between the two relays broke: \(errno); "
                    + (isGreeted ? "see the other side's message" : strangerAdvice) + tls)
        case .silent:
            return MigrationError(
                .timeout,
                "the other side has not been heard of for longer than --link-timeout: see that its "
                    + "host and the network between are up\(tls)")
        }
    }

    private static var unknownThere: MigrationError {
        MigrationError(
            .peer, "the receiver does not know what became of the guest at the destination")
    }
}

extension WireLink {
    /// The number that a frame carries.
    func number(in frame: FrameReader.Frame) -> UInt64? {
        var cursor = SpanCursor(reader.input.bytes.extracting(frame.payload))
        return cursor.read(UInt64.self)
    }

    /// Takes an acknowledgement.
    ///
    /// - Returns: Up to which frame, and whether it can be true.
    fileprivate mutating func takeAcknowledgement(
        _ frame: FrameReader.Frame
    ) -> (sequence: UInt64, isTrue: Bool)? {
        let numbers = Self.numbers(reader.input.bytes.extracting(frame.payload))
        guard let (sequence, byteCount) = numbers, sequence < writer.sequence else { return nil }
        return (sequence, acknowledge(byteCount))
    }

    private static func numbers(_ payload: RawSpan) -> (UInt64, UInt64)? {
        var cursor = SpanCursor(payload)
        guard let first = cursor.read(UInt64.self), let second = cursor.read(UInt64.self) else {
            return nil
        }
        return (first, second)
    }

    /// Hands a frame's payload on to the source.
    fileprivate func forward(
        _ frame: FrameReader.Frame, to answers: inout AnswerQueue
    ) throws(MigrationError) -> Bool {
        try answers.take(reader.input.bytes.extracting(frame.payload))
    }
}
