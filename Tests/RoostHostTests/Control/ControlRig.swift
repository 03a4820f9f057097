import Foundation
import Glibc
import Logging
import RoostHost
import Testing

/// A run directory of a test's own, which goes with the value.
final class ControlRig: Sendable {
    struct State: Codable, Equatable {
        var words: [String]
        var count: UInt64
    }

    let folder: String
    let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    var directory: RunDirectory { RunDirectory(folder) }
    var client: ControlClient { ControlClient(directory, timeLimit: .seconds(20)) }

    init() throws {
        folder =
            FileManager.default.temporaryDirectory.path
            + "/roost-control-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
    }

    deinit {
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// What lies in the folder.
    var files: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func server(
        _ name: String = "web1", _ commands: [ControlCommand] = [],
        snapshot: @escaping @Sendable () async throws -> State = { State(words: ["a"], count: 1) }
    ) async throws -> ControlServer {
        try await ControlServer(
            try ControlName(.disk, name), in: directory, logger: logger, commands: commands,
            snapshot: snapshot)
    }

    /// Runs a server for the length of a test's body.
    func serving(_ server: ControlServer, _ body: () async throws -> Void) async throws {
        let running = Task { await server.run() }
        do {
            try await body()
        } catch {
            running.cancel()
            await running.value
            throw error
        }
        running.cancel()
        await running.value
        #expect(!files.contains("disk-\(server.name.name).sock"))
    }

    /// The permissions of a file.
    func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    /// A socket that is listened on by nobody who reads, or, closed, by nobody at all.
    func socket(_ name: String, backlog: Int32 = 16) throws -> Int32 {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let result = unsafe Self.withAddress(path(name)) { unsafe bind(descriptor, $0, $1) }
        try #require(result == 0)
        try #require(listen(descriptor, backlog) == 0)
        return descriptor
    }

    /// A plain connection to a socket.
    func connected(_ path: String) throws -> Int32 {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let result = unsafe Self.withAddress(path) { unsafe connect(descriptor, $0, $1) }
        try #require(result == 0)
        return descriptor
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: Array(path.utf8))
        }
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// A server that answers the first connection with a text and closes it.
    func answering(_ name: String, _ text: String) throws -> Task<Void, Never> {
        let listening = try socket(name)
        return Task.detached {
            await withCheckedContinuation { done in
                Thread.detachNewThread {
                    let connection = accept(listening, nil, nil)
                    var request = [UInt8](repeating: 0, count: 4096)
                    _ = unsafe read(connection, &request, request.count)
                    let bytes = Array(text.utf8)
                    var sent = 0
                    while sent < bytes.count {
                        let rest = Array(bytes[sent...])
                        let count = unsafe send(
                            connection, rest, rest.count, Int32(MSG_NOSIGNAL))
                        guard count > 0 else { break }
                        sent += count
                    }
                    // Closing with something unread would take the answer from the other end.
                    shutdown(connection, Int32(SHUT_WR))
                    while unsafe read(connection, &request, request.count) > 0 {}
                    close(connection)
                    close(listening)
                    done.resume()
                }
            }
        }
    }
}
