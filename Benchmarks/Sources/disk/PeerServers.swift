import Foundation
import Workloads

/// A server of NBD with a memory disk, in a process of its own.
final class NBDServer {
    let name: String
    let socket: String
    private let program: Program
    private let image: String?

    private init(_ name: String, socket: String, program: Program, image: String? = nil) {
        self.name = name
        self.socket = socket
        self.program = program
        self.image = image
    }

    /// nbdkit and its memory plugin.
    static func nbdkit(byteCount: Int, in folder: String) throws -> NBDServer {
        let socket = "\(folder)/nbdkit"
        let program = try Program(
            "/usr/bin/nbdkit", ["-f", "-U", socket, "memory", "\(byteCount)"])
        return NBDServer("nbdkit", socket: socket, program: program)
    }

    /// qemu-nbd over a file in `/dev/shm`, which is removed in the end.
    static func qemu(byteCount: Int, in folder: String) throws -> NBDServer {
        let socket = "\(folder)/qemu-nbd"
        let image = "/dev/shm/roost-bench-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        guard FileManager.default.createFile(atPath: image, contents: nil) else {
            throw Failure("cannot make \(image)")
        }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: image))
        try file.truncate(atOffset: UInt64(byteCount))
        try file.close()
        let program = try Program(
            "/usr/bin/qemu-nbd", ["-t", "-k", socket, "-f", "raw", image])
        return NBDServer("qemu-nbd", socket: socket, program: program, image: image)
    }

    /// Connects to it once it listens.
    func connect(byteCount: Int) throws -> NBDDisk {
        let end = ContinuousClock.now.advanced(by: .seconds(30))
        while true {
            do {
                return try NBDDisk(name, socket: socket, byteCount: byteCount)
            } catch {
                // Nothing announces that it listens.
                guard ContinuousClock.now < end else { throw error }
                Thread.sleep(forTimeInterval: 0.01)
            }
        }
    }

    deinit {
        program.stop()
        if let image { try? FileManager.default.removeItem(atPath: image) }
    }
}
