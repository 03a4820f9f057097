package import RoostMigration
package import RoostSystem

/// A move's two relays as processes of their own, and what passes recorded.
///
///     source ─▶ [proxy] ─▶ relay ═▶ proxy ═▶ receive ─▶ proxy ─▶ destination or file
package struct RelayPath: Sendable {
    private let folder: TemporaryFolder
    package let relay: ChildProcess
    package let receive: ChildProcess
    /// Before the relay, where it was asked for.
    package let source: RecordingProxy?
    /// Between the two, where it was asked for.
    package let wire: RecordingProxy?
    /// Between receive and a destination QEMU, likewise.
    package let stream: RecordingProxy?

    /// Where the source migrates to.
    package var entrance: Endpoint { source?.endpoint ?? .unix(path: folder.file("relay")) }

    /// The memory as a side knew it at switch-over, one file a block.
    package func dump(_ side: String) -> String { folder.file("dump-\(side)/pc.ram") }

    /// Starts both, and waits until a source may come.
    ///
    /// - Parameters:
    ///   - destination: Where a QEMU listens.
    ///   - file: Or a file for the stream.
    ///   - records: Whether what passes is recorded.
    ///   - recordsSource: Whether what the source sends is recorded too, for ``SentMemory``.
    ///   - fileByteCountLimit: The longest file that receive may write (RLIMIT_FSIZE).
    /// - Throws: `LabError` with what they wrote, when one of them does not start.
    package init(
        to destination: Endpoint?, file: String? = nil, records: Bool = true,
        recordsSource: Bool = false, fileByteCountLimit: Int? = nil
    ) async throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        var outward: [String] = []
        stream = try destination.flatMap { destination in
            guard records else { return nil }
            return try RecordingProxy(
                at: .unix(path: folder.file("stream")), to: destination,
                recording: folder.file("stream.recorded"))
        }
        if let destination { outward = ["--connect", "\(stream?.endpoint ?? destination)"] }
        if let file { outward = ["--output", file] }
        func dumping(_ side: String) throws -> [String] {
            guard destination != nil else { return [] }
            let path = folder.file("dump-\(side)")
            try folder.makeFolder("dump-\(side)")
            return ["--dump", path]
        }
        let receiving = Endpoint.unix(path: folder.file("receive"))
        let words =
            try ["migrate", "receive", "--json", "--listen", "\(receiving)"] + outward
            + dumping("receive")
        receive = try RoostProgram.start(words, fileByteCountLimit: fileByteCountLimit)
        try await receive.line { $0.hasPrefix("receive: waiting for a relay") }
        wire =
            records
            ? try RecordingProxy(
                at: .unix(path: folder.file("wire")), to: receiving,
                recording: folder.file("wire.recorded")) : nil
        relay = try RoostProgram.start(
            [
                "migrate", "relay", "--json", "--listen", "unix:\(folder.file("relay"))",
                "--connect", "\(wire?.endpoint ?? receiving)",
            ] + dumping("relay"))
        try await relay.line { $0.hasPrefix("relay: waiting for a source QEMU") }
        source =
            recordsSource
            ? try RecordingProxy(
                at: .unix(path: folder.file("source")), to: .unix(path: folder.file("relay")),
                recording: folder.file("source.recorded")) : nil
    }

    /// Begins the migration of a source through both, with its return path on or off.
    package func migrate(
        _ source: LabQEMU, capabilities: [String] = [], answers: Bool = true,
        bandwidth: UInt64 = 700_000
    ) async throws -> LabMigration {
        try await LabMigration(
            of: source, to: entrance, witnesses: [relay, receive],
            capabilities: capabilities + (answers ? ["return-path"] : []), bandwidth: bandwidth)
    }

    /// Waits until both have ended well, and everything has passed.
    ///
    /// - Returns: What each says it moved.
    package func succeed() async throws -> (relay: JSONValue, receive: JSONValue) {
        try await relay.succeed()
        try await receive.succeed()
        try await source?.end()
        try await wire?.end()
        try await stream?.end()
        return (try relay.json(), try receive.json())
    }

    /// Waits until both have ended.
    ///
    /// - Returns: Their exit statuses.
    package func exit() async throws -> (relay: Int32, receive: Int32) {
        (try await relay.exit(), try await receive.exit())
    }
}
