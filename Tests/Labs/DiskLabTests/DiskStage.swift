import Foundation
import LabSupport
import RoostMigration
import Synchronization
import Testing

extension Tag {
    /// Needs programs of the system, and may need the guest that `Tests/Labs/qemu/prepare.sh` makes.
    @Tag static var lab: Self
}

/// One laboratory's disks: a folder with a hypervisor's socket of its own, and the commands that
/// find each other by it.
final class DiskStage: Sendable {
    private let folder: TemporaryFolder
    /// What the laboratory itself makes in the folder.
    private let own = Mutex<Set<String>>([])

    init() throws { folder = try TemporaryFolder() }

    /// The path of a file that the laboratory makes in the folder.
    func file(_ name: String) -> String {
        own.withLock { _ = $0.insert(name) }
        return folder.file(name)
    }

    /// The path of something that a command makes in the folder, and removes.
    func path(_ name: String) -> String { folder.file(name) }

    /// Makes an image of zeros.
    func makeImage(_ name: String, mebibytes: Int) throws -> String {
        let path = file(name)
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw LabError("cannot make \(path)") }
        try handle.truncate(atOffset: UInt64(mebibytes) << 20)
        try handle.close()
        return path
    }

    // MARK: Roost's commands

    /// Starts `roost` with the stage's hypervisor.
    func start(_ arguments: [String]) throws -> ChildProcess {
        let name = "roost " + arguments.prefix(3).joined(separator: " ")
        return try ChildProcess(
            "/usr/bin/env",
            [
                "ROOST_SOCKET=\(path("hypervisor"))", "XDG_RUNTIME_DIR=\(folder.path)",
                RoostProgram.locate(),
            ] + arguments, name: name)
    }

    /// Runs `roost` to its end, which must be a success.
    ///
    /// - Returns: What it wrote to its standard output.
    @discardableResult
    func run(_ arguments: String...) async throws -> String {
        let child = try start(arguments)
        try await child.succeed()
        return child.output
    }

    /// Serves an image, and waits until a frontend can have it.
    func serve(_ image: String, as name: String, readOnly: Bool = false) async throws
        -> ChildProcess
    {
        let child = try start(
            ["disk", "serve", "--image", image, "--name", name]
                + (readOnly ? ["--read-only"] : []))
        try await child.line { $0.hasPrefix("disk \(name): serving ") }
        return child
    }

    /// Attaches an NBD server to a served disk, and waits until a client can have it.
    func connect(_ name: String) async throws -> NBDDisk {
        let socket = path("\(name).nbd")
        let child = try start(["disk", "connect", name, "--nbdkit", socket])
        try await child.line { $0.hasPrefix("disk \(name): connecting") }
        _ = try await poll(.seconds(30), "the socket of nbdkit") {
            if child.hasEnded { throw LabError("\(child.name) ended:\n\(child.text)") }
            return FileManager.default.fileExists(atPath: socket) ? true : nil
        }
        return NBDDisk(socket: socket, programs: [child])
    }

    /// Serves an image, and attaches an NBD server to it.
    func disk(_ image: String, as name: String = "disk", readOnly: Bool = false) async throws
        -> NBDDisk
    {
        let backend = try await serve(image, as: name, readOnly: readOnly)
        let disk = try await connect(name)
        return NBDDisk(socket: disk.socket, programs: disk.programs + [backend])
    }

    /// Sends a signal to the processes that NBD clients talk to.
    func signalServers(_ signal: Int32) {
        for process in processes() where process.arguments.first == "nbdkit" {
            kill(process.id, signal)
        }
    }

    /// Kills the hypervisor, and waits until it is gone.
    func killHypervisor() async throws { try await endHypervisors(SIGKILL) }

    /// Sends a signal to the hypervisor, which is nobody's child here, and waits until it is gone.
    private func endHypervisors(_ signal: Int32) async throws {
        for process in processes() where process.isHypervisor {
            kill(process.id, signal)
            _ = try await poll(.seconds(30), "the end of \(process)") {
                processes().contains { $0.id == process.id } ? nil : true
            }
        }
    }

    /// A disk as its process describes it to `roost disk list`.
    func snapshot(_ name: String) async throws -> JSONValue {
        let child = try start(["disk", "list", "--json", "--interval", "10"])
        try await child.succeed()
        guard
            let entry = try child.json()["disks"]?.array?.first(where: {
                $0["name"]?.string == name
            }), let disk = entry["disk"]
        else { throw LabError("no disk \(name) is listed:\n\(child.text)") }
        return disk
    }

    /// The bytes that a disk's backend has read and written.
    func moved(_ name: String) async throws -> UInt64 {
        let devices = try await snapshot(name)["devices"]?.array ?? []
        return devices.flatMap { $0["queues"]?.array ?? [] }
            .flatMap { [$0["readBytes"], $0["writtenBytes"]] }
            .reduce(0) { $0 + ($1?.unsignedInteger ?? 0) }
    }

    // MARK: The end

    /// Waits until nothing runs that was started with the stage's folder, and looks whether anything
    /// was left in it.
    ///
    /// - Parameter waitsForIdleEnd: Whether the hypervisor is left to find that it is idle.
    /// - Throws: `LabError` that names what still runs.
    func close(waitsForIdleEnd: Bool = false) async throws {
        try await waitForEnd { $0.filter { !$0.isHypervisor } }
        if !waitsForIdleEnd { try await endHypervisors(SIGTERM) }
        try await waitForEnd { $0 }
        let left = Set(try FileManager.default.contentsOfDirectory(atPath: folder.path))
            .subtracting(own.withLock { $0 })
            // They stay for the next hypervisor and for who looks what became of the last.
            .subtracting(["launcher.lock", "hypervisor.log"])
        #expect(left.isEmpty, "left behind in \(folder.path)")
    }

    private func waitForEnd(of select: ([Process]) -> [Process]) async throws {
        do {
            _ = try await poll(.seconds(30), "the end of what was started") {
                select(processes()).isEmpty ? true : nil
            }
        } catch {
            throw LabError("\(error); still there: \(select(processes()))")
        }
    }

    /// A process that was started with the stage's folder.
    private struct Process: CustomStringConvertible {
        let id: Int32
        let arguments: [String]

        var isHypervisor: Bool { arguments.dropFirst().first == "hypervisor" }
        var description: String { "\(id) \(arguments.joined(separator: " "))" }
    }

    /// The processes other than this one that have the folder's path among their arguments or in
    /// their environment.
    private func processes() -> [Process] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { name -> Process? in
            guard let id = Int32(name), id != getpid() else { return nil }
            func words(_ file: String) -> [String] {
                let bytes = FileManager.default.contents(atPath: "/proc/\(name)/\(file)") ?? Data()
                return String(decoding: bytes, as: UTF8.self).split(separator: "\0").map(
                    String.init)
            }
            let arguments = words("cmdline")
            guard (arguments + words("environ")).contains(where: { $0.contains(folder.path) })
            else {
                return nil
            }
            return Process(id: id, arguments: arguments)
        }
    }
}

/// A disk as an NBD client has it.
struct NBDDisk: Sendable {
    /// The server's unix socket.
    let socket: String
    /// What serves it, the server itself first.
    let programs: [ChildProcess]

    /// The disk's name for libnbd, fio and QEMU.
    var uri: String { "nbd+unix:///?socket=\(socket)" }

    /// Has everything that serves it end, one after the other.
    func close() async throws {
        for program in programs {
            program.signal(SIGTERM)
            try await program.succeed()
        }
    }
}
