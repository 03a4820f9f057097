import Foundation
import LabSupport
import RoostSystem
import Testing

/// Every long command ends when it is told to, with everything it has started, and leaves nothing
/// unfinished behind.
@Suite(.serialized, .tags(.lab), .timeLimit(.minutes(10)))
struct SignalLab {
    init() { BrokenPipes.ignore() }

    /// A long command.
    enum Command: String, CaseIterable, Sendable {
        case serve, listen, connect, waitForDisk, waitForCopy, watch, hypervisor, relay, receive
        case bench, extract, verify, trace, router

        /// The command, in a folder of its own in which `pipe` is a pipe that nobody writes to.
        func arguments(_ folder: String, _ name: String) -> [String] {
            let pipe = "\(folder)/pipe"
            return switch self {
            case .serve: ["disk", "serve", "--image", "ram:1M", "--name", name]
            case .listen: ["disk", "connect", "disk", "--nbdkit", "\(folder)/nbd"]
            case .connect: ["disk", "connect", name, "--wait", "--nbdkit", "\(folder)/nbd"]
            case .waitForDisk: ["disk", "connect", name, "--nbdkit", "\(folder)/nbd"]
            case .waitForCopy:
                ["disk", "connect", name, "--wait", "--copy-to", "\(folder)/copy"]
            case .watch: ["disk", "list", "--watch"]
            case .hypervisor: ["hypervisor", "--socket", "\(folder)/hypervisor"]
            case .relay:
                [
                    "migrate", "relay", "--listen", "unix:\(folder)/in", "--connect",
                    "unix:\(folder)/out",
                ]
            case .receive:
                ["migrate", "receive", "--listen", "unix:\(folder)/in", "--output", "\(folder)/s"]
            case .bench:
                [
                    "migrate", "bench", "--memory", "64M", "--hot", "100", "--writes", "0",
                    "--max-bandwidth", "1M", "--downtime", "1",
                ]
            case .extract: ["stream", "extract", pipe, "--block", "b", "--output", "\(folder)/ram"]
            case .verify: ["stream", "verify", pipe]
            case .trace: ["net", "trace", "--name", name]
            case .router: ["net", "up", "\(folder).toml", "--name", name]
            }
        }
    }

    /// After how long a signal is sent.
    static let delays = [Duration.zero, .milliseconds(100), .seconds(1), .seconds(5)]

    @Test(
        "A signal ends every long command at any stage, with its children",
        arguments: [SIGINT, SIGTERM, SIGHUP, SIGKILL])
    func signals(number: Int32) async throws {
        try await LabClock.measure("signal \(number)") {
            let stage = try CommandStage()
            let server = try await stage.serve("disk")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for command in Command.allCases {
                    for (index, delay) in Self.delays.enumerated() {
                        group.addTask {
                            try await Self.end(
                                command, "\(command.rawValue)-\(index)", by: number, after: delay,
                                in: stage)
                        }
                    }
                }
                try await group.waitForAll()
            }
            server.signal(SIGTERM)
            try await server.succeed()
            #expect(!server.text.contains(" error "), "\(server.text)")
            try await stage.close()
        }
    }

    private static func end(
        _ command: Command, _ name: String, by number: Int32, after delay: Duration,
        in stage: CommandStage
    ) async throws {
        try stage.makeFolder(name)
        let folder = stage.file(name)
        guard unsafe mkfifo("\(folder)/pipe", 0o600) == 0 else { throw LabError("no pipe") }
        // A device of the machine, which goes with the router.
        let device = "roost-\(name.filter { $0 != "-" })"
        if command == .router {
            try """
            [[port]]
            name = "left"
            kind = "tap"
            device = "\(device)"
            """.write(toFile: "\(folder).toml", atomically: false, encoding: .utf8)
        }
        let child = try stage.start(command.arguments(folder, name), mark: name)
        _ = try await poll(.seconds(30), "\(name) to be started") {
            child.processID != nil || child.hasEnded ? true : nil
        }
        // The moment is what is tested, not whether something has happened by then.
        try await Task.sleep(for: delay)
        child.signal(number)
        _ = try await child.exit()
        #expect(!child.text.contains("CancellationError"), "\(name): \(child.text)")
        #expect(!child.text.contains("Fatal"), "\(name): \(child.text)")
        do {
            _ = try await poll(.seconds(30), "the end of what \(name) has started") {
                stage.processes(mark: name).isEmpty ? true : nil
            }
        } catch {
            let left = stage.processes(mark: name).map { id in
                "\(id) \(SmallFile.text(of: "/proc/\(id)/cmdline") ?? "")"
                    .replacingOccurrences(of: "\0", with: " ")
            }
            Issue.record("\(error): \(left)\n\(child.text)")
        }
        // The router needs root, as the labs do.
        if command == .router { #expect(!child.text.contains("Error: "), "\(name): \(child.text)") }
        #expect(!FileManager.default.fileExists(atPath: "/sys/class/net/\(device)"), "\(name)")
        guard number != SIGKILL else { return }
        #expect(SmallFile.names(in: folder) == ["pipe"], "\(name): \(child.text)")
    }
}
