internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// The source: its stream, the answers it is given, and the end.
extension RelayEngine {
    /// Whether the stream can go on.
    var wantsSourceInput: Bool {
        guard !isRead, !owner.hasClosed else { return false }
        // One that was told to let go is still seen to close when the wire is gone.
        guard case .done = greeting else { return owner.stage == .releasing }
        switch owner.stage {
        case .sending, .releasing: return forwarder.hasRoom
        case .released, .committed, .over: return false
        }
    }

    /// Reads the next piece of the stream, where there is one.
    mutating func hearSource() {
        guard isSourceReady, wantsSourceInput, let source else { return }
        isSourceReady = false
        input.removeAll()
        do throws(Errno) {
            guard try input.fill(from: source.descriptor) > 0 else { return endStream() }
        } catch {
            return breakStream(error)
        }
        do throws(MigrationError) {
            try takePiece()
        } catch {
            fail(error)
        }
    }

    private mutating func takePiece() throws(MigrationError) {
        guard let length = try consume() else { return }
        guard owner.opensReturnPath, length != owner.length else { return }
        // The source waits for its answer before it closes, so this may be all of it.
        happen(.whole(length))
    }

    /// Takes a piece of the stream.
    ///
    /// - Returns: The stream's length, where it is whole as it stands.
    private mutating func consume() throws(MigrationError) -> UInt64? {
        guard !reader.hasEnded else { return nil }
        try Self.consume(input, &reader, &forwarder)
        let length = reader.isWhole() ? reader.streamOffset : nil
        owner.opensReturnPath = forwarder.opensReturnPath
        owner.isPastMemory = forwarder.statistics.isPastMemory
        if owner.length != nil, length != owner.length { happen(.more) }
        return length
    }

    private static func consume(
        _ input: borrowing ByteQueue, _ reader: inout StreamReader,
        _ forwarder: inout RelayForwarder
    ) throws(MigrationError) {
        try reader.consume(input.bytes, into: &forwarder)
    }

    /// The source ended its connection in order.
    private mutating func endStream() {
        switch owner.stage {
        case .releasing:
            // One that ends before it was told anything has not let go.
            guard answers.isEmpty else { return breakStream(.connectionReset) }
            happen(.sourceClosed)
        case .sending:
            do throws(MigrationError) {
                let length = try takeEnd()
                guard !owner.opensReturnPath else { return leave(Self.sourceLeft) }
                happen(.whole(length))
                happen(.sourceClosed)
            } catch {
                leave(
                    MigrationError(
                        error.kind, streamOffset: error.streamOffset,
                        "the source QEMU closed the connection early: \(error)"))
            }
        case .released, .committed, .over:
            break
        }
    }

    /// Ends the stream, whose source has closed.
    private mutating func takeEnd() throws(MigrationError) -> UInt64 {
        var last = StreamReader()
        swap(&last, &reader)
        isRead = true
        return try last.finish().streamByteCount
    }

    /// The source's connection broke: one that ends with its answer unread did not let go.
    private mutating func breakStream(_ errno: Errno) {
        guard owner.stage == .releasing else {
            guard errno == .connectionReset, !owner.opensReturnPath else {
                return leave(
                    MigrationError(
                        .transfer, errno: errno, "the source QEMU's connection broke: \(errno)"))
            }
            return endStream()
        }
        note(Self.cancelledAtSource)
        happen(.denied)
    }

    /// Notes that the source left, maybe because of something whose reason comes after it.
    mutating func leave(_ failure: MigrationError) {
        note(failure, isSuspicion: true)
        happen(.sourceClosed)
    }

    /// Sends the source what it has room for.
    mutating func sendAnswers() {
        guard let source, !answers.isEmpty else { return }
        // A source that is gone already would be told nothing by what is written now.
        if owner.stage == .releasing, !owner.hasClosed,
            !source.wait(for: .hangup, until: .now).isEmpty
        {
            answers.clear()
            return breakStream(.connectionReset)
        }
        do throws(Errno) {
            try answers.send(to: source)
        } catch {
            answers.clear()
            guard owner.stage == .releasing, !owner.hasClosed else { return }
            note(Self.cancelledAtSource)
            happen(.denied)
        }
    }

    /// Tells others how far the move is.
    mutating func publish() {
        let streamBytes = isRead ? 0 : reader.streamOffset
        let place = owner.place
        var next = forwarder.statistics
        next.wireBytes = forwarder.link.sentByteCount
        relay.state.withLock { state in
            state.place = place
            next.acknowledgedFrames = state.statistics.acknowledgedFrames
            next.streamBytes = max(streamBytes, state.statistics.streamBytes)
            next.wireBytes = max(next.wireBytes, state.statistics.wireBytes)
            state.statistics = next
        }
    }

    // MARK: The end

    /// Whether there is nothing more to say or to hear.
    var isFinished: Bool {
        if isHalted { return true }
        guard owner.isOver else { return false }
        if let deadline, ContinuousClock.now >= deadline { return true }
        if case .absent = greeting { return askDeadline == nil }
        return false
    }

    /// Closes everything.
    mutating func finish() {
        publish()
        forwarder.link.close()
        source?.shutdown(.both)
        relay.keep(forwarder.takeMemory(), journal)
    }

    /// What the move came to.
    func report() throws(MigrationError) {
        guard owner.place != .destination || isHalted else { return }
        let place = isHalted ? halted : owner.place
        let whereabouts = Whereabouts(place: place, session: session, isKept: journal != nil)
        throw whereabouts.error(failure ?? MigrationError(.peer, "the move is not complete"))
    }

    /// Where the guest is by the last step that could be recorded.
    private var halted: Ownership.Place {
        guard let now = journal?.now else { return .notKnown }
        return Ownership.Source(after: now.step, length: now.length).place
    }

    static var sourceLeft: MigrationError {
        MigrationError(
            .peer,
            "the source QEMU closed the connection: its migration was cancelled there, or failed")
    }

    static var cancelledAtSource: MigrationError {
        MigrationError(
            .peer,
            "the source QEMU gave the migration up when all of it had arrived: somebody cancelled "
                + "it there")
    }
}

extension MigrationRelay {
    /// Keeps what a move that is over leaves: its memory, to be written out, and its journal.
    func keep(_ memory: consuming GuestMemory?, _ journal: OwnershipJournal?) {
        if options.dumpFolder != nil {
            var memory = memory
            self.memory.withLock { $0 = memory.take() }
        }
        state.withLock { $0.journal = journal }
    }

    /// Notes that whoever gave the command knows the outcome, so that the same command begins anew.
    package func outcomeWasTold() { state.withLock { $0.journal }?.tell() }
}
