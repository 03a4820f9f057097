internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// From the destination to the source.
extension MigrationRelay {
    func takeAnswers() throws(MigrationError) {
        var answers = AnswerQueue(capacity: Self.answerLimit)
        do throws(MigrationError) {
            try frames.withLock { reader throws(MigrationError) in
                try takeAnswers(&reader, &answers)
            }
        } catch {
            // A settled move goes on to its end whatever becomes of the wire.
            guard ending.isSettled else { throw error }
        }
        awaitSource(&answers)
    }

    /// Takes frames until the move is complete or settled and nothing more comes.
    private func takeAnswers(
        _ reader: inout FrameReader, _ answers: inout AnswerQueue
    ) throws(MigrationError) {
        while true {
            while let frame = try reader.next() {
                try take(frame, reader, &answers)
                if frame.kind == .complete { return }
            }
            try send(&answers)
            let waiting = answers.isEmpty ? nil : source
            switch try wire.fill(&reader, orOutputOf: waiting) {
            case .bytes, .nothing: break
            case .end:
                ending.suspect(Self.goneError)
                try ending.check()
                return
            }
        }
    }

    private func take(
        _ frame: FrameReader.Frame, _ reader: borrowing FrameReader, _ answers: inout AnswerQueue
    ) throws(MigrationError) {
        switch frame.kind {
        case .acknowledge:
            var cursor = SpanCursor(reader.input.bytes.extracting(frame.payload))
            guard let sequence = cursor.read(UInt64.self), cursor.remaining == 0,
                sequence < phase.sentFrames
            else { throw Self.unexpected(frame) }
            state.withLock { state in
                let known = state.statistics.acknowledgedFrames
                state.statistics.acknowledgedFrames = max(known, sequence + 1)
            }
        case .answer:
            guard phase.opensReturnPath,
                try answers.take(reader.input.bytes.extracting(frame.payload)),
                answers.verdict != 0 || phase.isPastMemory
            else { throw Self.unexpected(frame) }
            // Once the source has read that the destination has the guest, it lets go of it.
            if answers.verdict == 0 { try ending.settle() }
            try send(&answers)
        case .complete:
            guard phase.isWhole, !phase.opensReturnPath || answers.verdict == 0 else {
                throw Self.unexpected(frame)
            }
            try ending.settle()
        case .failed:
            ending.explain(Self.failure(reader.text(of: frame)))
            try ending.check()
        default:
            throw Self.unexpected(frame)
        }
    }

    /// Sends the source what it has room for.
    private func send(_ answers: inout AnswerQueue) throws(MigrationError) {
        do throws(Errno) {
            try answers.send(to: source)
        } catch {
            answers.clear()
            // A source that is gone has broken its stream off as well, unless all of it has come.
            guard answers.verdict == 0 else { return }
            let failure = MigrationError(
                .transfer, errno: error,
                "the source QEMU closed the connection before it had the destination's last "
                    + "answer: \(error)")
            ending.regret(failure)
            throw failure
        }
    }

    /// Sends the source the last answers and waits until it closes, now that nothing else comes.
    private func awaitSource(_ answers: inout AnswerQueue) {
        ending.finish()
        do throws(MigrationError) {
            while true {
                try send(&answers)
                guard !answers.isEmpty else { break }
                guard ending.waitToEnd(for: .output, of: source) else { break }
            }
            _ = ending.waitToEnd(for: .hangup, of: source)
        } catch {
            ending.fail(error)
        }
        source.shutdown(.both)
    }
}
