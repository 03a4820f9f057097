import RoostMigration
import RoostSystem
import SystemPackage

/// The other end of a monitor's connection, for what a real QEMU never does.
///
/// A script runs on a thread of its own, line by line; the connection ends with it.
struct ScriptedMonitor: Sendable {
    static let greeting =
        #"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}}}"#

    let socket: StreamSocket

    /// Sends a line.
    func say(_ line: String) throws {
        try sayBytes(Array((line + "\n").utf8))
    }

    /// Sends bytes as they are.
    func sayBytes(_ bytes: [UInt8]) throws {
        try socket.send(unsafe bytes.span.bytes)
    }

    /// Reads a line and the descriptor that came with it.
    func hear() throws -> (command: String, id: UInt64, passed: StreamSocket?) {
        var line: [UInt8] = []
        var passed: StreamSocket?
        while true {
            var byte: [UInt8] = [0]
            var elements = byte.mutableSpan
            var span = unsafe elements.mutableBytes
            var received = try socket.receive(into: &span)
            guard received.byteCount > 0 else { throw Errno.brokenPipe }
            if let descriptor = received.passed.take() { passed = StreamSocket(descriptor) }
            if byte == [UInt8(ascii: "\n")] { break }
            line += byte
        }
        let value = try JSONValue(json: line)
        guard let command = value["execute"]?.string, let id = value["id"]?.unsignedInteger else {
            throw Errno.invalidArgument
        }
        return (command, id, passed)
    }

    /// Greets and answers the first command.
    func greet() throws {
        try say(Self.greeting)
        try say(#"{"return": {}, "id": \#(try hear().id)}"#)
    }

    /// Runs a script against a client that has not yet connected.
    static func run(
        _ script: @escaping @Sendable (ScriptedMonitor) throws -> Void,
        against body: (StreamSocket) async throws -> Void
    ) async throws {
        let (near, far) = try StreamSocket.pair()
        let monitor = ScriptedMonitor(socket: far)
        async let scripted: Void = DedicatedThread.run(name: "scripted monitor") {
            defer { monitor.socket.shutdown(.both) }
            try script(monitor)
        }
        do {
            try await body(near)
        } catch {
            near.shutdown(.both)
            throw error
        }
        near.shutdown(.both)
        // A script that waits for a command that never comes ends with the connection.
        _ = try? await scripted
    }
}
