import Foundation
import Glibc
import RoostSystem

/// A folder for one test's images, removed with all that is in it.
final class StorageFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "roost-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
    }

    /// The path of something in it.
    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Makes a file of zeros without blocks, and answers its path.
    func image(_ name: String = "disk.raw", byteCount: Int) throws -> String {
        let path = file(name)
        try Data().write(to: URL(fileURLWithPath: path))
        try Self.resize(path, to: byteCount)
        return path
    }

    /// Changes the size of a file.
    static func resize(_ path: String, to byteCount: Int) throws {
        let result = unsafe truncate(path, byteCount)
        guard result == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }

    /// The bytes of a file.
    static func bytes(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// How many bytes of a file take place on the disk.
    static func allocatedByteCount(_ path: String) -> Int {
        var facts = stat()
        let result = unsafe stat(path, &facts)
        return result == 0 ? Int(facts.st_blocks) * 512 : -1
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// A program of the system, run for a test.
enum StorageTool {
    /// How a program ended.
    struct Outcome: Sendable {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Whether a program is there.
    static func exists(_ name: String) -> Bool {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin"
        return path.split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
        }
    }

    /// Runs a program to its end, without blocking the pool's threads.
    static func run(_ name: String, _ arguments: String...) async throws -> Outcome {
        try await run(name, arguments)
    }

    /// Lets signals reach this thread: a program that it starts inherits what it blocks, and one
    /// that ends another by a signal then waits for ever.
    static func unblockSignals() {
        var all = sigset_t()
        // SAFETY: the set is this function's own.
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_UNBLOCK, &all, nil)
    }

    /// Runs a program to its end.
    static func run(_ name: String, _ arguments: [String]) async throws -> Outcome {
        try await DedicatedThread.run(name: "tool") {
            unblockSignals()
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [name] + arguments
            let output = Pipe()
            let errors = Pipe()
            process.standardOutput = output
            process.standardError = errors
            process.standardInput = FileHandle.nullDevice
            try process.run()
            let written = try output.fileHandleForReading.readToEnd() ?? Data()
            let complained = try errors.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return Outcome(
                status: process.terminationStatus,
                output: String(decoding: written, as: UTF8.self),
                errors: String(decoding: complained, as: UTF8.self))
        }
    }
}
