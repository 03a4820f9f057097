import Foundation
import LabSupport
import RoostSystem

/// Everything that a run starts can be found again, by a word in its environment.
extension CommandStage {
    /// Starts `roost`.
    ///
    /// - Parameters:
    ///   - arguments: Its arguments.
    ///   - mark: A word that its descendants have in their environment, too.
    /// - Returns: The process.
    /// - Throws: `LabError` when there is no program.
    func start(_ arguments: [String], mark: String) throws -> ChildProcess {
        try start(program: RoostProgram.locate(), arguments, mark: mark)
    }

    /// Makes a folder in the stage's.
    func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(
            atPath: file(name), withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
    }

    private var path: String { file("") }

    /// Starts a program with the stage's environment.
    func start(
        program: String, _ arguments: [String], mark: String = "-"
    ) throws -> ChildProcess {
        let name = arguments.prefix(3).joined(separator: " ")
        return try ChildProcess(
            "/usr/bin/env",
            [
                "ROOST_SOCKET=\(file("hypervisor"))", "XDG_RUNTIME_DIR=\(path)",
                "ROOST_STATE=\(file("state"))", "ROOST_LAB=\(path)/\(mark)", program,
            ] + arguments, name: name)
    }

    /// Serves a disk of memory, and waits until it can be had.
    func serve(_ name: String) async throws -> ChildProcess {
        let child = try start(
            ["disk", "serve", "--image", "ram:1M", "--name", name], mark: "server")
        try await child.line { $0.hasPrefix("disk \(name): serving ") }
        return child
    }

    /// The processes that a mark was given to and that are not the hypervisor that a command left
    /// running for others.
    func processes(mark: String) -> [Int32] {
        processes { environment, arguments in
            environment.contains("ROOST_LAB=\(path)/\(mark)")
                && !arguments.contains("--announce-ready")
        }
    }

    private func processes(where matches: ([String], [String]) -> Bool) -> [Int32] {
        SmallFile.names(in: "/proc").compactMap(Int32.init).filter { id in
            func words(_ file: String) -> [String] {
                (SmallFile.text(of: "/proc/\(id)/\(file)") ?? "").split(separator: "\0")
                    .map(String.init)
            }
            return id != getpid() && matches(words("environ"), words("cmdline"))
        }
    }

    /// Ends the hypervisor that was started for the stage, and waits until nothing is left.
    func close() async throws {
        for id in processes(where: { _, arguments in
            arguments.contains("--announce-ready") && arguments.contains(file("hypervisor"))
        }) {
            _ = kill(id, SIGTERM)
        }
        _ = try await poll(.seconds(30), "the end of everything in \(path)") {
            let left = processes { environment, _ in
                environment.contains { $0.hasPrefix("ROOST_LAB=\(path)/") }
            }
            return left.isEmpty ? true : nil
        }
    }
}
