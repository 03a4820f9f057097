package import RoostSystem
internal import Synchronization

/// Moves a running guest from one QEMU to another, by their monitors.
///
/// Each QEMU is given one end of a stream: both ends of one connection, or what lies between them
/// may be a relay. The source sends with `migrate`, the destination, started with
/// `-incoming defer`, loads with `migrate-incoming`; with `return-path` on, the source completes
/// only when the destination has loaded everything.
///
/// Whatever goes wrong, the guest runs on somewhere, and at one place only: the source is
/// cancelled, seen to run, and the error's sentence says where the guest is.
package struct GuestMove: Sendable {
    /// The name under which QEMU keeps the stream's descriptor.
    static let descriptorName = "roost-move"
    /// How long QEMU may take to do what a command began: to cancel, to run again, to start.
    static let settleTimeout = Duration.seconds(60)
    /// How often a state that no event announces is asked for.
    static let settleInterval = Duration.milliseconds(20)

    let source: QMPClient
    let destination: QMPClient
    let options: GuestMoveOptions
    /// Where the guest is, by the relay that carries the stream, once that has ended; `nil` where
    /// nobody can tell.
    let decision: (@Sendable () async -> Ownership.Place)?

    /// Describes a move.
    ///
    /// - Parameters:
    ///   - source: The monitor of the QEMU where the guest is.
    ///   - destination: The monitor of the QEMU that waits for it.
    ///   - options: How to move.
    package init(
        from source: QMPClient, to destination: QMPClient, options: GuestMoveOptions = .init()
    ) {
        self.init(from: source, to: destination, options: options, decision: nil)
    }

    init(
        from source: QMPClient, to destination: QMPClient, options: GuestMoveOptions,
        decision: (@Sendable () async -> Ownership.Place)?
    ) {
        self.decision = decision
        self.source = source
        self.destination = destination
        self.options = options
    }

    /// Moves the guest.
    ///
    /// Cancelling the task gives the move up, unless it is complete by then. The source's
    /// capabilities and parameters are put back at the end.
    ///
    /// - Parameters:
    ///   - sourceStream: The stream's end for the source; relinquished here once QEMU has it.
    ///   - destinationStream: The stream's end for the destination, likewise.
    ///   - progress: Called several times a second, and at the end.
    /// - Returns: What QEMU tells about the move.
    /// - Throws: `MigrationError`: `peer` for what either QEMU refuses or fails at, `timeout`,
    ///   `cancelled`, `unsupported` or `mismatch`. Its sentence says where the guest is.
    package func run(
        sourceStream: StreamSocket, destinationStream: StreamSocket,
        progress: @escaping @Sendable (GuestMoveProgress) -> Void = { _ in }
    ) async throws(MigrationError) -> GuestMoveReport {
        try options.check()
        let wasRunning = try await checkBothEnds()

        var sourceSettings = MigrationSettings(of: source)
        var destinationSettings = MigrationSettings(of: destination)
        let outcome: Result<JSONValue, MigrationError>
        var begun = false
        do throws(MigrationError) {
            try await sourceSettings.set(capabilities: options.wantedCapabilities)
            try await sourceSettings.set(parameters: options.wantedParameters)
            try await destinationSettings.set(capabilities: options.wantedCapabilities)
            try await hand(sourceStream, to: source)
            try await hand(destinationStream, to: destination)
            let uri: JSONValue = .string("fd:\(Self.descriptorName)")
            try await destination.execute("migrate-incoming", ["uri": uri])
            let events = source.events()
            begun = true
            try await source.execute("migrate", ["uri": uri])
            outcome = await follow(events, progress)
        } catch {
            outcome = .failure(error)
        }

        let end: Result<GuestMoveReport, MigrationError>
        do throws(MigrationError) {
            switch outcome {
            case .success(let reply): end = .success(try await finish(reply))
            case .failure(let error) where begun:
                end = .success(try await giveUp(error, wasRunning: wasRunning))
            case .failure(let error):
                await dropDescriptors()
                end = .failure(GuestMove.failure(error, "the guest was not touched"))
            }
        } catch {
            end = .failure(error)
        }
        await sourceSettings.restore()
        await destinationSettings.restore()
        return try end.get()
    }

    // MARK: Before

    /// Refuses a move that cannot work, before anything is changed.
    ///
    /// - Returns: Whether the guest runs.
    private func checkBothEnds() async throws(MigrationError) -> Bool {
        let waiting = try await runState(destination)
        guard waiting.status == "inmigrate" else {
            throw MigrationError(
                .peer,
                "\(destination.name) is '\(waiting.status)' and does not wait for a guest: start it "
                    + "with -incoming defer")
        }
        if let busy = try await migrationStatus(destination), busy != "none" {
            throw MigrationError(
                .peer,
                "\(destination.name) already takes a guest in (\(busy)): start it with -incoming "
                    + "defer, without an address")
        }
        let state = try await runState(source)
        if ["inmigrate", "postmigrate", "finish-migrate"].contains(state.status) {
            throw MigrationError(
                .peer,
                "\(source.name) is '\(state.status)': the guest to move is not there; name the QEMU "
                    + "in which it runs")
        }
        if let busy = try await migrationStatus(source),
            !["none", "completed", "failed", "cancelled"].contains(busy)
        {
            throw MigrationError(
                .peer,
                "\(source.name) is already migrating (\(busy)): wait for its end or cancel it with "
                    + "migrate_cancel")
        }
        try await compare("machine type", "qom-get", ["path": "/machine", "property": "type"])
        try await compare("RAM size", "query-memory-size-summary", nil)
        return state.isRunning
    }

    /// Refuses two QEMUs that answer differently; one that has no such command is not compared.
    private func compare(
        _ what: String, _ command: String, _ arguments: JSONValue?
    ) async throws(MigrationError) {
        func answer(_ client: QMPClient) async throws(MigrationError) -> JSONValue? {
            do {
                return try await client.execute(command, arguments)
            } catch {
                guard client.failure == nil else { throw error }
                return nil
            }
        }
        let here = try await answer(source)
        let there = try await answer(destination)
        guard let here, let there, here != there else { return }
        func text(_ value: JSONValue) -> String {
            value.string ?? (try? value.json()).map { String(decoding: $0, as: UTF8.self) } ?? "?"
        }
        throw MigrationError(
            .mismatch,
            "the \(what) differs, \(text(here)) at \(source.name) and \(text(there)) at "
                + "\(destination.name): start both alike")
    }

    /// Gives a QEMU its end of the stream, and closes ours.
    private func hand(_ stream: StreamSocket, to client: QMPClient) async throws(MigrationError) {
        try await client.execute(
            "getfd", ["fdname": .string(Self.descriptorName)], passing: stream.descriptor)
        do throws(SystemError) {
            try stream.relinquish()
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
    }

    /// Takes the stream's ends back from QEMUs that did not use them; one that did, or is gone,
    /// has none to give.
    private func dropDescriptors() async {
        for client in [source, destination] {
            _ = try? await client.execute("closefd", ["fdname": .string(Self.descriptorName)])
        }
    }

    // MARK: During

    /// Follows the move to its end, the timeout, or the task's cancellation.
    ///
    /// - Returns: The last reply to `query-migrate`, when the move completed.
    private func follow(
        _ events: AsyncStream<QMPEvent>, _ progress: @escaping @Sendable (GuestMoveProgress) -> Void
    ) async -> Result<JSONValue, MigrationError> {
        let clock = ContinuousClock()
        let deadline = options.timeout.map { clock.now + $0 }
        // What says that it is time to look again. One that waits is enough.
        let (ticks, tick) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        return await withTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            let interval = options.pollInterval
            group.addTask {
                while (try? await Task.sleep(for: interval)) != nil { tick.yield() }
            }
            group.addTask {
                for await event in events where event.name.hasPrefix("MIGRATION") { tick.yield() }
            }
            tick.yield()
            let last = Mutex(GuestMoveProgress(.object([:])))
            // The loop ends by itself when the task is cancelled.
            for await _ in ticks {
                let end = await look { now in
                    last.withLock { $0 = now }
                    progress(now)
                }
                if let end { return end }
                if let deadline, clock.now >= deadline {
                    return .failure(options.timedOut(last.withLock { $0 }))
                }
            }
            return .failure(MigrationError(.cancelled, "the move was cancelled"))
        }
    }

    /// Looks once how the move is.
    ///
    /// - Returns: Its end, or `nil` while it goes on.
    private func look(
        _ progress: @Sendable (GuestMoveProgress) -> Void
    ) async -> Result<JSONValue, MigrationError>? {
        do throws(MigrationError) {
            let reply = try await source.execute("query-migrate")
            let now = GuestMoveProgress(reply)
            progress(now)
            switch now.status {
            case "completed": return .success(reply)
            case "failed", "cancelled", "none":
                return .failure(await Self.explain(now.status, reply, destination))
            default: break
            }
            if let gone = destination.failure { throw gone }
            return nil
        } catch {
            return .failure(error)
        }
    }

    /// Why QEMU says that a migration failed, as far as either end tells.
    private static func explain(
        _ status: String, _ reply: JSONValue, _ destination: QMPClient
    ) async -> MigrationError {
        guard status == "failed" else {
            return MigrationError(.peer, "the migration was cancelled by another client")
        }
        var reasons: [String] = []
        if let reason = reply["error-desc"]?.string { reasons.append(reason) }
        let there = try? await destination.execute("query-migrate")
        if let reason = there?["error-desc"]?.string {
            reasons.append("the destination says: \(reason)")
        } else if let gone = destination.failure {
            reasons.append(gone.description)
        }
        if reasons.isEmpty { reasons.append("QEMU gives no reason; see what both printed") }
        return MigrationError(.peer, "the migration failed: \(reasons.joined(separator: "; "))")
    }

    // MARK: After

    /// Waits until the destination has taken the guest over, and reports.
    func finish(_ reply: JSONValue) async throws(MigrationError) -> GuestMoveReport {
        let there: RunState
        do throws(MigrationError) {
            there = try await settle(destination) { $0.status != "inmigrate" }
        } catch {
            throw Self.failure(error, await takeBack())
        }
        let here = try? await runState(source)
        return GuestMoveReport(
            await counted(reply), sourceStatus: here?.status ?? "unknown",
            destinationStatus: there.status)
    }

    /// The reply with its times: QEMU says that a migration is complete shortly before it has
    /// worked out how long it took.
    private func counted(_ reply: JSONValue) async -> JSONValue {
        var reply = reply
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(5)
        while (reply["total-time"]?.unsignedInteger ?? 0) == 0, clock.now < deadline {
            try? await Task.sleep(for: Self.settleInterval)
            guard let later = try? await source.execute("query-migrate") else { break }
            reply = later
        }
        return reply
    }

    // MARK: Asking

    /// Whether and how a QEMU runs its guest (`query-status`).
    struct RunState {
        let status: String
        let isRunning: Bool
    }

    func runState(_ client: QMPClient) async throws(MigrationError) -> RunState {
        let reply = try await client.execute("query-status")
        return RunState(
            status: reply["status"]?.string ?? "unknown",
            isRunning: reply["running"]?.bool ?? false)
    }

    func migrationStatus(_ client: QMPClient) async throws(MigrationError) -> String? {
        try await client.execute("query-migrate")["status"]?.string
    }

    /// Waits until a QEMU is in a state that no one event announces.
    func settle(
        _ client: QMPClient, within limit: Duration = settleTimeout,
        _ isSettled: (RunState) -> Bool
    ) async throws(MigrationError) -> RunState {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        while true {
            let state = try await runState(client)
            if isSettled(state) { return state }
            guard clock.now < deadline else {
                throw MigrationError(
                    .timeout, "\(client.name) is still '\(state.status)' after \(limit)")
            }
            // A cancelled task does not sleep: it asks more often.
            try? await Task.sleep(for: Self.settleInterval)
        }
    }

    static func failure(_ cause: MigrationError, _ whereabouts: String) -> MigrationError {
        MigrationError(
            cause.kind, errno: cause.errno, "cannot move the guest: \(cause); \(whereabouts)")
    }
}
