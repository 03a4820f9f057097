import Foundation
import Glibc
import RoostSystem
import Testing

/// A network namespace of the kernel for one test, removed with it.
final class NetworkNamespace: Sendable {
    /// The name that `ip netns` knows.
    let name: String

    /// Whether this process can make one, with TAP interfaces in it.
    static let isPossible =
        geteuid() == 0 && FileManager.default.isWritableFile(atPath: "/dev/net/tun")
        && FileManager.default.isExecutableFile(atPath: "/usr/sbin/ip")

    /// Makes an empty one.
    init() async throws {
        name = "roost-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        try await Self.run("ip", "netns", "add", name)
    }

    /// Runs a program in it to its end.
    ///
    /// - Returns: Its exit status.
    @discardableResult
    func run(_ arguments: String..., isRequired: Bool = true) async throws -> Int32 {
        let status = try await Self.status(["ip", "netns", "exec", name] + arguments)
        if isRequired { try #require(status == 0, "\(arguments) ended with \(status)") }
        return status
    }

    private static func run(_ arguments: String...) async throws {
        let status = try await status(arguments)
        try #require(status == 0, "\(arguments) ended with \(status)")
    }

    private static func status(_ arguments: [String]) async throws -> Int32 {
        try await DedicatedThread.run(name: "tool") {
            var all = sigset_t()
            // SAFETY: the set is this function's own. A program inherits what its starter blocks.
            unsafe sigfillset(&all)
            unsafe pthread_sigmask(SIG_UNBLOCK, &all, nil)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = arguments
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            return process.terminationStatus
        }
    }

    deinit {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["ip", "netns", "del", name]
        try? process.run()
        process.waitUntilExit()
    }
}
