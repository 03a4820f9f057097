package import RoostSystem
package import SystemPackage

/// A client of a QEMU monitor that speaks QMP, the QEMU Machine Protocol, over a unix socket.
///
/// Theory of operation: one thread reads lines; a reply carries the number of its command, so many
/// commands can be under way and replies may come in any order. A monitor that dies, or sends what
/// is no QMP, fails every call under way and every later one, with one sentence that says so.
/// Any task may call; calls do not stop when their task is cancelled, since what a command
/// has begun must be known.
///
/// Limits: a line has at most 16 MiB; a QEMU monitor serves one client at a time.
package final class QMPClient: Sendable {
    /// How long a monitor may take to greet, and to answer a command unless told otherwise.
    package static let defaultTimeout = Duration.seconds(30)

    /// QEMU's version, such as `7.2.22`.
    package let version: String
    private let connection: QMPConnection
    private let reader: Task<Void, Never>

    /// Connects to a monitor and agrees on QMP with it.
    ///
    /// - Parameters:
    ///   - endpoint: Where QEMU's monitor listens (`-qmp unix:PATH,server=on,wait=off`).
    ///   - timeout: How long each step may take.
    /// - Returns: The client.
    /// - Throws: `MigrationError` of kind `transfer` when nobody listens, `timeout`, or `peer` when
    ///   what listens is no QMP monitor.
    package static func connect(
        to endpoint: Endpoint, timeout: Duration = defaultTimeout
    ) async throws(MigrationError) -> QMPClient {
        let outcome: Result<StreamSocket, SystemError>
        do throws(SystemError) {
            outcome = try await DedicatedThread.result(name: "qmp connect") {
                () throws(SystemError) in
                try StreamSocket.connect(to: endpoint, timeout: timeout)
            }
        } catch {
            outcome = .failure(error)
        }
        let socket: StreamSocket
        switch outcome {
        case .success(let connected): socket = connected
        case .failure(let error):
            throw MigrationError(
                error.kind == .timeout ? .timeout : .transfer, errno: error.errno,
                "cannot reach QEMU's monitor: \(error)")
        }
        return try await QMPClient(over: socket, name: "QEMU at \(endpoint)", timeout: timeout)
    }

    /// Agrees on QMP over a connected socket.
    ///
    /// - Parameters:
    ///   - socket: The connection, the client's from now on.
    ///   - name: How messages call this QEMU.
    ///   - timeout: How long each step may take.
    /// - Throws: `MigrationError` of kind `timeout` or `peer`.
    package init(
        over socket: StreamSocket, name: String, timeout: Duration = defaultTimeout
    ) async throws(MigrationError) {
        let connection = QMPConnection(name: name, socket: socket)
        self.connection = connection
        reader = Task {
            do {
                try await DedicatedThread.run(name: "qmp") { connection.readLines() }
            } catch {
                connection.fail("\(name) cannot be read: \(error)")
            }
        }
        let limit = Task {
            try? await Task.sleep(for: timeout)
            guard !Task.isCancelled else { return }
            connection.fail(
                "\(name) did not greet within \(timeout): another client may hold this monitor, "
                    + "which serves one at a time",
                kind: .timeout)
        }
        let greeting = await connection.greeting()
        limit.cancel()
        guard let greeting else {
            // The wait also ends when the calling task is cancelled.
            connection.fail("stopped before \(name) greeted", kind: .cancelled)
            throw connection.failure
                ?? MigrationError(.cancelled, "stopped before \(name) greeted")
        }
        version = greeting
        _ = try await execute("qmp_capabilities", timeout: timeout)
    }

    /// How messages call this QEMU.
    package var name: String { connection.name }

    /// Why the connection ended, once it has.
    package var failure: MigrationError? { connection.failure }

    /// Has QEMU execute a command.
    ///
    /// - Parameters:
    ///   - command: The command's name.
    ///   - arguments: An object, or `nil` for none.
    ///   - passed: A descriptor that QEMU gets a copy of, for `getfd`.
    ///   - timeout: How long to wait for the reply.
    /// - Returns: What QEMU returned; an empty object for most commands.
    /// - Throws: `MigrationError` of kind `peer` when QEMU refuses or dies, or `timeout`.
    @discardableResult
    package func execute(
        _ command: String, _ arguments: JSONValue? = nil, passing passed: FileDescriptor? = nil,
        timeout: Duration = defaultTimeout
    ) async throws(MigrationError) -> JSONValue {
        try await connection.call(command, arguments, passing: passed, timeout: timeout).get()
    }

    /// The events from now on, until the connection ends.
    ///
    /// A reader that does not keep up loses the oldest.
    package func events() -> AsyncStream<QMPEvent> {
        connection.events()
    }

    /// Ends the connection and waits for its thread; QEMU runs on.
    package func close() async {
        connection.fail("the connection to \(name) was closed here", kind: .cancelled)
        await reader.value
    }

    deinit {
        // The reading thread holds the connection, not the client, and ends with this.
        connection.fail("the connection to \(connection.name) was closed here", kind: .cancelled)
    }
}
