import Foundation
import LabSupport
import RoostSystem
import StreamSupport
import Testing

/// No path that a command listens on, writes or removes takes away what Roost did not make.
@Suite(.serialized, .tags(.lab), .timeLimit(.minutes(5)))
struct PathLab {
    init() { BrokenPipes.ignore() }

    /// An option that names a path.
    enum Option: String, CaseIterable, Sendable {
        case nbdkit, copyTo, hypervisorSocket, relayListen, receiveListen, receiveOutput
        case extractOutput, convertOutput, inspectPlot, guestSocket

        /// Whether a socket is made at the path.
        var listens: Bool {
            switch self {
            case .nbdkit, .hypervisorSocket, .relayListen, .receiveListen, .guestSocket: true
            default: false
            }
        }

        /// The command with its option.
        func arguments(_ path: String, _ stream: String, _ other: String) -> [String] {
            switch self {
            case .nbdkit: ["disk", "connect", "disk", "--nbdkit", path]
            case .copyTo: ["disk", "connect", "disk", "--copy-to", path]
            case .hypervisorSocket: ["hypervisor", "--socket", path]
            case .relayListen:
                ["migrate", "relay", "--listen", "unix:\(path)", "--connect", "unix:\(other)"]
            case .receiveListen:
                ["migrate", "receive", "--listen", "unix:\(path)", "--output", other]
            case .receiveOutput:
                ["migrate", "receive", "--listen", "unix:\(other)", "--output", path]
            case .extractOutput:
                ["stream", "extract", stream, "--block", "pc.ram", "--output", path]
            case .convertOutput: ["stream", "convert", stream, "--output", path]
            case .inspectPlot: ["stream", "inspect", stream, "--plot", path]
            case .guestSocket: ["--socket", path, "--memory", "1048576"]
            }
        }

        /// Whether a command that may go on does so until it is told to end.
        var runsOn: Bool { listens || self == .receiveOutput }
    }

    @Test("What is at a path stays as it is, whatever it is", arguments: Option.allCases)
    func obstacles(option: Option) async throws {
        try await LabClock.measure("paths of \(option.rawValue)") {
            let stage = try CommandStage()
            let stream = stage.file("stream")
            try Self.writeStream(to: stream)
            let server =
                option == .nbdkit || option == .copyTo ? try await stage.serve("disk") : nil
            for obstacle in Obstacle.allCases {
                try await meet(obstacle, option, stream, in: stage)
            }
            server?.signal(SIGTERM)
            try await server?.succeed()
            try await stage.close()
        }
    }

    private func meet(
        _ obstacle: Obstacle, _ option: Option, _ stream: String, in stage: CommandStage
    ) async throws {
        let folder = "\(option.rawValue)-\(obstacle.rawValue)"
        try stage.makeFolder(folder)
        let path = stage.file("\(folder)/x")
        let made = try await obstacle.make(at: path, in: stage)
        let before = FileFacts(at: path)
        let content = Self.content(of: path)
        let arguments = option.arguments(path, stream, stage.file("\(folder)/o"))
        let child =
            option == .guestSocket
            ? try stage.start(program: RoostProgram.folder() + "/stamped-guest", arguments)
            : try stage.start(arguments, mark: "-")
        let isGood =
            option.listens ? obstacle == .staleSocket : obstacle == .pipe
        if isGood, option.runsOn {
            // It goes on, and takes away what it made when it is told to end.
            if option.listens { try await Self.waitUntilListening(at: path, child) }
            if option == .guestSocket { try await child.line { $0 == "READY" } }
            _ = try await poll(.seconds(30), "\(child.name) to be started") {
                child.processID != nil || child.hasEnded ? true : nil
            }
            child.signal(SIGTERM)
            _ = try await child.exit()
            if option.listens {
                #expect(FileFacts(at: path) == nil, "\(arguments)\n\(child.text)")
                #expect(FileFacts(at: path + ".lock") == nil)
                return
            }
        } else {
            let status = try await child.exit()
            #expect((status == 0) == isGood, "\(arguments): \(status)\n\(child.text)")
            if !isGood {
                #expect(status == 1, "\(arguments)\n\(child.text)")
                #expect(child.text.contains(path), "\(child.text)")
                #expect(!child.text.contains("Usage:"), "\(child.text)")
            }
        }
        #expect(before != nil && FileFacts(at: path) == before, "\(arguments)\n\(child.text)")
        #expect(Self.content(of: path) == content, "\(arguments)")
        let isUntouched = made.isUntouched
        #expect(isUntouched, "\(arguments): somebody connected")
        withExtendedLifetime(made) {}
    }

    /// What is in a file, a folder's file or at the end of a link.
    private static func content(of path: String) -> String? {
        guard let kind = FileFacts(at: path, followsLinks: true)?.kind else { return nil }
        switch kind {
        case .file: return SmallFile.text(of: path)
        case .folder: return SmallFile.text(of: "\(path)/inside")
        default: return nil
        }
    }

    private static func waitUntilListening(at path: String, _ child: ChildProcess) async throws {
        _ = try await poll(.seconds(30), "\(child.name) to listen at \(path)") {
            if child.hasEnded { throw LabError("\(child.name) ended:\n\(child.text)") }
            return Listener.isListening(at: path) ? true : nil
        }
    }

    /// A whole stream of a real QEMU's.
    private static func writeStream(to path: String) throws {
        try Data(StreamFixtures.bytes("7.2-pc-paused.stream")).write(to: URL(fileURLWithPath: path))
    }
}
