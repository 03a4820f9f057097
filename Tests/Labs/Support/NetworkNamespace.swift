import Foundation
import Glibc
import Synchronization

/// A network namespace of the system, as `ip netns` makes them: a host of a laboratory's own.
///
/// It goes, with its devices, when the last reference does; what a killed run of the tests left
/// behind goes when the next one makes its first.
package final class NetworkNamespace: Sendable {
    private static let folder = "/run/netns"
    private static let prefix = "roost-lab-"
    private static let count = Mutex(0)

    /// What messages call it.
    package let role: String
    /// Its name for `ip netns`.
    package let name: String

    /// Makes a namespace whose loopback is up and whose addresses can be used at once.
    ///
    /// - Parameter role: What messages call it.
    /// - Throws: `LabError` with what `ip` said.
    package init(_ role: String) async throws {
        let number = Self.count.withLock { count in
            count += 1
            return count
        }
        self.role = role
        name = "\(Self.prefix)\(getpid())-\(number)-\(role)"
        if number == 1 { Self.removeLeftOnes() }
        try await LabTool.run("ip", "netns", "add", name)
        // Nobody else has the addresses that a laboratory gives out, and nobody advertises.
        let settings = ["accept_dad=0", "accept_ra=0", "router_solicitations=0"]
        try await run(
            ["sysctl", "-qw"]
                + settings.flatMap { setting in
                    ["all", "default"].map { "net.ipv6.conf.\($0).\(setting)" }
                })
        try await ip("link set lo up")
    }

    /// Starts a program in it.
    ///
    /// - Parameter words: The program and its arguments.
    /// - Returns: The program as it runs.
    /// - Throws: `LabError` when there is none.
    package func start(_ words: [String]) throws -> ChildProcess {
        // It sets the namespace and then becomes the program, so that signals reach that.
        try ChildProcess(
            "/usr/bin/nsenter", ["--net=\(Self.folder)/\(name)", "--"] + words,
            name: "\(role): \(words.joined(separator: " "))")
    }

    /// Runs a program in it to its end, which must be a success.
    ///
    /// - Returns: What it wrote to its standard output.
    /// - Throws: `LabError` with what it wrote.
    @discardableResult
    package func run(_ words: [String]) async throws -> String {
        let child = try start(words)
        try await child.succeed()
        return child.output
    }

    /// Runs a program in it, given as it is typed; see ``run(_:)-([String])``.
    @discardableResult
    package func run(_ command: String) async throws -> String {
        try await run(command.split(separator: " ").map(String.init))
    }

    /// Runs a program in it, whatever becomes of it.
    ///
    /// - Returns: All that it wrote.
    package func attempt(_ command: String) async throws -> String {
        let child = try start(command.split(separator: " ").map(String.init))
        try await child.exit()
        return child.text
    }

    /// Runs `ip` in it.
    @discardableResult
    package func ip(_ command: String) async throws -> String { try await run("ip \(command)") }

    deinit { Self.remove(name) }

    /// What `ip netns delete` does; a namespace lives on while processes are in it.
    private static func remove(_ name: String) {
        let path = "\(folder)/\(name)"
        _ = unsafe umount2(path, Int32(MNT_DETACH))
        _ = unsafe unlink(path)
    }

    /// Removes the namespaces of processes that are gone.
    private static func removeLeftOnes() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names where name.hasPrefix(prefix) {
            guard let process = name.dropFirst(prefix.count).split(separator: "-").first,
                let id = pid_t(process), kill(id, 0) != 0
            else { continue }
            remove(name)
        }
    }
}
