/// The capabilities and parameters of one QEMU that a move changed, and how they were.
struct MigrationSettings {
    private let client: QMPClient
    private var capabilities: [String: Bool] = [:]
    private var parameters: [String: JSONValue] = [:]

    init(of client: QMPClient) {
        self.client = client
    }

    /// Sets capabilities, those only that are not so already.
    ///
    /// - Throws: `MigrationError` of kind `unsupported` when this QEMU has no such capability, or
    ///   `peer`.
    mutating func set(capabilities wanted: [String: Bool]) async throws(MigrationError) {
        var present: [String: Bool] = [:]
        for one in try await client.execute("query-migrate-capabilities").array ?? [] {
            if let name = one["capability"]?.string { present[name] = one["state"]?.bool }
        }
        var changes: [String: Bool] = [:]
        for (name, state) in wanted where present[name] != state {
            guard present[name] != nil || !state else {
                throw MigrationError(
                    .unsupported,
                    "\(client.name) has no capability '\(name)' (version \(client.version)): "
                        + "leave it out or use another QEMU")
            }
            guard let before = present[name] else { continue }
            changes[name] = state
            capabilities[name] = before
        }
        try await apply(changes)
    }

    /// Sets parameters, those only that are not so already.
    mutating func set(parameters wanted: [String: JSONValue]) async throws(MigrationError) {
        guard !wanted.isEmpty else { return }
        let present = try await client.execute("query-migrate-parameters")
        let changes = wanted.filter { present[$0.key] != $0.value }
        guard !changes.isEmpty else { return }
        try await client.execute("migrate-set-parameters", .object(changes))
        for name in changes.keys { parameters[name] = present[name] }
    }

    /// Puts everything back, as far as QEMU lets it: a QEMU that is gone or still busy keeps what
    /// it has, and its own failure is what is reported.
    func restore() async {
        _ = try? await apply(capabilities)
        if !parameters.isEmpty {
            _ = try? await client.execute("migrate-set-parameters", .object(parameters))
        }
    }

    private func apply(_ changes: [String: Bool]) async throws(MigrationError) {
        guard !changes.isEmpty else { return }
        let list = changes.sorted { $0.key < $1.key }.map { name, state in
            JSONValue.object(["capability": .string(name), "state": .bool(state)])
        }
        try await client.execute("migrate-set-capabilities", ["capabilities": .array(list)])
    }
}
