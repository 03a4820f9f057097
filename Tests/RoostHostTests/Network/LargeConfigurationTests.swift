import Foundation
import Glibc
import RoostHost
import RoostRouter
import Testing

/// Configuration files of many routes, and those that come slowly.
@Suite struct LargeConfigurationTests {
    private static let port = """
        [[port]]
        name = "left"
        kind = "tap"
        device = "tap0"
        addresses = ["192.0.2.1/24"]

        """

    /// A file of so many routes to prefixes of 10.0.0.0/8 and above.
    private static func text(routes: Int) -> String {
        (0..<routes).reduce(into: port) { text, number in
            let third = number % 256
            let prefix = "\(10 + number >> 16).\(number >> 8 & 255).\(third).0/24"
            text += "[[route]]\nprefix = \"\(prefix)\"\nvia = \"192.0.2.\(2 + third % 200)\"\n"
        }
    }

    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("roost-large-\(UInt64.random(in: 0 ... .max))")

    private func inFolder(_ body: (URL) async throws -> Void) async throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.appendingPathComponent("net.toml"))
    }

    @Test func `a file of a hundred thousand routes is read, and a router made of it`() async throws
    {
        try await inFolder { path in
            try Self.text(routes: 100_000).write(to: path, atomically: false, encoding: .utf8)
            let file = try await RouterConfigurationFile.load(path.path)
            #expect(file.configuration.namespaces.first?.routes.count == 100_000)
            // Its tables are made; then a machine without /dev/net/tun may end the check.
            do throws(RouterError) {
                _ = try Router.check(file.configuration)
            } catch {
                #expect(error.kind == .port, "\(error)")
            }
        }
    }

    @Test func `what is wrong at a long file's end has its line`() throws {
        let text =
            Self.text(routes: 2_000) + "[[route]]\r\nprefix = \"192.0.2.0/24\"\r\nport = \"left\""
        let error = try #require(throws: HostError.self) {
            _ = try RouterConfigurationFile.parse(text, path: "net.toml")
        }
        #expect(error.description.hasPrefix("net.toml:6007: route 2001, prefix: "), "\(error)")
    }

    @Test func `a file that a system ends lines of by two bytes has its lines`() throws {
        let text = Self.port.replacingOccurrences(of: "\n", with: "\r\n") + "mtu = 1\r\n"
        let error = try #require(throws: HostError.self) {
            _ = try RouterConfigurationFile.parse(text, path: "net.toml")
        }
        #expect(error.description.hasPrefix("net.toml:6: port 1, mtu: is 1"), "\(error)")
    }

    @Test func `a configuration may come by a pipe`() async throws {
        try await inFolder { path in
            let made = unsafe mkfifo(path.path, 0o600)
            try #require(made == 0)
            let writer = Task.detached {
                try Self.port.write(to: path, atomically: false, encoding: .utf8)
            }
            let file = try await RouterConfigurationFile.load(path.path)
            #expect(file.configuration.namespaces.first?.ports.count == 1)
            try await writer.value
        }
    }

    @Test func `reading what never comes ends with its task`() async throws {
        try await inFolder { path in
            let made = unsafe mkfifo(path.path, 0o600)
            try #require(made == 0)
            let reading = Task { try await RouterConfigurationFile.load(path.path) }
            reading.cancel()
            await #expect(throws: CancellationError.self) { _ = try await reading.value }
        }
    }

    @Test func `a limit that only the tables know is refused with its line`() async throws {
        let text =
            "[[namespace]]\nname = \"a\"\nlimits = { destinations = 16 }\n" + Self.text(routes: 200)
        let file = try RouterConfigurationFile.parse(text, path: "net.toml")
        let error = try await #require(throws: HostError.self) { _ = try await file.check() }
        #expect(error.kind == .configuration)
        #expect(error.description.hasPrefix("net.toml:"), "\(error)")
        #expect(error.description.contains(": route "), "\(error)")
        #expect(error.description.contains("raise its limits.destinations"), "\(error)")
    }

    @Test func `a network namespace that is not there is refused with its line`() async throws {
        let text = Self.port + "network-namespace = \"roost-there-is-none\"\n"
        let file = try RouterConfigurationFile.parse(text, path: "net.toml")
        let error = try await #require(throws: (any Error).self) { _ = try await file.check() }
        // A machine without /dev/net/tun has less to offer still.
        guard FileManager.default.fileExists(atPath: "/dev/net/tun") else { return }
        #expect(
            "\(error)".hasPrefix(
                "net.toml:6: port 1, network-namespace: there is no network namespace "
                    + "'roost-there-is-none'"), "\(error)")
    }
}
