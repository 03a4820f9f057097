import RoostMigration
package import RoostSystem

/// A migration that a laboratory begins at the source's monitor, as an administrator would.
///
/// It begins over a link so slow that it goes round after round, until ``hurry()``.
package struct LabMigration: Sendable {
    /// How long each step may take.
    static let limit = Duration.seconds(90)

    private let source: LabQEMU
    private let witnesses: [ChildProcess]
    private let events: AsyncStream<QMPEvent>

    /// Begins a migration.
    ///
    /// - Parameters:
    ///   - source: Where the guest is.
    ///   - endpoint: Where QEMU sends its stream.
    ///   - witnesses: What messages show the output of, when it goes wrong.
    ///   - capabilities: Those to turn on, besides `events`; all others are turned off.
    ///   - bandwidth: Bytes per second.
    /// - Throws: `MigrationError` when QEMU refuses.
    package init(
        of source: LabQEMU, to endpoint: Endpoint, witnesses: [ChildProcess] = [],
        capabilities: [String] = [], bandwidth: UInt64 = 700_000
    ) async throws {
        self.source = source
        self.witnesses = witnesses
        events = source.control.events()
        let wanted = Set(capabilities + ["events"])
        let changing = ["auto-converge", "compress", "events", "return-path", "xbzrle"]
        let present = try await source.control.execute("query-migrate-capabilities").array ?? []
        let known = Set(present.compactMap { $0["capability"]?.string })
        let list = wanted.union(changing).intersection(known).sorted().map { name in
            JSONValue.object([
                "capability": .string(name), "state": .bool(wanted.contains(name)),
            ])
        }
        try await source.control.execute(
            "migrate-set-capabilities", ["capabilities": .array(list)])
        try await set(["downtime-limit": 1, "max-bandwidth": JSONValue(bandwidth)])
        if wanted.contains("xbzrle") { try await set(["xbzrle-cache-size": 67_108_864]) }
        try await source.control.execute("migrate", ["uri": .string("\(endpoint)")])
    }

    private func set(_ parameters: JSONValue) async throws {
        try await source.control.execute("migrate-set-parameters", parameters)
    }

    /// Waits for a round: the first is 1.
    ///
    /// - Throws: `LabError` when the migration ends before.
    package func reach(round: UInt64) async throws {
        let status = try await next("round \(round)") { event in
            if event.name == "MIGRATION_PASS", let pass = event.data["pass"]?.unsignedInteger {
                return pass >= round ? "" : nil
            }
            return Self.end(in: event)
        }
        guard status.isEmpty else {
            throw await explain("the migration \(status) before round \(round)")
        }
    }

    /// Waits for the end, which must be a success.
    ///
    /// - Throws: `LabError` with what all who took part say.
    package func complete() async throws {
        let status = try await end()
        guard status == "completed" else { throw await explain("the migration \(status)") }
        try await source.status("postmigrate")
    }

    private func explain(_ what: String) async -> LabError {
        let reply = try? await source.control.execute("query-migrate")
        let reason = reply?["error-desc"]?.string ?? "no reason given"
        let words = witnesses.map { "\($0.name):\n\($0.text)" }.joined(separator: "\n")
        return LabError("\(what): \(reason)\n\(words)")
    }

    /// Makes the link slower still, for rounds that hold few bytes.
    package func narrow(to bandwidth: UInt64) async throws {
        try await set(["max-bandwidth": JSONValue(bandwidth)])
    }

    /// Lets the migration complete.
    package func hurry() async throws {
        try await set(["downtime-limit": 100_000, "max-bandwidth": 1_000_000_000])
    }

    /// Waits for the end.
    ///
    /// - Returns: `completed`, `failed` or `cancelled`.
    package func end() async throws -> String {
        try await next("the end") { Self.end(in: $0) }
    }

    private static func end(in event: QMPEvent) -> String? {
        guard event.name == "MIGRATION", let status = event.data["status"]?.string,
            ["completed", "failed", "cancelled"].contains(status)
        else { return nil }
        return status
    }

    private func next(
        _ what: String, _ look: @escaping @Sendable (QMPEvent) -> String?
    ) async throws -> String {
        let (events, name) = (events, source.name)
        return try await withThrowingTaskGroup(of: String.self) { group in
            group.addTask {
                for await event in events {
                    if let found = look(event) { return found }
                }
                throw LabError("\(name) said nothing more, or too late: waited for \(what)")
            }
            group.addTask {
                try await Task.sleep(for: Self.limit)
                throw LabError("waited \(Self.limit) for \(what) of the migration of \(name)")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? ""
        }
    }
}

extension LabQEMU {
    /// Has a QEMU that waits listen for its guest's stream.
    ///
    /// - Returns: Where.
    package func listen() async throws -> Endpoint {
        let endpoint = Endpoint.unix(path: folder.file("incoming"))
        try await control.execute("migrate-incoming", ["uri": .string("\(endpoint)")])
        return endpoint
    }

    /// Waits until QEMU's run state is one of some.
    @discardableResult
    package func status(
        _ wanted: String..., within limit: Duration = ChildProcess.defaultLimit
    ) async throws -> String {
        try await poll(limit, "\(name) to be \(wanted.joined(separator: " or "))") {
            let now = try await self.status()
            return wanted.contains(now) ? now : nil
        }
    }
}
