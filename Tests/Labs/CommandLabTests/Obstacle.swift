import Foundation
import LabSupport
import RoostSystem
import SystemPackage

/// What may be at a path that a command is told to listen on or to write.
enum Obstacle: String, CaseIterable, Sendable {
    case file, folder, link, pipe, foreignSocket, staleSocket

    /// Puts it there.
    ///
    /// - Parameters:
    ///   - path: Where.
    ///   - stage: Whose.
    /// - Returns: What has to stay alive meanwhile.
    /// - Throws: What the system refuses.
    func make(at path: String, in stage: CommandStage) async throws -> Made {
        switch self {
        case .file:
            try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        case .folder:
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false)
            try Data("precious".utf8).write(to: URL(fileURLWithPath: "\(path)/inside"))
        case .link:
            try Data("precious".utf8).write(to: URL(fileURLWithPath: "\(path).target"))
            try FileManager.default.createSymbolicLink(
                atPath: path, withDestinationPath: "\(path).target")
        case .pipe:
            guard unsafe mkfifo(path, 0o600) == 0 else { throw Errno(rawValue: errno) }
            // Both ends, so that neither waits for the other; it takes what it is given.
            let pipe = try FileDescriptor.open(
                FilePath(path), .readWrite, options: [.nonBlocking, .closeOnExec])
            return Made(reader: try LabTool.start("cat", [path]), pipe: pipe)
        case .foreignSocket:
            return Made(listener: try Self.listen(at: path))
        case .staleSocket:
            let child = try stage.start(
                ["migrate", "receive", "--listen", "unix:\(path)", "--output", "\(path).stream"],
                mark: "-")
            try await child.line { $0.contains("waiting for a relay") }
            try await child.stop()
        }
        return Made()
    }

    /// A socket that this process listens on without a lock of Roost's, as another program does.
    private static func listen(at path: String) throws -> Listener {
        let listener = try Listener(on: .unix(path: "\(path).own"))
        try FileManager.default.moveItem(atPath: "\(path).own", toPath: path)
        return listener
    }

    /// What keeps an obstacle alive.
    struct Made: ~Copyable {
        var reader: ChildProcess?
        var pipe: FileDescriptor?
        var listener: Listener?

        /// Whether nobody has connected to it.
        var isUntouched: Bool {
            guard let listener else { return true }
            return (try? listener.accept(timeout: .zero)) == nil
        }

        deinit {
            listener?.stop()
            reader?.signal(SIGKILL)
            try? pipe?.close()
        }
    }
}
