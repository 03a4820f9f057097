internal import RoostSystem

/// What a command that was killed left of its move, and what the same command does with it.
package enum LeftMove: Sendable {
    /// Nothing: a move begins.
    case none
    /// A move of which nothing was decided, and whose guest therefore stayed at the source; the
    /// sentence says so. A new one begins.
    case ended(String)
    /// A move that is to be answered for before another begins.
    case open(OwnershipJournal)
}

extension MigrationRelay {
    /// Looks for the move of a relay that was killed.
    ///
    /// - Parameters:
    ///   - folder: The folder of journals.
    ///   - key: What the command was given.
    /// - Returns: What was left.
    /// - Throws: `MigrationError` of kind `transfer` when its end cannot be recorded.
    package static func left(in folder: String, key: String) throws(MigrationError) -> LeftMove {
        guard let journal = OwnershipJournal.left(in: folder, .source, key: key) else {
            return .none
        }
        switch journal.now.step {
        case .began, .atSource:
            // Its source QEMU saw the connection end without its answer, and runs the guest on.
            try journal.record(
                journal.now.step == .began ? .keptAtSource : .atSource, length: 0, isTold: true)
            return .ended(
                "a move of this command was cut short before, \(journal.now.session): its guest stayed "
                    + "at the source")
        default:
            return .open(journal)
        }
    }
}

extension MigrationReceiver {
    /// Looks for the move of a receiver that was killed.
    ///
    /// - Parameters:
    ///   - folder: The folder of journals.
    ///   - key: What the command was given.
    ///   - file: The file that the move was stored in, or `nil` where it went to a QEMU.
    /// - Returns: What was left.
    /// - Throws: `MigrationError` of kind `transfer` when its end cannot be recorded.
    package static func left(
        in folder: String, key: String, file: String?
    ) throws(MigrationError) -> LeftMove {
        guard let journal = OwnershipJournal.left(in: folder, .destination, key: key) else {
            return .none
        }
        let now = journal.now
        var step = now.step
        if step == .handing, let file {
            // A file runs nothing: that it has its name is all there is to know.
            let facts = FileFacts(at: file, followsLinks: true)
            step = facts?.byteCount == now.length ? .atDestination : .refused
            try journal.record(step, length: now.length)
        }
        switch step {
        case .began, .refused, .atSource, .standsAtSource, .keptAtSource:
            try journal.record(.refused, length: 0, isTold: true)
            return .ended(
                "a move of this command was cut short before, \(now.session): nothing of it was started "
                    + "here")
        case .handing, .atDestination, .releasing, .released, .committing:
            return .open(journal)
        }
    }

    /// Answers the relay of a move whose receiver was killed, should it ask.
    ///
    /// - Parameters:
    ///   - journal: The move's journal.
    ///   - listener: Where it connects.
    ///   - limit: How long it is waited for.
    /// - Throws: `MigrationError`: it is not known where the guest is.
    package func settle(
        _ journal: OwnershipJournal, _ listener: MoveListener, within limit: Duration
    ) async throws(MigrationError) {
        let now = journal.now
        let timeout = options.linkTimeout
        let (asked, wasAsked) = AsyncStream.makeStream(of: Void.self)
        let greeting = Task {
            try? await listener.run(timeout: timeout) { arrival in
                self.answer(arrival)
                if arrival.session == now.session { wasAsked.yield() }
            }
        }
        let clock = Task {
            try? await Task.sleep(for: limit)
            wasAsked.finish()
        }
        await withTaskCancellationHandler {
            _ = await asked.first { _ in true }
        } onCancel: {
            wasAsked.finish()
        }
        clock.cancel()
        greeting.cancel()
        _ = await greeting.value
        guard now.step != .atDestination else { return journal.tell() }
        throw Whereabouts(place: .notKnown, session: now.session, isKept: true).error(
            MigrationError(
                .peer,
                "this receiver was killed while it handed the guest on: look whether it runs at the "
                    + "destination"))
    }
}
