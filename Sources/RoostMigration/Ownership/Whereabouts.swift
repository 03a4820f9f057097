/// Where a guest is after a move that failed, in words.
struct Whereabouts: Sendable {
    let place: Ownership.Place
    let session: MoveSession
    /// Whether a journal is kept, so that the same command can go on.
    let isKept: Bool

    /// A failure with the place behind it.
    func error(_ failure: MigrationError) -> MigrationError {
        MigrationError(
            failure.kind, block: failure.block, blockOffset: failure.blockOffset,
            streamOffset: failure.streamOffset, errno: failure.errno, "\(failure); \(sentence)")
    }

    /// What to know and what to do.
    var sentence: String {
        switch place {
        case .source:
            "the guest stays at the source"
        case .standsAtSource:
            "the guest stands still at the source, whole, and was not started at the destination: "
                + "continue it at the source (cont)"
        case .sourceOrStands:
            "the guest is at the source and was not started at the destination: look whether it runs "
                + "there (query-status), and continue it (cont) if it stands still"
        case .undecided:
            "the guest stands still at the source, whole, and was not started at the destination: "
                + (isKept
                    ? "start this command again to go on, or give the guest back by roost migrate "
                        + "resolve \(session) --to source"
                    : "continue it at the source (cont)")
        case .destination:
            "the destination has the guest: see that it does not run at the source too"
        case .notKnown:
            "it is not known where the guest is, move \(session): do not continue it at the source "
                + (isKept
                    ? "before it is certain that the destination does not run; start this command again "
                        + "to ask once more, or settle it by roost migrate resolve"
                    : "before it is certain that the destination does not run")
        }
    }
}
