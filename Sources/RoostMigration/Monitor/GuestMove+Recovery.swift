/// What a move that cannot go on does so that the guest runs on, at one place only.
extension GuestMove {
    /// Cancels a move that has begun, and sees to it that the guest runs at one place.
    ///
    /// - Returns: A report, when the move turns out to be complete.
    func giveUp(
        _ cause: MigrationError, wasRunning: Bool
    ) async throws(MigrationError) -> GuestMoveReport {
        // What follows runs to its end, also when the task that called is cancelled.
        let outcome = await Task { () async -> Result<GuestMoveReport, MigrationError> in
            do throws(MigrationError) {
                return .success(try await giveUpUncancelled(cause, wasRunning: wasRunning))
            } catch {
                return .failure(error)
            }
        }.value
        return try outcome.get()
    }

    private func giveUpUncancelled(
        _ cause: MigrationError, wasRunning: Bool
    ) async throws(MigrationError) -> GuestMoveReport {
        let status: String
        do throws(MigrationError) {
            status = try await cancelSource()
        } catch {
            let why = error == cause ? "" : " (\(error))"
            throw Self.failure(
                cause,
                "the source cannot be asked about it\(why): look whether the guest runs there")
        }
        if status == "completed" {
            return try await finish(try await source.execute("query-migrate"))
        }
        guard wasRunning else {
            throw Self.failure(cause, "the guest stays at the source, where it did not run before")
        }
        throw Self.failure(cause, await runSource())
    }

    /// Cancels, and waits for the end.
    ///
    /// - Returns: The status then: `cancelled`, `failed`, `completed` or `none`.
    private func cancelSource() async throws(MigrationError) -> String {
        let final = ["cancelled", "failed", "completed", "none"]
        let clock = ContinuousClock()
        let deadline = clock.now + Self.settleTimeout
        // Refused only where there is nothing to cancel, which the status shows.
        _ = try? await source.execute("migrate_cancel")
        while true {
            let status = try await migrationStatus(source) ?? "none"
            if final.contains(status) { return status }
            guard clock.now < deadline else {
                throw MigrationError(
                    .timeout, "\(source.name) is still '\(status)' \(Self.settleTimeout) later")
            }
            try? await Task.sleep(for: Self.settleInterval)
        }
    }

    /// Gives a guest back to a source that has let go of it, where it was given to nobody.
    ///
    /// - Returns: Where the guest is, for the error's sentence.
    func takeBack() async -> String {
        let stands =
            "the source has sent everything and stands still; continue it (cont) only once it is "
            + "certain that the destination does not run"
        switch await decision?() {
        case .source, .standsAtSource, .sourceOrStands, .undecided:
            return (try? await source.execute("cont")) != nil
                ? "the guest was not started at the destination, and runs on at the source, where it "
                    + "was continued"
                : "the guest was not started at the destination, and stands still at the source: "
                    + "continue it there (cont)"
        case .destination, .notKnown, nil:
            return stands
        }
    }

    /// Sees that the source runs after a move that failed.
    ///
    /// - Returns: Where the guest is, for the error's sentence.
    private func runSource() async -> String {
        // QEMU starts the guest again by itself, shortly after it has told the failure.
        var here = try? await settle(source, within: .seconds(5)) { $0.isRunning }
        if here == nil {
            here = try? await runState(source)
        }
        guard let here else {
            return "the source cannot be asked whether the guest runs: look there"
        }
        let there = try? await runState(destination)
        if here.isRunning {
            guard there?.isRunning == true else { return "the guest runs on at the source" }
            let stopped = (try? await destination.execute("stop")) != nil
            return stopped
                ? "the guest runs on at the source, and its copy at the destination was stopped"
                : "the guest runs at the source and at the destination: stop one of them at once"
        }
        guard ["paused", "postmigrate", "finish-migrate"].contains(here.status) else {
            return "the guest is at the source and '\(here.status)'"
        }
        guard let there, ["inmigrate", "prelaunch"].contains(there.status) else {
            return there?.isRunning == true
                ? "the guest runs at the destination, and stands still at the source"
                : "the guest stands still at the source; continue it there (cont) once it is "
                    + "certain that the destination does not run"
        }
        if let place = await decision?(), place == .notKnown || place == .destination {
            return
                "the guest stands still at the source, and may have been given to the destination: "
                + "continue it there (cont) once it is certain that the destination does not run"
        }
        let continued = (try? await source.execute("cont")) != nil
        return continued
            ? "the guest runs on at the source, where it was continued"
            : "the guest stands still at the source and could not be continued: use cont"
    }
}
