/// Settles a move by a person's word, where nothing else can.
package enum Resolution {
    /// What one end of a move knows.
    package struct Knowledge: Sendable, Encodable {
        /// The move's number.
        package let session: String
        /// Which end: `source` or `destination`.
        package let end: String
        /// The last step that it recorded.
        package let step: String
        /// Where the guest is by that: `source`, `destination`, `undecided` or `notKnown`.
        package let guest: String
        /// Whether a person has decided it.
        package let isSettled: Bool
        /// What the command was given.
        package let command: String
        /// When the move began and when the step was recorded, in seconds since 1970.
        package let began: UInt64
        package let recorded: UInt64
    }

    /// Which end gets the guest.
    package enum Side: String, Sendable, CaseIterable {
        case source, destination
    }

    /// What this host's ends of moves know, the oldest first.
    ///
    /// - Parameter folder: The folder of journals.
    /// - Returns: What each end knows.
    package static func knowledge(in folder: String) -> [Knowledge] {
        OwnershipJournal.all(in: folder).map(knowledge)
    }

    private static func knowledge(_ contents: OwnershipJournal.Contents) -> Knowledge {
        Knowledge(
            session: contents.session.description,
            end: contents.role == .source ? "source" : "destination",
            step: "\(contents.step)", guest: guest(contents), isSettled: contents.isSettled,
            command: contents.key, began: contents.began, recorded: contents.recorded)
    }

    private static func guest(_ contents: OwnershipJournal.Contents) -> String {
        let place =
            contents.role == .source
            ? Ownership.Source(after: contents.step, length: contents.length).place
            : Ownership.Destination(after: contents.step).place
        return switch place {
        case .source, .standsAtSource, .sourceOrStands: "source"
        case .undecided: "undecided"
        case .destination: "destination"
        case .notKnown: "notKnown"
        }
    }

    /// Settles a move at each end that this host has of it.
    ///
    /// - Parameters:
    ///   - session: Which move.
    ///   - folder: The folder of journals.
    ///   - side: Where the guest is to be.
    ///   - destinationHasEnded: Whether the person says that the destination's QEMU has ended, which
    ///     alone gives a guest back that may have been handed on.
    /// - Returns: What the ends know then.
    /// - Throws: `MigrationError` of kind `mismatch`: that contradicts what is recorded; `transfer`: the
    ///   move is carried by a process now; `peer`: no end of it is here.
    package static func settle(
        _ session: MoveSession, in folder: String, to side: Side, destinationHasEnded: Bool
    ) throws(MigrationError) -> [Knowledge] {
        var journals: [(OwnershipJournal, Ownership.Step)] = []
        // All of them are looked at before one is written.
        for role in [OwnershipJournal.Role.source, .destination] {
            guard let journal = try OwnershipJournal.take(in: folder, session, role) else {
                continue
            }
            journals.append((journal, try step(journal.now, to: side, destinationHasEnded)))
        }
        guard !journals.isEmpty else {
            throw MigrationError(
                .peer,
                "this host knows of no move \(session): look at the other end's host, and see roost "
                    + "migrate resolve for those that are known here")
        }
        var known: [Knowledge] = []
        for (journal, step) in journals {
            let now = journal.now
            if now.step != step {
                try journal.record(step, length: now.length, isSettled: true, isTold: true)
            } else {
                journal.tell()
            }
            known.append(knowledge(journal.now))
        }
        return known
    }

    /// The step that settles an end.
    private static func step(
        _ now: OwnershipJournal.Contents, to side: Side, _ destinationHasEnded: Bool
    ) throws(MigrationError) -> Ownership.Step {
        switch (side, now.step) {
        case (.source, .atSource), (.source, .standsAtSource), (.source, .keptAtSource),
            (.source, .refused):
            return now.step
        case (.source, .began), (.source, .releasing), (.source, .released):
            return now.role == .source ? .standsAtSource : .refused
        case (.source, .committing), (.source, .handing):
            guard destinationHasEnded else {
                throw MigrationError(
                    .mismatch,
                    "the guest may run at the destination: end the QEMU there first, and say so by "
                        + "--destination-ended")
            }
            return now.role == .source ? .standsAtSource : .refused
        case (.destination, .atDestination):
            return .atDestination
        case (.destination, .committing), (.destination, .handing):
            return .atDestination
        case (.source, .atDestination):
            throw contradiction(now, "the destination has the guest")
        case (.destination, _):
            throw contradiction(
                now,
                now.step == .released || now.step == .releasing || now.step == .began
                    ? "the mark was not handed on, so the destination cannot run the guest"
                    : "the source has the guest")
        }
    }

    private static func contradiction(
        _ now: OwnershipJournal.Contents, _ fact: String
    ) -> MigrationError {
        MigrationError(
            .mismatch,
            "move \(now.session) cannot be settled so: \(fact), as the "
                + (now.role == .source ? "relay" : "receiver")
                + (now.isSettled ? " was told before" : " has recorded"))
    }
}
